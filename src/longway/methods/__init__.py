"""The methods by name, one file each."""

from longway.base import Method
from longway.methods.afr import AFR
from longway.methods.ccr import CCR
from longway.methods.dfr import DFR
from longway.methods.erm import ERM
from longway.methods.groupdro import GroupDRO
from longway.methods.hsfm import HSFM
from longway.methods.jtt import JTT
from longway.methods.lff import LfF
from longway.methods.llr import LLR
from longway.methods.lort import LORT
from longway.methods.rwg import RWG
from longway.methods.rwy import RWY
from longway.methods.selective import Selective
from longway.methods.sitar import SITAR
from longway.methods.sitar_head import SITARHead
from longway.methods.subg import SUBG
from longway.methods.suby import SUBY

METHODS: dict[str, type[Method]] = {
    cls.__name__.lower(): cls
    for cls in (
        *(ERM, RWY, SUBY, RWG, SUBG, GroupDRO, JTT, LfF, CCR, SITAR, SITARHead),
        *(DFR, AFR, LLR, Selective, LORT, HSFM),
    )
}
"""Every method by its name on the command line."""

__all__ = [
    "AFR",
    "CCR",
    "DFR",
    "ERM",
    "HSFM",
    "JTT",
    "LLR",
    "LORT",
    "METHODS",
    "RWG",
    "RWY",
    "SITAR",
    "SUBG",
    "SUBY",
    "GroupDRO",
    "LfF",
    "SITARHead",
    "Selective",
]
