"""Auditing: does a model take a shortcut, which one, and whom does it fail, without group labels."""

from longway.auditing.contract import LEVELS, Audit, ModelFacts, Skipped, Verdict
from longway.auditing.findings import Association, Candidate, Reliance, Slice, Trial
from longway.auditing.records import Estimate, Example
from longway.auditing.run import audit

__all__ = [
    "LEVELS",
    "Association",
    "Audit",
    "Candidate",
    "Estimate",
    "Example",
    "ModelFacts",
    "Reliance",
    "Skipped",
    "Slice",
    "Trial",
    "Verdict",
    "audit",
]
