"""The exported graph: preprocessing, the backbone if any, the head, and both outputs."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from longway.backbones import Backbone, Transform
from longway.backbones.pooling import Tokens, pool

Scores = dict[str, Tensor]
"""The outputs of a graph: ``logits`` and ``probabilities``, each (N, C) in float32."""


class Head(nn.Module):
    """A fitted network from its inputs to logits and probabilities.

    Inputs are brought to the precision of its weights, as `Method.predict_proba` does. Convolutions run in single
    precision, as runtimes have no others.

    Parameters
    ----------
    module : nn.Module
        Inputs (N, ...) to logits (N, C). A copy of it is taken.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = deepcopy(module).cpu().eval().requires_grad_(False)
        if any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in self.module.modules()):
            self.module.float()
        self.dtype = next(self.module.parameters()).dtype

    def forward(self, features: Tensor) -> Scores:
        """Map features (N, d), or images (N, c, h, w), to scores."""
        logits = self.module(features.to(self.dtype))
        return {"logits": logits.float(), "probabilities": logits.softmax(1).float()}


class Normalise(nn.Module):
    """Standardise each channel like a transform.

    Parameters
    ----------
    transform : Transform
    """

    mean: Tensor
    std: Tensor

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(transform.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, h, w) in [0, 1] to the input of a backbone."""
        return (images - self.mean) / self.std


class PooledHead(nn.Module):
    """A head on any output of a backbone.

    Parameters
    ----------
    head : Head
    pooling : str, optional
        As in `Backbone`.
    """

    def __init__(self, head: Head, pooling: str | None) -> None:
        super().__init__()
        self.head, self.pooling = head, pooling

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Scores:
        """Map rows (N, d), tokens (N, t, d) or a map (N, d, h, w) to scores."""
        return self.head(pool(features.float(), self.pooling, mask))


class ImageClassifier(nn.Module):
    """Normalisation, backbone, pooling and head in one.

    Parameters
    ----------
    backbone : Backbone
        Of images.
    head : Head
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.network = backbone.network
        self.normalise = Normalise(backbone.transform)
        self.tail = PooledHead(head, backbone.pooling)
        weight = None if self.network is None else next(self.network.parameters(), None)
        self.dtype = torch.float32 if weight is None else weight.dtype

    def forward(self, images: Tensor) -> Scores:
        """Map images (N, 3, h, w) in [0, 1] to scores."""
        return self.tail(self.backbone.run(self.backbone.module, self.normalise(images).to(self.dtype)))


class TextClassifier(nn.Module):
    """Text encoder, pooling and head in one; tokenization is outside.

    Parameters
    ----------
    backbone : Backbone
        Of texts; its module has ``embed_tokens``.
    head : Head
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.network = backbone.network
        self.tail = PooledHead(head, backbone.pooling)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Scores:
        """Map token ids (N, t) and their attention mask (N, t) to scores."""
        output = self.backbone.run(self.backbone.module.embed_tokens, input_ids, attention_mask)
        return self.tail(*output) if isinstance(output, Tokens) else self.tail(output)
