"""Auditing: does a model take a shortcut, which one, and whom does it fail, without group labels."""

from longway.auditing._audit import audit
from longway.auditing.findings import Association, Candidate, MitigationTrial, Reliance, Slice
from longway.auditing.result import LEVELS, Audit, ModelFacts, Skipped, Verdict
from longway.utils.records import Estimate, Example

__all__ = [
    "LEVELS",
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
