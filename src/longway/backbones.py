"""Other people's encoders behind one small face: a batch of images or texts in, features out."""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from longway.errors import LongwayError, nearest
from longway.storage import hash_file, hash_json, hash_module
from longway.training import resolve_device

if TYPE_CHECKING:
    from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Transform:
    """How images become what a backbone expects: resized, three channels, scaled.

    Parameters
    ----------
    size : int, optional
        Side in pixels; the whole image is resized to a square, nothing is cropped. None keeps the images' own size.
    mean, std : (float, float, float)
        Subtracted from and divided into values in [0, 1], a channel each.
    """

    size: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def stack(self, images: Sequence[Image.Image]) -> Tensor:
        """Resize images and stack them.

        Returns
        -------
        Tensor of shape (N, 3, size, size), uint8
            In the memory format ``channels_last``, in which decoded images are laid out anyway.
        """
        from PIL import Image

        arrays = []
        for image in images:
            rgb = _rgb(image)
            if self.size is not None and rgb.size != (self.size, self.size):
                rgb = rgb.resize((self.size, self.size), Image.Resampling.BILINEAR)
            arrays.append(np.asarray(rgb))
        shapes = sorted({array.shape[:2] for array in arrays})
        if len(shapes) > 1:
            raise LongwayError(f"images of different sizes in one batch ({shapes[0]} and {shapes[-1]}): set size=")
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    def scale(self, batch: Tensor) -> Tensor:
        """Scale a batch, (N, 1 or 3, H, W) of uint8 or of floats in [0, 1], to what the backbone expects."""
        top = 255.0 if batch.dtype == torch.uint8 else 1.0
        x = batch.float()
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.size is not None and x.shape[2:] != (self.size, self.size):
            x = nn.functional.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        # Rows of pixels whose channels alternate: ten times faster than broadcasting three numbers over channels_last
        rows = x.permute(0, 2, 3, 1).contiguous().flatten(2)
        mean, std = (top * torch.tensor(v, device=x.device).repeat(x.shape[3]) for v in (self.mean, self.std))
        return rows.sub(mean).div_(std).unflatten(2, (x.shape[3], 3)).permute(0, 3, 1, 2)


