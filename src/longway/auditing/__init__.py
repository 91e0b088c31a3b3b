"""Find out, without group labels, if a model takes a shortcut, which one, and which samples it fails."""

from longway.auditing._audit import audit
from longway.auditing.findings import Advice, Association, Candidate, MitigationTrial, Reliance, Slice
from longway.auditing.result import LEVELS, Audit, ModelFacts, Skipped, Verdict
from longway.utils.records import Estimate, Example

__all__ = [
    "LEVELS",
    "Advice",
    "Association",
    "Audit",
    "Candidate",
    "Estimate",
    "Example",
    "MitigationTrial",
    "ModelFacts",
    "Reliance",
    "Skipped",
    "Slice",
    "Verdict",
    "audit",
]
