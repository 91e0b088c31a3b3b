"""Preprocessing of data for a fit, and the same preprocessing for later data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from longway.backbones import OPTIONS, Backbone, Transform, load_backbone
from longway.backbones.embed import embed
from longway.backbones.pixels import pixels
from longway.data import GroupedDataset
from longway.data.feature_folder import is_cache, read_meta
from longway.utils.errors import LongwayError


@dataclass(frozen=True)
class InputSpec:
    """The preprocessing that turns raw inputs into the inputs of a model.

    Parameters
    ----------
    backbone : dict, optional
        Name, fingerprint and options of the backbone whose features they are.
    size : int, optional
        Side in pixels of images that are taken as they are.
    crop : float, optional
        Share of them that is kept, as in `Transform`.
    interpolation : str, default "bilinear"
        Of their resizing.
    texts : bool, default False
        Whether texts are taken as they are.
    columns : tuple of str
        Columns that the inputs are, where they are read from a table.
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
        """Restore the record of ``to_dict``."""
        known = {field.name: record[field.name] for field in fields(cls) if field.name in record}
        return cls(**{**known, "columns": tuple(known.get("columns", ()))})

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
) -> tuple[GroupedDataset, InputSpec]:
    """Convert data for a fit to arrays.

    Parameters
    ----------
    data : GroupedDataset
        Features, images or texts.
    backbone : str, optional
        Embeds images and texts, named as for `longway.backbones.load_backbone`; its features are cached.
    size, mean, std, layer, pooling, precision
        Of the backbone; ``size`` also of images that are taken without one.
    device : str, default "auto"
    verbose : int, default 1

    Returns
    -------
    data : GroupedDataset
        X is an array or memmap.
    form : Form
        How to do the same again.

    Raises
    ------
    LongwayError
        If texts come without a backbone, or features with one.
    """
    if data.kind == "features":
        if backbone is not None:
            raise LongwayError(f"{data.source} holds features already: leave out --backbone")
        if is_cache(Path(data.source)):
            return data, InputSpec(backbone=read_meta(Path(data.source))["backbone"])
        return data, InputSpec(columns=data.inputs)
    if backbone is not None:
        loaded = load_backbone(
            backbone,
            size=size,
            mean=mean,
            std=std,
            layer=layer,
            pooling=pooling,
            precision=precision,
            device=device,
        )
        embedded = embed(data, loaded, verbose=verbose)
        return embedded, InputSpec(backbone=read_meta(Path(embedded.source))["backbone"], columns=data.inputs)
    if data.kind == "texts":
        raise LongwayError(
            f"{data.source} holds texts: give --backbone to embed them, such as st:NAME or path/to/file.py:function"
        )
    form = InputSpec(size=size)
    return pixels(data, form.transform), form


def match_inputs(
    data: GroupedDataset, form: InputSpec, *, backbone: str | None = None, device: str = "auto", verbose: int = 1
) -> GroupedDataset:
    """Convert data to the form that a model was fitted on.

    Parameters
    ----------
    data : GroupedDataset
    form : Form
        As the model keeps it.
    backbone : str, optional
        The backbone that the model's features came from. It is never taken from the model's file, because it is code
        that will be run.

    Raises
    ------
    LongwayError
        If the data cannot take that form, or features come from another backbone.
    """
    if form.backbone is None:
        if backbone is not None:
            raise LongwayError("this model was fitted without a backbone: leave out --backbone")
        if data.kind == "texts" and not form.texts:
            raise LongwayError(f"{data.source} holds texts, but this model was fitted without a backbone for them")
        return pixels(data, form.transform) if data.kind == "images" else data
    name = form.backbone["name"]
    if data.kind == "features":
        folder = Path(data.source)
        found = read_meta(folder)["backbone"]["fingerprint"] if is_cache(folder) else None
        if found is not None and found != form.backbone["fingerprint"]:
            raise LongwayError(
                f"{folder} holds features of another backbone than this model's {name}: embed the data again with that"
            )
        return data
    if backbone is None:
        raise LongwayError(
            f"this model was fitted on features of {name}: give that encoder, or the path of it, with --backbone"
        )
    return embed(data, same_backbone(backbone, form, device=device), verbose=verbose)


def same_backbone(backbone: str | Path, form: InputSpec, *, device: str = "auto") -> Backbone:
    """Load the backbone of a model's fit, with its options.

    Raises
    ------
    LongwayError
        If it is another one, or the model was fitted without any.
    """
    if form.backbone is None:
        raise LongwayError("this model was fitted without a backbone: leave out --backbone")
    own = {name: form.backbone[name] for name in OPTIONS if name in form.backbone}
    loaded = load_backbone(backbone, **own, device=device)
    if loaded.fingerprint != form.backbone["fingerprint"]:
        raise LongwayError(
            f"--backbone {backbone} is not the {form.backbone['name']} that this model was fitted on (weights or code "
            "differ): give that one, or fit again"
        )
    return loaded
