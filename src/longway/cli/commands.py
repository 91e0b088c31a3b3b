"""The commands, one function each; torch and the rest are imported only where they are used."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from longway.cli._options import (
    AsJson,
    Backbone,
    Checkpoint,
    Clip,
    Compile,
    DataOptions,
    Device,
    Devices,
    EscapeFormulas,
    Layer,
    Log,
    MaxSkipped,
    Mean,
    MixedPrecision,
    Pooling,
    Precision,
    Quiet,
    Size,
    Std,
    Tracker,
    numbers,
    takes_data,
)

NAMES = ("demo", "embed", "fit", "evaluate", "predict", "methods")

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="What `longway fit` saved.", show_default=False)]
AnyModel = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="What `longway fit` or `longway export` wrote.", show_default=False),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--part", metavar="NAME", help="train, val, test or all.", show_default="test where there is a split, else all"
    ),
]


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="For the report and the figures.")] = Path(
        "longway-demo"
    ),
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, metavar="NUMBER", help="Fits of each method.")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="NUMBER", help="Processes; -1 is one per core.")] = -1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """See an ordinary classifier fall for a shortcut, and methods that do not: no download, about a minute."""
    from longway.cli import _printing
    from longway.demo import report, run
    from longway.utils.storage import write_json

    if not (quiet or as_json):
        _printing.say("Coloured digits: in training a colour gives the label away; in the test it lies.")
    result = run(seeds, n_jobs=jobs, verbose=0 if quiet else 1)
    write_json(out / "results.json", result.record)
    page = report(result).save(out / "report.html")
    if as_json:
        _printing.data(result.record)
    else:
        _printing.demo_table(result.record)
        _printing.say(f"Report with pictures: {page}")


@takes_data
def embed(
    data: DataOptions,
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            metavar="ENCODER",
            help="timm:NAME, torchvision:NAME, hf:NAME, st:NAME, FILE.onnx, FILE.py:FUNCTION.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="For the features.", show_default="in the cache"),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="NAME", help="float16 or float32.")] = "float16",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, metavar="ROWS", help="Inputs a forward pass.")] = 64,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace other features in that folder.")] = False,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    layer: Layer = None,
    pooling: Pooling = None,
    precision: Precision = "float32",
    device: Device = "auto",
    max_skipped: MaxSkipped = 0.01,
    quiet: Quiet = False,
) -> None:
    """Run images or texts through a backbone, once, into a folder of features; interrupted, it goes on where it was."""
    from longway.backbones import load_backbone
    from longway.backbones.embed import embed as embed_data
    from longway.cli import _models, _printing

    encoder = load_backbone(
        backbone,
        size=size,
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
        layer=layer,
        pooling=pooling,
        precision=precision,
        device=device,
    )
    raw = data.read(split_by=None, fractions=None, labelled=False)  # splits are made when the features are read
    features = embed_data(
        raw,
        encoder,
        out=out,
        dtype=dtype,  # type: ignore[arg-type]
        batch_size=batch_size,
        overwrite=overwrite,
        verbose=0 if quiet else 1,
        max_skipped=max_skipped,
    )
    inputs = ", ".join(raw.inputs) or raw.kind
    _printing.say(
        f"{len(features):,} rows of {_models.array(features).shape[1]:,} features of {inputs} in {features.source}"
    )


@takes_data
def fit(
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD",
            help="erm, rwy, suby, rwg, subg, groupdro, jtt, lff, ccr, sitar, sitarhead, irm, vrex, chromavae, "
            "generativeclassifier, diffusionclassifier, freezethentrain, repspectral, gccs, semanticanchor, dfr, afr, "
            "llr, selective, lort or hsfm.",
            show_default=False,
        ),
    ],
    data: DataOptions,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to save the model.")] = Path(
        "model.safetensors"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in that file.")] = False,
    paper: Annotated[
        str | None,
        typer.Option("--paper", metavar="NAME", help="Use the paper's setting of this name (see `longway methods`)."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE", help="Set a parameter of the method; may be repeated."),
    ] = None,
    use_groups: Annotated[
        str,
        typer.Option(
            "--use-groups",
            metavar="WHOSE",
            help="Groups that the method may see: none, val (of the val part, to select), or train (of both).",
        ),
    ] = "none",
    signal: Annotated[
        list[str] | None,
        typer.Option(
            "--signal",
            metavar="NAME",
            help="A signal that `longway audit` found: its sides make groups, of the rows audited. May be repeated.",
        ),
    ] = None,
    audit: Annotated[Path, typer.Option("--audit", metavar="FOLDER", help="Where that audit is.")] = Path(
        "longway-audit"
    ),
    backbone: Backbone = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    layer: Layer = None,
    pooling: Pooling = None,
    precision: Precision = "float32",
    device: Device = "auto",
    devices: Devices = 1,
    mixed_precision: MixedPrecision = "32-true",
    clip: Clip = None,
    compile: Compile = False,
    checkpoint: Checkpoint = None,
    log: Log = None,
    tracker: Tracker = "tensorboard",
    max_skipped: MaxSkipped = 0.01,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train METHOD on the train part of DATA, select on its val part, and save the model to one file."""
    from longway.auditing.group_export import group_by_sides
    from longway.backbones.preprocessing import prepare_inputs
    from longway.cli import _models, _printing
    from longway.methods._persistence import save
    from longway.training.options import TrainingOptions, training_options

    how: dict[str, Any] = {"mixed_precision": mixed_precision, "clip": clip, "devices": devices, "compile": compile}
    how |= {"checkpoint": checkpoint, "log": log, "tracker": tracker}
    TrainingOptions(**how)  # refused before the data are read
    model = _models.make(method, paper, set_ or [], device, 0 if quiet else 1)
    _models.check_use(use_groups, data, bool(signal))
    _models.check_out(out, overwrite)
    whole = _models.labelled(data.read())
    raw = group_by_sides(whole, audit, signal) if signal else whole
    _models.check_kind(raw, model, method, backbone)
    dataset, form = prepare_inputs(
        raw,
        backbone=backbone,
        size=size,
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
        layer=layer,
        pooling=pooling,
        precision=precision,
        device=device,
        verbose=0 if quiet else 1,
        max_skipped=max_skipped,
    )
    with training_options(**how):
        _models.fit(model, dataset, use_groups)
    about = {"data": data.to_dict(), "form": form.to_dict(), "train_counts": _models.train_counts(dataset)}
    save(model, out, about=about)
    part = "val" if "val" in dataset.parts else "train" if dataset.parts else "all"
    metrics = _models.evaluate(model, dataset, part, about["train_counts"])
    decided = _models.decisions(dataset, data, raw.inputs)
    record = {"model": str(out), "method": method, "supervision": model.supervision_, "selection": model.selection_}
    if as_json:
        _printing.data({**record, **decided, "caveats": model.caveats, "part": part, **_models.figures(metrics)})
    else:
        _printing.group_table(metrics, f"{type(model).__name__} on the {part} part of {data.source}")
        _printing.say("\n".join(_models.decision_lines(decided, model)))
        _printing.say(f"Group labels used: {model.supervision_}. Saved {out}")
        if len(raw) < len(whole):
            _printing.say(
                f"{len(raw):,} of {len(whole):,} rows were audited and lie surely on a side: the fit took these"
            )
        if model.selection_ and part == "val" and "test" in dataset.parts:
            _printing.say(f"The fit has used the val part. What counts is: longway evaluate {out} {data.source}")
        for caveat in model.caveats:
            _printing.say(f"Caveat: {caveat}")


