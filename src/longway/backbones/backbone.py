"""The common interface of all backbones: a batch in, checked features out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.backbones.adapter import one_line
from longway.backbones.pooling import Tokens, layer_output, pool
from longway.backbones.transform import TRANSFORM_OPTIONS, Transform
from longway.utils.errors import LongwayError
from longway.utils.storage import hash_json, hash_module

if TYPE_CHECKING:
    from PIL import Image

PRECISIONS = ("float32", "bfloat16", "float16")
"""Precisions that an encoder can run in."""
OPTIONS = (*TRANSFORM_OPTIONS, "layer", "pooling", "precision")
"""Options of `load_backbone`, which caches and models store."""

_DEFAULTS = {"crop": None, "interpolation": "bilinear", "layer": None, "pooling": None, "precision": "float32"}


@dataclass
class Backbone:
    """A frozen encoder, ready to embed.

    Parameters
    ----------
    name : str
        For messages and caches.
    module : nn.Module or object
        A callable that maps floats (N, 3, H, W) to (N, d), to tokens (N, t, d) or to a map (N, d, h, w); for texts, an
        object with ``encode(list of str)`` that returns (N, d) or `Tokens`.
    transform : Transform
        Applied to images.
    code : str, default ""
        Hash of the file of code that defines the module, if any.
    device : torch.device
    layer : str, optional
        Part of the module whose output gives the features.
    pooling : {"mean", "max", "cls", "none"}, optional
        Pooling of tokens and maps; None is the mean.
    precision : {"float32", "bfloat16", "float16"}, default "float32"
        Precision of the forward pass, by autocast.
    outputs_layer : bool, default False
        The module itself outputs that layer.
    """

    name: str
    module: Any
    transform: Transform = field(default_factory=Transform)
    code: str = ""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    layer: str | None = None
    pooling: str | None = None
    precision: str = "float32"
    outputs_layer: bool = False

    def __post_init__(self) -> None:
        self._width: int | None = None
        # Convolutions run up to twice as fast in this layout; `_forward` falls back if a module does not support it.
        self._layout = torch.channels_last
        if (network := self.network) is not None:
            network.eval().to(self.device)

    @property
    def network(self) -> nn.Module | None:
        """The module with the weights; for a bound method such as ``model.logits``, its object."""
        owner = getattr(self.module, "__self__", self.module)
        owner = owner if isinstance(owner, nn.Module) else getattr(owner, "network", None)
        return owner if isinstance(owner, nn.Module) else None

    @property
    def options(self) -> dict[str, Any]:
        """The values of all ``OPTIONS``, ready for JSON; `load_backbone` accepts them."""
        transform = self.transform
        return {
            "size": transform.size,
            "mean": list(transform.mean),
            "std": list(transform.std),
            "crop": transform.crop,
            "interpolation": transform.interpolation,
            "layer": self.layer,
            "pooling": self.pooling,
            "precision": self.precision,
        }

    @property
    def fingerprint(self) -> str:
        """Hash of everything that can change the features: weights, class, code and all options.

        Raises
        ------
        LongwayError
            If the module has no weights, no file of code and no ``fingerprint``.
        """
        given = getattr(self.module, "fingerprint", None)
        if isinstance(given, str):
            content = given
        elif (network := self.network) is not None:
            content = hash_json([hash_module(network), repr(network)])  # the repr shows the layers without weights
        elif self.code:
            content = ""
        else:
            raise LongwayError(
                f"backbone {self.name} has no weights that identify it: give it an attribute 'fingerprint', a string "
                "that changes whenever its output would"
            )
        t = self.transform
        kind = getattr(self.module, "__qualname__", type(self.module).__qualname__)
        function = self.name.rpartition(":")[2] if self.code else ""  # one file may have several
        parts = [content, self.code, function, kind, t.size, list(t.mean), list(t.std)]
        # Defaults are left out, so that caches written before these options existed keep their fingerprint.
        chosen = {name: self.options[name] for name, default in _DEFAULTS.items() if self.options[name] != default}
        return hash_json([*parts, chosen] if chosen else parts)

    def sized(self, size: int | None) -> Backbone:
        """Return the same backbone for images of this size."""
        return replace(self, transform=replace(self.transform, size=size))

    def prepare(self, batch: Sequence[Image.Image] | Sequence[str] | np.ndarray | Tensor) -> Tensor | list[str]:
        """Decode, resize and stack a batch, ready for `embed`; safe in another thread.

        Parameters
        ----------
        batch : sequence of PIL images or of str, or array of shape (N, 1 or 3, H, W)
            Arrays hold uint8, or floats in [0, 1].
        """
        if isinstance(batch, Tensor):
            return batch
        if isinstance(batch, np.ndarray):
            images = torch.from_numpy(np.array(batch))  # a copy, as a memmap may be read-only
            # `Transform.scale` would not crop an image that has the right size already, so crop here.
            return images if self.transform.crop is None else self.transform.fit(images)
        items = list(batch)
        if items and isinstance(items[0], str):
            return items  # type: ignore[return-value]
        return self.transform.stack(items)  # type: ignore[arg-type]

    def embed(self, batch: Sequence[Image.Image] | Sequence[str] | np.ndarray | Tensor) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        batch
            As for `prepare`, or its result.

        Returns
        -------
        Tensor of shape (N, d), float32
            On the backbone's device.

        Raises
        ------
        LongwayError
            If the backbone raises, or its output has a wrong shape or is not finite.
        """
        ready = self.prepare(batch)
        network = self.network
        if network is not None:
            network.eval()  # the user may have trained it in the meantime
        with torch.inference_mode():
            if isinstance(ready, Tensor):
                x = self.transform.scale(ready.to(self.device, non_blocking=True))
                weight = None if network is None else next(network.parameters(), None)
                x = x if weight is None else x.to(weight.dtype)
                return self._checked(self._forward(x), len(x), f"images of shape {tuple(x.shape)}")
            if not callable(getattr(self.module, "encode", None)):
                raise LongwayError(f"backbone {self.name} cannot embed texts: it has no encode(list of str)")
            return self._checked(self._call(self.module.encode, ready, "texts"), len(ready), f"{len(ready)} texts")

    def run(self, function: Callable[..., Any], *inputs: Any) -> Any:
        """Run a function of the module and return its output, or that of the requested layer."""
        if self.layer is None or self.outputs_layer:
            return function(*inputs)
        assert self.network is not None
        with layer_output(self.network, self.layer) as outputs:
            output = function(*inputs)
        if not outputs:
            raise LongwayError(f"backbone {self.name} did not use its layer={self.layer!r}: choose another")
        return Tokens(outputs[-1], output.mask) if isinstance(output, Tokens) else outputs[-1]

    def _forward(self, x: Tensor) -> Any:
        if not callable(self.module):
            kind = type(self.module).__name__
            raise LongwayError(f"backbone {self.name} cannot embed images: {kind} is not a function")
        if self._layout == torch.channels_last:
            try:
                with self._autocast():
                    return self.run(self.module, x.contiguous(memory_format=torch.channels_last))
            except LongwayError:
                raise
            except Exception:  # some modules need the contiguous layout; if that fails too, its error is reported
                self._layout = torch.contiguous_format
        return self._call(self.module, x.contiguous(), f"images of shape {tuple(x.shape)}")

    def _call(self, function: Callable[[Any], Any], batch: Any, inputs: str) -> Any:
        try:
            with self._autocast():
                return self.run(function, batch)
        except LongwayError:
            raise
        except Exception as error:
            raise LongwayError(
                f"backbone {self.name} raised {type(error).__name__} on {inputs}: {one_line(error)}; check its code "
                "and its size"
            ) from error

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.precision))

    def _checked(self, output: Any, n: int, inputs: str) -> Tensor:
        """Pool an output to (N, d) in float32, or raise if it has a wrong type or shape."""
        values, mask = output if isinstance(output, Tokens) else (output, None)
        try:
            features = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
        except (TypeError, ValueError) as error:
            raise LongwayError(
                f"backbone {self.name} gave {type(values).__name__} for {inputs}: it must give an array (N, d)"
            ) from error
        shape = tuple(features.shape)
        if features.ndim not in (2, 3, 4) or shape[0] != n or 0 in shape[1:]:
            raise LongwayError(
                f"backbone {self.name} gave shape {shape} for {inputs}: it must give ({n}, d), ({n}, tokens, d) or "
                f"({n}, d, h, w)"
            )
        features = pool(features.float(), self.pooling, mask)
        width = features.shape[1]
        if self._width is not None and width != self._width:
            raise LongwayError(
                f"backbone {self.name} gave {width} features for {inputs}, but {self._width} for the batch before: the "
                "number must not change"
            )
        self._width = width
        if not bool(torch.isfinite(features).all()):
            raise LongwayError(
                f"backbone {self.name} gave NaN or infinite features for {inputs}: check its weights, mean and std"
                + ("" if self.precision == "float32" else f", or precision={self.precision!r}")
            )
        return features
