"""The methods by name, one file each."""

from longway.methods._base import Method
from longway.methods.afr import AFR
from longway.methods.ccr import CCR
from longway.methods.chroma_vae import ChromaVAE
from longway.methods.dfr import DFR
from longway.methods.diffusion_classifier import DiffusionClassifier
from longway.methods.erm import ERM
from longway.methods.freeze_then_train import FreezeThenTrain
from longway.methods.gccs import GCCS
from longway.methods.generative_classifier import GenerativeClassifier
from longway.methods.groupdro import GroupDRO
from longway.methods.hsfm.estimator import HSFM
from longway.methods.irm import IRM
from longway.methods.jtt import JTT
from longway.methods.lff import LfF
from longway.methods.llr import LLR
from longway.methods.lort import LORT
from longway.methods.rep_spectral import RepSpectral
from longway.methods.rwg import RWG
from longway.methods.rwy import RWY
from longway.methods.selective import Selective
from longway.methods.semantic_anchor import SemanticAnchor
from longway.methods.sitar.estimator import SITAR
from longway.methods.sitar.head import SITARHead
from longway.methods.subg import SUBG
from longway.methods.suby import SUBY
from longway.methods.vrex import VREx

METHODS: dict[str, type[Method]] = {
    cls.__name__.lower(): cls
    for cls in (
        *(ERM, RWY, SUBY, RWG, SUBG, GroupDRO, JTT, LfF, CCR, SITAR, SITARHead),
        *(IRM, VREx, ChromaVAE, GenerativeClassifier, DiffusionClassifier, FreezeThenTrain),
        *(RepSpectral, GCCS, SemanticAnchor),
        *(DFR, AFR, LLR, Selective, LORT, HSFM),
    )
}
"""Every method by its name on the command line."""

__all__ = [
    "AFR",
    "CCR",
    "DFR",
    "ERM",
    "GCCS",
    "HSFM",
    "IRM",
    "JTT",
    "LLR",
    "LORT",
    "METHODS",
    "RWG",
    "RWY",
    "SITAR",
    "SUBG",
    "SUBY",
    "ChromaVAE",
    "DiffusionClassifier",
    "FreezeThenTrain",
    "GenerativeClassifier",
    "GroupDRO",
    "LfF",
    "RepSpectral",
    "SITARHead",
    "Selective",
    "SemanticAnchor",
    "VREx",
]
