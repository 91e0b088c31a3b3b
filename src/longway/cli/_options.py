"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from longway.utils.errors import CorruptFileError, LongwayError
from longway.utils.rules import Whole
from longway.utils.schema import Maybe, misfit

if TYPE_CHECKING:
    from longway.data import GroupedDataset

DATA = "Data"

Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="ENCODER",
        help="Encoder of images or texts: timm:NAME, torchvision:NAME, hf:NAME, st:NAME, FILE.onnx, FILE.py:FUNCTION."
        " A Python file is run: use only files that you trust.",
    ),
]
Size = Annotated[
    int | None,
    typer.Option("--size", min=4, metavar="PIXELS", help="Side that images are resized to.", show_default=False),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="NUMBERS",
        help="Subtracted from pixels in 0..1; one number or three.",
        show_default="ImageNet's",
    ),
]
Std = Annotated[
    str | None,
    typer.Option("--std", metavar="NUMBERS", help="Divides pixels; one number or three.", show_default="ImageNet's"),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", metavar="NAME", help="Part of the encoder whose output is taken.", show_default="its last"),
]
Pooling = Annotated[
    str | None,
    typer.Option(
        "--pooling",
        metavar="NAME",
        help="Of tokens and maps: mean, max, cls or none.",
        show_default="the encoder's own",
    ),
]
Precision = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="Of the encoder: float32, bfloat16 or float16.")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
TRAINING = "Training"
MixedPrecision = Annotated[
    str,
    typer.Option(
        "--mixed-precision", metavar="NAME", help="32-true, bf16-mixed or 16-mixed.", rich_help_panel=TRAINING
    ),
]
Clip = Annotated[
    float | None,
    typer.Option("--clip", metavar="NORM", help="Shorten gradients to this norm.", rich_help_panel=TRAINING),
]
Devices = Annotated[
    int,
    typer.Option("--devices", min=1, metavar="NUMBER", help="Processes, one a device.", rich_help_panel=TRAINING),
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the training step, on a GPU.", rich_help_panel=TRAINING)
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FOLDER",
        help="Keep the state of the unfinished fit there, and go on from what is there.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FOLDER",
        help="Write the curves of the training there.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]
Tracker = Annotated[
    str,
    typer.Option("--tracker", metavar="NAME", help="Of the curves: tensorboard or mlflow.", rich_help_panel=TRAINING),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="NUMBER", help="Seed of all random draws.")]
