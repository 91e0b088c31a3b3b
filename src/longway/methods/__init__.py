"""The methods by name, one file each."""

from longway.base import Method
from longway.methods.erm import ERM
from longway.methods.hsfm import HSFM
from longway.methods.rwg import RWG
from longway.methods.sitar import SITAR

METHODS: dict[str, type[Method]] = {cls.__name__.lower(): cls for cls in (ERM, RWG, SITAR, HSFM)}
"""Every method by its name on the command line."""

__all__ = ["ERM", "HSFM", "METHODS", "RWG", "SITAR"]
