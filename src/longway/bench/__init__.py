"""Comparison of methods: trials are pure functions of their specification, under explicit protocols."""

from longway.bench.engine import Engine, run
from longway.bench.frames import read_frame
from longway.bench.output import Comparison, compare_methods, read_comparison
from longway.bench.plan import Plan, load_plan, read_plan
from longway.bench.protocol import Protocol
from longway.bench.results import Result

__all__ = [
    "Comparison",
    "Engine",
    "Plan",
    "Protocol",
    "Result",
    "compare_methods",
    "load_plan",
    "read_comparison",
    "read_frame",
    "read_plan",
    "run",
]