@dataclass
class Backbone:
    """A frozen encoder, ready to embed.

    Parameters
    ----------
    name : str
        What it is called in messages and in a cache.
    module : nn.Module or object
        A callable that maps floats (N, 3, H, W) to (N, d) or to (N, d, h, w), which is averaged over h and w; for
        texts, an object with ``encode(list of str)`` that gives (N, d).
    transform : Transform
        Applied to images.
    code : str, default ""
        Hash of the code that made it, where there is a file of it.
    device : torch.device
        Where it runs.
    """

    name: str
    module: Any
    transform: Transform = field(default_factory=Transform)
    code: str = ""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        self._width: int | None = None
        # Convolutions run up to twice as fast so; modules whose code insists on the other layout are found out later
        self._layout = torch.channels_last
        if (owner := self._owner) is not None:
            owner.eval().to(self.device)

    @property
    def _owner(self) -> nn.Module | None:
        """The module whose weights are used: of a bound method such as ``model.logits``, the object it is bound to."""
        owner = getattr(self.module, "__self__", self.module)
        return owner if isinstance(owner, nn.Module) else None

    @property
    def fingerprint(self) -> str:
        """Hash of weights, transform, class and code: another one may give other features.

        Raises
        ------
        LongwayError
            There is nothing to hash: no weights, no file, no ``fingerprint``.
        """
        given = getattr(self.module, "fingerprint", None)
        if isinstance(given, str):
            content = given
        elif (owner := self._owner) is not None:
            content = hash_json([hash_module(owner), repr(owner)])  # its repr shows what has no weights
        elif self.code:
            content = ""
        else:
            raise LongwayError(
                f"backbone {self.name} has no weights that tell it from another: give it an attribute 'fingerprint', a "
                "string that changes when its output would"
            )
        t = self.transform
        kind = getattr(self.module, "__qualname__", type(self.module).__qualname__)
        function = self.name.rpartition(":")[2] if self.code else ""  # one file may have several
        return hash_json([content, self.code, function, kind, t.size, list(t.mean), list(t.std)])

    def sized(self, size: int | None) -> Backbone:
        """Return the same backbone for images of another size."""
        return replace(self, transform=replace(self.transform, size=size))

    def prepare(self, batch: Sequence[Image.Image] | Sequence[str] | np.ndarray | Tensor) -> Tensor | list[str]:
        """Bring a batch to the form that is cheapest to hand to the backbone; safe in another thread.

        Parameters
        ----------
        batch : sequence of PIL images or of str, or array of shape (N, 1 or 3, H, W)
            Arrays hold uint8, or floats in [0, 1].
        """
        if isinstance(batch, Tensor):
            return batch
        if isinstance(batch, np.ndarray):
            return torch.from_numpy(np.array(batch))  # a copy, as a memmap may be read-only
        rows = list(batch)
        if rows and isinstance(rows[0], str):
            return rows  # type: ignore[return-value]
        return self.transform.stack(rows)  # type: ignore[arg-type]

    def embed(self, batch: Sequence[Image.Image] | Sequence[str] | np.ndarray | Tensor) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        batch
            As for `prepare`, or what it returned.

        Returns
        -------
        Tensor of shape (N, d), float32
            On the backbone's device.

        Raises
        ------
        LongwayError
            The backbone raises, or gives another shape or numbers that are not finite.
        """
        ready = self.prepare(batch)
        owner = self._owner
        if owner is not None:
            owner.eval()  # its user may have gone on training it
        with torch.inference_mode():
            if isinstance(ready, Tensor):
                x = self.transform.scale(ready.to(self.device, non_blocking=True))
                weight = None if owner is None else next(owner.parameters(), None)
                x = x if weight is None else x.to(weight.dtype)
                return self._checked(self._forward(x), len(x), f"images of shape {tuple(x.shape)}")
            if not callable(getattr(self.module, "encode", None)):
                raise LongwayError(f"backbone {self.name} cannot embed texts: it has no encode(list of str)")
            return self._checked(self._call(self.module.encode, ready, "texts"), len(ready), f"{len(ready)} texts")

    def _forward(self, x: Tensor) -> Any:
        if not callable(self.module):
            kind = type(self.module).__name__
            raise LongwayError(f"backbone {self.name} cannot embed images: {kind} is not a function")
        if self._layout == torch.channels_last:
            try:
                return self.module(x.contiguous(memory_format=torch.channels_last))
            except Exception:  # tried again in the usual layout; if that fails as well, its error is the one to tell
                self._layout = torch.contiguous_format
        return self._call(self.module, x.contiguous(), f"images of shape {tuple(x.shape)}")

    def _call(self, function: Callable[[Any], Any], batch: Any, what: str) -> Any:
        try:
            return function(batch)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise LongwayError(
                f"backbone {self.name} raised {type(error).__name__} on {what}: {reason}; check its code and its size"
            ) from error

    def _checked(self, output: Any, n: int, what: str) -> Tensor:
        """Bring an output to (N, d) in float32, or say what is wrong with it."""
        try:
            features = output if isinstance(output, Tensor) else torch.as_tensor(np.asarray(output))
        except (TypeError, ValueError) as error:
            raise LongwayError(
                f"backbone {self.name} gave {type(output).__name__} for {what}: it must give an array (N, d)"
            ) from error
        shape = tuple(features.shape)
        if features.ndim not in (2, 4) or shape[0] != n or 0 in shape[1:]:
            raise LongwayError(
                f"backbone {self.name} gave shape {shape} for {what}: it must give ({n}, d) or ({n}, d, h, w)"
            )
        features = features.float()
        if features.ndim == 4:
            features = features.mean((2, 3))
        width = features.shape[1]
        if self._width is not None and width != self._width:
            raise LongwayError(
                f"backbone {self.name} gave {width} features for {what}, but {self._width} for the batch before: the "
                "number must not change"
            )
        self._width = width
        if not bool(torch.isfinite(features).all()):
            raise LongwayError(
                f"backbone {self.name} gave NaN or infinite features for {what}: check its weights, mean and std"
            )
        return features


def load_backbone(
    spec: str | Path | nn.Module | Callable[[Tensor], Tensor] | Any,
    *,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    device: str | torch.device = "auto",
) -> Backbone:
    """Load an encoder.

    Parameters
    ----------
    spec : str, nn.Module, callable or object
        ``"path/to/file.py:function"``, where the function returns one of the others: an ``nn.Module`` or callable that
        maps images, float (N, 3, H, W), to (N, d) or (N, d, h, w); or an object with ``encode(list of str)``.
        ``$NAME`` in a path is taken from the environment.
    size : int, optional
        Side that images are resized to. By default what the module or its file has as ``size``, else the images' own
        size where all are equal, else 224.
    mean, std : float or (float, float, float), optional
        For scaling images that are in [0, 1]. By default what the module or its file has as ``mean`` and ``std``, else
        ImageNet's. 0.5 and 0.5 scale to [-1, 1].
    device : str, default "auto"
        "cpu", "cuda", ...; a GPU where there is one.

    Returns
    -------
    Backbone

    Raises
    ------
    LongwayError
        The file or function is missing, raises, or returns something that cannot embed; an option is out of range.

    Notes
    -----
    A file is run as Python code: load only files that you trust.

    Examples
    --------
    >>> import torch
    >>> backbone = load_backbone(torch.nn.Flatten(), size=2, mean=0.5, std=0.5, device="cpu")
    >>> backbone.embed(torch.ones(4, 3, 2, 2)).shape
    torch.Size([4, 12])
    """
    loaded = _resolve(spec)
    if not callable(loaded.module) and not callable(getattr(loaded.module, "encode", None)):
        raise LongwayError(
            f"backbone {loaded.name} is of type {type(loaded.module).__name__}: it must be an nn.Module, a function of "
            "images, or have encode(list of str)"
        )
    given = {"size": size, "mean": mean, "std": std}
    options = loaded.defaults | {name: value for name, value in given.items() if value is not None}
    transform = Transform(
        _side(options.get("size")),
        _channels("mean", options.get("mean", IMAGENET_MEAN)),
        _channels("std", options.get("std", IMAGENET_STD)),
    )
    return Backbone(loaded.name, loaded.module, transform, loaded.code, resolve_device(str(device)))


@dataclass(frozen=True)
class _Loaded:
    """What an adapter hands over: the module, its name, the hash of its code, its own size, mean and std."""

    name: str
    module: Any
    code: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)


def _resolve(spec: Any) -> _Loaded:
    """Hand a spec to the adapter that knows its form."""
    if isinstance(spec, str | Path):
        return _from_file(str(spec))
    return _Loaded(getattr(spec, "__name__", type(spec).__name__), spec, defaults=_own_transform(spec))


def _from_file(spec: str) -> _Loaded:
    path_text, colon, function = spec.rpartition(":")
    if not colon or not function.isidentifier():
        raise LongwayError(f"backbone {spec!r} must be given as path/to/file.py:function")
    path = Path(os.path.expandvars(path_text)).expanduser()
    if not path.is_file():
        raise LongwayError(f"backbone file {path} does not exist: check the path in {spec!r}")
    code = hash_file(path)
    # A name of its own, so that two files called alike do not meet; compiled here, so that the import path stays as it
    # is and no bytecode is left beside the user's file
    name = f"longway_backbone_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    file = ModuleType(name)
    file.__file__ = str(path.resolve())
    sys.modules[name] = file  # dataclasses and the like look their module up
    _run(lambda: exec(compile(path.read_bytes(), str(path), "exec"), vars(file)), f"backbone file {path}")
    make = getattr(file, function, None)
    if not callable(make):
        functions = {name: value for name, value in vars(file).items() if inspect.isfunction(value)}
        known = [name for name, value in functions.items() if value.__module__ == file.__name__]
        hint = nearest(function, known) if known else "it defines none"
        raise LongwayError(f"backbone file {path} has no function {function!r}; {hint}")
    module = _run(make, f"{function}() of backbone file {path}")
    return _Loaded(f"{path.name}:{function}", module, code, _own_transform(file) | _own_transform(module))


def _own_transform(owner: Any) -> dict[str, Any]:
    found = {name: getattr(owner, name, None) for name in ("size", "mean", "std")}
    return {name: value for name, value in found.items() if value is not None and not callable(value)}


def _run(function: Callable[[], Any], what: str) -> Any:
    try:
        return function()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise LongwayError(f"{what} raised {type(error).__name__}: {reason}; mend that file") from error


def _side(value: Any) -> int | None:
    if value is None:
        return None
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1 or not all(isinstance(side, int | np.integer) and side > 0 for side in sides):
        raise LongwayError(f"size={value!r} of the backbone must be one whole number of pixels, the side of a square")
    return int(sides.pop())


def _channels(name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = np.ravel(np.asarray(value, dtype=float)).tolist()
    except (TypeError, ValueError):
        numbers = []
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (name == "std" and min(numbers) <= 0):
        wanted = "one number or three" + (", above 0" if name == "std" else "")
        raise LongwayError(f"{name}={value!r} of the backbone must be {wanted}")
    return tuple(numbers)


def _rgb(image: Image.Image) -> Image.Image:
    """Bring an image to three channels of 8 bits; 16-bit greys are scaled, as PIL would only clip them."""
    if image.mode.startswith("I"):
        from PIL import Image as Module

        image = Module.fromarray((np.asarray(image, dtype=np.float32) / 257).clip(0, 255).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")
