"""`longway explain`: show what a saved model uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longway.cli._options import AsJson, Backbone, DataOptions, Device, Quiet, Seed, takes_data
from longway.cli.commands import Model
from longway.utils.errors import LongwayError

if TYPE_CHECKING:
    from longway.data import GroupedDataset
    from longway.explaining import Explanation

SHOWN = 10
"""Lines of a table on the terminal."""


@takes_data
def explain(
    model: Model,
    data: DataOptions,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="For explanation.html and explanation.json.")
    ] = Path("longway-explain"),
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside", metavar="FILE", help="Another model on the same inputs to compare with; may be repeated."
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="DATA",
            help="The images or texts behind features, to show them; matched by the names or numbers of the samples.",
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            "--decoder",
            metavar="FOLDER|NAME",
            help="A diffusers pipeline that draws CLIP embeddings, for HSFM's edits.",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="train, val, test or all.",
            show_default="test where there is a split, else all",
        ),
    ] = None,
    n_axes: Annotated[int, typer.Option("--n-axes", min=1, metavar="NUMBER", help="Axes shown with samples.")] = 8,
    n_examples: Annotated[
        int, typer.Option("--n-examples", min=1, max=50, metavar="NUMBER", help="Samples in a row.")
    ] = 6,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=1, metavar="ROWS", help="Samples explained, at most.")
    ] = 10_000,
    seed: Seed = 0,
    backbone: Backbone = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what a model uses, on real samples: axes, saliency, attributes, edits, confident predictions."""
    from longway.cli import _models, _printing
    from longway.cli._advice import data_words, explanation_with_commands
    from longway.cli._audit_data import without_columns
    from longway.explaining import explain as explain_model
    from longway.explaining import load_unclip
    from longway.explaining.page import write_explanation
    from longway.methods import HSFM
    from longway.methods._base import Method
    from longway.methods._persistence import load

    paths = [*(beside or []), model]
    names = _names(paths)
    use = _models.loaded(model, data, "all", backbone, device, quiet)
    assert isinstance(use.model, Method)  # exported files are refused
    if decoder is not None and not isinstance(use.model, HSFM):
        raise LongwayError("--decoder draws the edits of HSFM: leave it out for other models")
    options = data.completed(use.about.get("data", {}))
    inputs = _pictures(len(use.model.input_shape_) == 3, use.data, images, options, backbone)
    found = explain_model(
        use.model,
        without_columns(use.data, [options.split, options.split_by]),
        name=names[-1] if beside else None,
        beside={name: load(path).set_params(device=device) for name, path in zip(names[:-1], paths, strict=False)},
        part=part,
        source=data.source,
        decoder=None if decoder is None else load_unclip(decoder, device=device, seed=seed),
        n_axes=n_axes,
        n_examples=n_examples,
        max_rows=max_rows,
        seed=seed,
        verbose=0 if quiet else 1,
    )
    words = data_words(options, backbone, use.data.kind)
    if backbone is not None and (form := use.about.get("form", {}).get("backbone")):
        words += [] if not form["size"] else ["--size", str(form["size"])]
        words += [word for name in ("mean", "std") for word in (f"--{name}", ",".join(map(str, form[name])))]
    found = explanation_with_commands(found, words)
    page = write_explanation(found, out, inputs)
    if as_json:
        _printing.data(found.to_dict())
    else:
        _show(found)
        _printing.say(f"Page with samples and pictures: {page}")


def _names(paths: list[Path]) -> list[str]:
    """Return short names of model files, all different."""
    stems = [path.stem for path in paths]
    names = [str(path) if stems.count(stem) > 1 else stem for path, stem in zip(paths, stems, strict=True)]
    if len(set(names)) < len(names):
        raise LongwayError("--beside names a model twice: give each file once")
    return names


def _pictures(
    takes_images: bool, data: GroupedDataset, images: str | None, options: DataOptions, backbone: str | None
) -> Any:
    """Return the images or texts behind the features of the data, in their order; None if unknown."""
    if takes_images:
        if images is not None:
            raise LongwayError(
                "--images shows the images behind features, but this model takes the images: leave it out"
            )
        return None
    if images is None and backbone is None:
        return None
    nothing = {"labelled": False, "attributes": (), "group": None, "split": None, "split_by": None, "fractions": None}
    if images is None:
        behind = options.read(**nothing)
    else:
        from longway.data import read

        behind = read(images, fractions=None, labelled=False, allow_outside=options.allow_outside)
    if behind.kind == "features":
        raise LongwayError(f"{behind.source} holds features: give the images or texts behind them with --images")
    where = {str(name): row for row, name in enumerate(behind.ids)}
    missing = [str(name) for name in data.ids if str(name) not in where]
    if missing:
        raise LongwayError(
            f"{behind.source} lacks {len(missing)} rows of {data.source}, the first {missing[0]!r}: give the data "
            "that the features were made of with --images"
        )
    return behind.take([where[str(name)] for name in data.ids]).X


def _show(found: Explanation) -> None:
    from longway.cli import _printing
    from longway.cli._audit_printing import show_notes
    from longway.report.words import clip, percent

    accuracies = ", ".join(f"{clip(name, 40)} {percent(each.value)}" for name, each in found.accuracy.items())
    part = f"of the {found.part} part " if found.part else ""
    _printing.say(f"Accuracy on {found.n:,} samples {part}of {clip(found.source)}: {accuracies}")
    if found.axes:
        rows = [
            [each.name, f"{each.score:.2f}", "-" if each.effect != each.effect else f"{100 * each.effect:.1f}"]
            + (["yes" if each.flat else "no"] if found.flat else [])
            for each in found.axes[:SHOWN]
        ]
        columns = ["Axis", "Shortcut score", "Effect, points", *(["Flat"] if found.flat else [])]
        _printing.table("Axes, the one most correlated with the label first", columns, rows)
    if found.reliance:
        models = list(found.reliance[0].by_model)
        rows = [
            [clip(each.attribute, 50), *(f"{each.by_model[name].value:.2f}" for name in models)]
            for each in found.reliance[:SHOWN]
        ]
        columns = ["Attribute", *(clip(name, 30) for name in models)]
        _printing.table("Reliance on attributes, in standard deviations of the log-odds", columns, rows)
    for each in () if found.edits is None else found.edits.classes:
        near = ", ".join(f"{clip(a.attribute, 40)} {a.cosine:+.2f}" for a in each.alignment[:4])
        _printing.say(f"Edits of class {clip(each.label, 40)}: {100 * each.moved:.1f} % of a sample; cosines: {near}")
    show_notes(found.notes)