@takes_data
def evaluate(
    model: AnyModel,
    data: DataOptions,
    part: Part = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML report too.")] = None,
    backbone: Backbone = None,
    device: Device = "auto",
    max_skipped: MaxSkipped = 0.01,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Print the accuracy of each group, with intervals; columns and split are those of the fit unless named anew."""
    from longway.cli import _models, _printing

    use = _models.loaded(model, data, part, backbone, device, quiet, exported=True, max_skipped=max_skipped)
    metrics = _models.evaluate(use.model, use.data, use.part, use.about.get("train_counts"))
    title = f"{_models.name(use.model)} on the {use.part} part of {data.source}"
    if report is not None:
        from longway.metrics.page import evaluation_page

        evaluation_page(metrics, title, {"Model": str(model), "Group labels used": use.model.supervision_}).save(report)
    if as_json:
        _printing.data({"model": str(model), "part": use.part, **_models.figures(metrics)})
    else:
        _printing.group_table(metrics, title)
        if use.drawn:
            _printing.say("This part was drawn at random, as in the fit. If the fit saw none of these data: --part all")
        if report is not None:
            _printing.say(f"Report: {report}")


@takes_data
def predict(
    model: AnyModel,
    data: DataOptions,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="CSV file.", show_default="standard output")
    ] = None,
    part: Part = None,
    backbone: Backbone = None,
    device: Device = "auto",
    max_skipped: MaxSkipped = 0.01,
    escape_formulas: EscapeFormulas = False,
    quiet: Quiet = False,
) -> None:
    """Write a CSV of predictions and class probabilities, one line for each row of DATA; needs no labels."""
    from longway.cli import _models
    from longway.utils.errors import printable
    from longway.utils.spreadsheet import cell
    from longway.utils.storage import atomic_file

    if out is not None:
        _models.check_out(out)
    use = _models.loaded(
        model,
        data,
        part or "all",
        backbone,
        device,
        quiet,
        with_labels=False,
        exported=True,
        max_skipped=max_skipped,
    )
    probabilities = use.model.predict_proba(_models.array(use.data))
    header = ["id", "prediction", *(f"p({name})" for name in use.model.classes_)]
    labels = use.model.classes_[probabilities.argmax(1)]

    def write(file: Any, shown: Any = lambda value: value) -> None:
        def word(value: Any) -> Any:
            return shown(cell(value) if escape_formulas else value)

        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([word(name) for name in header])
        for row, label, p in zip(use.data.ids, labels, probabilities, strict=True):
            lines.writerow([word(row), word(label), *(f"{value:.6g}" for value in p)])

    if out is None:
        write(sys.stdout, printable)
    else:
        with atomic_file(out, "w") as file:
            write(file)


def methods(as_json: AsJson = False) -> None:
    """List the methods: what each does, the group labels it may use, its published settings and parameters."""
    from longway.cli import _printing
    from longway.methods import METHODS

    records = [
        {
            "method": name,
            "summary": (cls.__doc__ or "").strip().splitlines()[0],
            "supervision": cls.supervision,
            "published": list(cls.published),
            "parameters": {key: json.loads(json.dumps(value)) for key, value in cls().get_params().items()},
        }
        for name, cls in METHODS.items()
    ]
    if as_json:
        _printing.data(records)
    else:
        _printing.methods_table(records)
