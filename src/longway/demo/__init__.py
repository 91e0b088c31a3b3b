"""The demonstration: an ordinary classifier falls for a shortcut, and methods that do not."""

from longway.demo.experiment import Demo, run
from longway.demo.page import report

__all__ = ["Demo", "report", "run"]