MaxSkipped = Annotated[
    float,
    typer.Option(
        "--max-skipped",
        min=0,
        max=1,
        metavar="SHARE",
        help="Share of images that may be unreadable; they are left out and listed.",
    ),
]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="Write ' before words that a spreadsheet would run as a formula (they begin with =, +, - or @).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@dataclass(frozen=True)
class DataOptions:
    """The location of the data and the roles of their columns."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Image folder with metadata.csv, CSV, Parquet, npz, feature folder, or Hugging Face dataset.",
            show_default=False,
        ),
    ]
    label: Annotated[
        str | None, typer.Option("--label", "-y", metavar="COLUMN", help="Column to predict.", rich_help_panel=DATA)
    ] = None
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            "-a",
            metavar="COLUMN",
            help="Column of a spurious attribute; with the label it makes the groups. May be repeated.",
            rich_help_panel=DATA,
        ),
    ] = None
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="COLUMN", help="Column that names the groups itself.", rich_help_panel=DATA),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="COLUMN", help="Column that says train, val or test (or 0, 1, 2).", rich_help_panel=DATA
        ),
    ] = None
    split_by: Annotated[
        str | None,
        typer.Option(
            "--split-by",
            metavar="COLUMN",
            help="Make the split by this column, so that no value of it (a person, say) is in two parts.",
            rich_help_panel=DATA,
        ),
    ] = None
    fractions: Annotated[
        str, typer.Option("--fractions", metavar="NUMBERS", help="Shares of train, val and test.", rich_help_panel=DATA)
    ] = "0.6,0.2,0.2"
    split_seed: Annotated[
        int,
        typer.Option(
            "--split-seed", metavar="NUMBER", help="Seed of a split that is made, and of --limit.", rich_help_panel=DATA
        ),
    ] = 0
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-x",
            metavar="COLUMN",
            help="Column of images, texts or features; globs and repeats welcome.",
            show_default="found",
            rich_help_panel=DATA,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="ROWS", help="Keep that many rows, at random.", rich_help_panel=DATA),
    ] = None
    hf_config: Annotated[
        str | None,
        typer.Option(
            "--hf-config", metavar="NAME", help="Configuration of a Hugging Face dataset.", rich_help_panel=DATA
        ),
    ] = None
    hf_split: Annotated[
        str | None,
        typer.Option("--hf-split", metavar="NAME", help="Split of a Hugging Face dataset.", rich_help_panel=DATA),
    ] = None
    allow_outside: Annotated[
        bool,
        typer.Option(
            "--allow-outside",
            help="Read images that the table names outside its folder: only for tables that you trust.",
            rich_help_panel=DATA,
        ),
    ] = False

    def read(self, **changes: Any) -> GroupedDataset:
        """Read the data; ``changes`` replace options of ``longway.read``."""
        from longway.data import read

        options = {
            "input": self.input,
            "label": self.label,
            "attributes": self.attribute or (),
            "group": self.group,
            "split": self.split,
            "split_by": self.split_by,
            "fractions": numbers(self.fractions, "--fractions"),
            "seed": self.split_seed,
            "limit": self.limit,
            "hf_config": self.hf_config,
            "hf_split": self.hf_split,
            "allow_outside": self.allow_outside,
        }
        return read(self.source, **{**options, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the options that mean something for other data too."""
        kept = ("label", "attribute", "group", "split", "split_by", "fractions", "split_seed", "input")
        return {name: getattr(self, name) for name in kept}

    def completed(self, known: dict[str, Any]) -> DataOptions:
        """Return these options, with those that were left at their defaults taken from a model's own."""
        defaults = {field.name: field.default for field in fields(self)}
        shapes = {name: Maybe(Whole(0) if isinstance(value, int) else str) for name, value in defaults.items()}
        if damage := misfit(known, {**shapes, "attribute": Maybe([str]), "input": Maybe([str])}):
            raise CorruptFileError(f"the model's record of its data is damaged ({damage.strip('.')!r}): fit again")
        known = {name: value for name, value in known.items() if name in defaults and name != "source"}
        given = {name: value for name, value in vars(self).items() if name not in known or value != defaults[name]}
        if given.keys() & {"split", "split_by"}:
            known = {name: value for name, value in known.items() if name not in ("split", "split_by")}
        if given.keys() & {"attribute", "group"}:
            known = {name: value for name, value in known.items() if name not in ("attribute", "group")}
        return DataOptions(**{**vars(self), **known, **given})


def takes_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ``DataOptions`` instead of its parameter ``data``."""
    own = [p for name, p in inspect.signature(command).parameters.items() if name != "data"]
    hints = get_type_hints(command, include_extras=True)
    data_hints = get_type_hints(DataOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [p.replace(annotation=hints[p.name], kind=keyword) for p in own]
    shared = [
        inspect.Parameter(
            field.name,
            keyword,
            default=field.default if field.name != "source" else inspect.Parameter.empty,
            annotation=data_hints[field.name],
        )
        for field in fields(DataOptions)
    ]
    # Arguments come in the order of the signature: the command's own (METHOD, MODEL) before DATA.
    arguments = [p for p in own if p.default is inspect.Parameter.empty]
    merged = [*arguments, *shared, *(p for p in own if p not in arguments)]

    @functools.wraps(command)
    def collected(**values: Any) -> None:
        data = DataOptions(**{field.name: values.pop(field.name) for field in fields(DataOptions)})
        command(data=data, **values)

    collected.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    collected.__annotations__ = {p.name: p.annotation for p in merged}
    del collected.__wrapped__
    return collected


def assignments(settings: Sequence[str], option: str) -> dict[str, Any]:
    """Read settings written NAME=VALUE: a value is JSON, or else a word."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise LongwayError(f"{option} {setting!r} must be NAME=VALUE")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def numbers(text: str | None, option: str) -> list[float] | None:
    """Read numbers separated by commas."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise LongwayError(f"{option}={text!r} must be numbers separated by commas") from error
