"""Preprocessing of data for a fit, and the same preprocessing of later data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from longway.backbones import OPTIONS, Backbone, Transform, load_backbone
from longway.backbones.embed import embed
from longway.backbones.pixels import pixels
from longway.backbones.transform import INTERPOLATIONS
from longway.data import GroupedDataset
from longway.data.feature_folder import is_cache, read_meta
from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.rules import UP_TO_ONE, Choice, Whole
from longway.utils.schema import Maybe, misfit

_SPEC = {
    "backbone": Maybe({"name": str, "fingerprint": str}),
    "size": Maybe(Whole()),
    "columns": Maybe([str]),
    "crop": Maybe(UP_TO_ONE),
    "interpolation": Maybe(Choice(INTERPOLATIONS)),
    "texts": Maybe(bool),
}


@dataclass(frozen=True)
class InputSpec:
    """The preprocessing that turns raw inputs into the inputs of a model.

    Parameters
    ----------
    backbone : dict, optional
        Name, fingerprint and options of the backbone that computes the features.
    size : int, optional
        Side in pixels of images that the model takes without a backbone.
    columns : tuple of str
        Input columns, if the data are read from a table.
    crop : float, optional
        Fraction of such images that the central crop keeps, as in `Transform`.
    interpolation : str, default "bilinear"
        Interpolation of their resizing.
    texts : bool, default False
        The model takes texts without a backbone.
    """

    backbone: dict[str, Any] | None = None
    size: int | None = None
    columns: tuple[str, ...] = ()
    crop: float | None = None
    interpolation: str = "bilinear"
    texts: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the record for a saved model."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> InputSpec:
        """Restore the record of ``to_dict``.

        Raises
        ------
        CorruptFileError
            A part has another type or is out of range.
        """
        if damage := misfit(record, _SPEC):
            raise CorruptFileError(f"the record of preprocessing is damaged ({damage.strip('.')!r}): fit again")
        values = {field.name: record[field.name] for field in fields(cls) if field.name in record}
        return cls(**{**values, "columns": tuple(values.get("columns") or ())})

    @property
    def transform(self) -> Transform:
        """The transform that resizes raw images."""
        return Transform(self.size, crop=self.crop, interpolation=self.interpolation)


def prepare_inputs(
    data: GroupedDataset,
    *,
    backbone: str | None = None,
    size: int | None = None,
    mean: Any = None,
    std: Any = None,
    layer: str | None = None,
    pooling: str | None = None,
    precision: str = "float32",
    device: str = "auto",
    verbose: int = 1,
    max_skipped: float = 0,
) -> tuple[GroupedDataset, InputSpec]:
    """Convert data for a fit to arrays.

    Parameters
    ----------
    data : GroupedDataset
        Features, images or texts.
    backbone : str, optional
        Specification of the backbone for images and texts, as for `longway.backbones.load_backbone`; its features are
        cached.
    size, mean, std, layer, pooling, precision
        Options of the backbone; without one, ``size`` is the side of the images.
    device : str, default "auto"
    verbose : int, default 1
    max_skipped : float, default 0
        Share of the images that may be unreadable; they are left out, with a warning.

    Returns
    -------
    data : GroupedDataset
        X is an array or memmap.
    spec : InputSpec
        For `match_inputs` on later data.

    Raises
    ------
    LongwayError
        If the data are texts and there is no backbone, or they are features and there is one.
    """
    if data.kind == "features":
        if backbone is not None:
            raise LongwayError(f"{data.source} holds features already: leave out --backbone")
        if is_cache(Path(data.source)):
            return data, InputSpec(backbone=read_meta(Path(data.source))["backbone"])
        return data, InputSpec(columns=data.inputs)
    if backbone is not None:
        options = {"size": size, "mean": mean, "std": std, "layer": layer, "pooling": pooling, "precision": precision}
        loaded = load_backbone(backbone, **options, device=device)
        embedded = embed(data, loaded, verbose=verbose, max_skipped=max_skipped)
        return embedded, InputSpec(backbone=read_meta(Path(embedded.source))["backbone"], columns=data.inputs)
    if data.kind == "texts":
        raise LongwayError(
            f"{data.source} holds texts: give --backbone to embed them, such as st:NAME or path/to/file.py:function"
        )
    ready = pixels(data, InputSpec(size=size).transform, max_skipped=max_skipped)
    height, width = np.asarray(ready.X).shape[2:]
    # The images' own size is the model's: later ones of another size are resized to it.
    return ready, InputSpec(size=int(height) if size is None and height == width else size)


def match_inputs(
    data: GroupedDataset,
    spec: InputSpec,
    *,
    backbone: str | None = None,
    device: str = "auto",
    verbose: int = 1,
    max_skipped: float = 0,
) -> GroupedDataset:
    """Convert data to the inputs that a model was fitted on.

    Parameters
    ----------
    data : GroupedDataset
    spec : InputSpec
        The model's.
    backbone : str, optional
        The backbone that the model was fitted with. It is never taken from the model's file, because loading it may run
        code.
    max_skipped : float, default 0
        Share of the images that may be unreadable; they are left out, with a warning.

    Raises
    ------
    LongwayError
        If the data cannot be converted, or are features of another backbone.
    """
    if spec.backbone is None:
        if backbone is not None:
            raise LongwayError("this model was fitted without a backbone: leave out --backbone")
        if data.kind == "texts" and not spec.texts:
            raise LongwayError(f"{data.source} holds texts, but this model was fitted without a backbone for them")
        return pixels(data, spec.transform, max_skipped=max_skipped) if data.kind == "images" else data
    name = spec.backbone["name"]
    if data.kind == "features":
        folder = Path(data.source)
        found = read_meta(folder)["backbone"]["fingerprint"] if is_cache(folder) else None
        if found is not None and found != spec.backbone["fingerprint"]:
            raise LongwayError(
                f"{folder} holds features of another backbone than this model's {name}: embed the data with that one"
            )
        return data
    if backbone is None:
        raise LongwayError(
            f"this model was fitted on features of {name}: give that encoder, or its path, with --backbone"
        )
    return embed(data, same_backbone(backbone, spec, device=device), verbose=verbose, max_skipped=max_skipped)


def same_backbone(backbone: str | Path, spec: InputSpec, *, device: str = "auto") -> Backbone:
    """Load the backbone that a model was fitted with, with the same options.

    Raises
    ------
    LongwayError
        If it is another backbone, or the model was fitted without one.
    """
    if spec.backbone is None:
        raise LongwayError("this model was fitted without a backbone: leave out --backbone")
    options = {name: spec.backbone[name] for name in OPTIONS if name in spec.backbone}
    loaded = load_backbone(backbone, **options, device=device)
    if loaded.fingerprint != spec.backbone["fingerprint"]:
        raise LongwayError(
            f"--backbone {backbone} is not the {spec.backbone['name']} that this model was fitted on (weights or code "
            "differ): give that one, or fit again"
        )
    return loaded
