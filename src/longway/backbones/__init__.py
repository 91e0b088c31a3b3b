"""Third-party encoders behind one interface: a batch of images or texts in, features out.

One adapter module per kind: `python_file`, `timm`, `torchvision`, `hf` (transformers), `st` (sentence-transformers) and
`onnx`. Each has a function ``load`` that returns a `LoadedEncoder`; third-party packages are imported only there.
"""

from longway.backbones.backbone import OPTIONS, PRECISIONS, Backbone
from longway.backbones.loading import load_backbone
from longway.backbones.pooling import POOLINGS
from longway.backbones.transform import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Transform

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "INTERPOLATIONS",
    "OPTIONS",
    "POOLINGS",
    "PRECISIONS",
    "Backbone",
    "Transform",
    "load_backbone",
]
