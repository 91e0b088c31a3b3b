"""`longway.explain`: pictures and figures of what a fitted model uses."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from longway.auditing.model import accuracy
from longway.explaining.attributes import Attribute, known_attributes, relied_on
from longway.explaining.axes import view_axes
from longway.explaining.decoding import Decoder
from longway.explaining.edits import explain_edits
from longway.explaining.inputs import Case, make_case
from longway.explaining.result import Direction, Edits, Explanation, Heat, Reliance
from longway.explaining.saliency import can_be_seen, heat_maps
from longway.groups.axes import AxisGroups
from longway.methods import ERM, HSFM, SITARHead
from longway.methods._base import Method
from longway.utils.errors import LongwayError
from longway.utils.progress import progress
from longway.utils.records import Estimate

ANSWERS = 6
"""Classes whose log-odds are shown, the most frequent ones."""
SCORES = "val_"
"""Prefix of the scores in a history."""


def explain(
    model: Method | AxisGroups,
    data: Any,
    y: Any = None,
    *,
    name: str | None = None,
    beside: Method | Mapping[str, Method] | None = None,
    metadata: Mapping[str, Any] | None = None,
    split: Any = None,
    part: str | None = None,
    ids: Any = None,
    source: str | None = None,
    decoder: Decoder | None = None,
    n_axes: int = 8,
    n_examples: int = 6,
    max_rows: int = 10_000,
    seed: int = 0,
    verbose: int = 0,
) -> Explanation:
    """Show what a fitted model uses, on real samples.

    Of every model: the samples about which it is surest, how far it relies on known attributes, its validation scores
    over epochs. Of networks on images also where they look (Grad-CAM; of generative classifiers what each pixel adds);
    of ``SITAR``, of groups inferred from axes and of ``SITARHead`` also their axes, each with its shortcut score and
    the samples at both ends; of ``HSFM`` also what the edits of its support mean.

    Parameters
    ----------
    model : Method or AxisGroups
        Fitted, or from ``infer_groups``.
    data : ndarray of shape (n, d) or (n, c, h, w), or GroupedDataset
        Samples as the model takes them.
    y : array-like of shape (n,), optional
        Labels; needed where ``data`` is an array.
    name : str, optional
        Of the model, in the report; by default its class.
    beside : Method or mapping of str to Method, optional
        Models on the same inputs, to compare it with. A model on features is compared with an ``ERM`` that is fitted
        here to the training rows if none is given.
    metadata : mapping of str to array-like of shape (n,), optional
        Known attributes, beside those of a data set.
    split : array-like of shape (n,), optional
        "train", "val" or "test". Nearest samples are looked for in the train part, where there is one.
    part : str, optional
        The part to look at, or "all"; by default "test" where there is one, else all.
    ids : array-like of shape (n,), optional
        Names of the rows.
    source : str, optional
        Where the data come from.
    decoder : callable, optional
        Features (k, d) to pictures (k, h, w, 3), to draw the edits of ``HSFM``; see
        ``longway.explaining.load_unclip``.
    n_axes : int, default 8
        Axes that are shown with samples.
    n_examples : int, default 6
        Samples at each end, images with Grad-CAM, support rows of a class.
    max_rows : int, default 10000
        Samples that are looked at, and training rows, at most; drawn at random.
    seed : int, default 0
    verbose : int, default 0
        1 shows a progress bar.

    Returns
    -------
    Explanation
        ``longway.explaining.page.write_explanation`` makes a page of it.

    Raises
    ------
    LongwayError
        On input that cannot be used; the message names the argument.

    Examples
    --------
    >>> from longway import ERM, explain
    >>> from longway.datasets._make_planted import planted_shortcut
    >>> drawn = planted_shortcut(400, correlation=0.95)
    >>> found = explain(ERM().fit(drawn.X, drawn.y), drawn.X, drawn.y, metadata={"shortcut": drawn.shortcut})
    >>> found.reliance[0].attribute, found.reliance[0].by_model["ERM"].value > 1
    ('shortcut = 1', True)
    """
    began = time.perf_counter()
    for argument, number in {"n_axes": n_axes, "n_examples": n_examples, "max_rows": max_rows}.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise LongwayError(f"{argument}={number!r} must be a whole number, 1 or more")
    if decoder is not None and not isinstance(model, HSFM):
        raise LongwayError("decoder draws the edits of HSFM: leave it out for other models")
    with progress("Explaining", 5, show=verbose > 0) as advance:
        case = make_case(
            model, data, y, name=name, beside=beside, metadata=metadata, split=split, part=part, ids=ids,
            source=source, max_rows=int(max_rows), seed=seed,
        )  # fmt: skip
        advance("attributes")
        attributes, notes = known_attributes(case.columns, case.codes[case.looked_at])
        case, more = _with_ordinary(case) if attributes else (case, [])
        reliance = _reliance(case, attributes)
        advance("axes")
        axes, flat = _axes(case, n_axes, n_examples)
        advance("where it looks")
        heat, unseen = _heat(case, n_examples, seed)
        advance("edits")
        edits = _edits(case, attributes, n_examples, decoder, verbose)
        advance()
    settings = {"n_axes": n_axes, "n_examples": n_examples, "max_rows": max_rows, "seed": seed}
    return Explanation(
        source=case.source,
        kind="images" if case.X.ndim == 4 else "features",
        name=case.name,
        method=type(model).__name__,
        n=len(case.looked_at),
        n_given=case.n_given,
        part=case.part,
        accuracy=_accuracies(case),
        axes=axes,
        flat=flat,
        answers=_answers(case, n_examples),
        heat=heat,
        reliance=reliance,
        edits=edits,
        curves={name: scores for name, each in case.models.items() if (scores := _scores(each))},
        notes=(*notes, *more, *unseen, *model.caveats),
        settings=settings,
        seconds=time.perf_counter() - began,
        y=case.y,
        looked_at=case.looked_at,
        rows=case.rows,
        images=case.X if case.X.ndim == 4 else None,
    )


def _accuracies(case: Case) -> dict[str, Estimate]:
    X, labels = case.X[case.looked_at], case.y[case.looked_at]
    return {name: accuracy(model.predict(X) == labels) for name, model in case.models.items()}


def _with_ordinary(case: Case) -> tuple[Case, list[str]]:
    """Return the case with an ordinary head beside a model on features that nothing else is beside, and notes."""
    if len(case.models) != 1 or case.X.ndim != 2 or isinstance(case.model, ERM | AxisGroups):
        return case, []
    train = case.train
    ordinary = ERM(device=case.model.device).fit(case.X[train], case.y[train])
    notes = [f"an ordinary head (ERM) was fitted here to {len(train):,} rows, to compare with"]
    if np.array_equal(train, case.looked_at):
        notes.append("no training part is known: these rows are also those that were looked at")
    return replace(case, beside={"ERM": ordinary}), notes


def _reliance(case: Case, attributes: list[Attribute]) -> tuple[Reliance, ...]:
    """Return how far the models rely on attributes."""
    if not attributes or not case.models:
        return ()
    X = case.X[case.looked_at]
    odds = {name: log_odds(model, X) for name, model in case.models.items()}
    return relied_on(attributes, odds, case.codes[case.looked_at], case.classes)


def log_odds(model: Method, X: np.ndarray) -> np.ndarray:
    """Return the log-odds of each class against all others, (n, C)."""
    logits = torch.from_numpy(model._logits(X)).double()
    rest = torch.stack(
        [torch.cat([logits[:, :c], logits[:, c + 1 :]], 1).logsumexp(1) for c in range(logits.shape[1])], 1
    )
    return (logits - rest).numpy()


def _answers(case: Case, n_examples: int) -> tuple[Direction, ...]:
    """Return what the model says, with the samples of which it is surest."""
    if not isinstance(case.model, Method):
        return ()
    odds = log_odds(case.model, case.X[case.looked_at])
    if len(case.classes) == 2:
        shown = [1]
    else:
        counts = np.bincount(case.codes[case.looked_at], minlength=len(case.classes))
        shown = np.argsort(-counts, kind="stable")[:ANSWERS].tolist()
    return tuple(Direction(case.classes[c], c, *case.ends(odds[:, c], n_examples), values=odds[:, c]) for c in shown)


def _axes(case: Case, n_axes: int, n_examples: int) -> tuple[tuple[Direction, ...], tuple[int, ...]]:
    """Return the leading axes with their samples, and all axes that the head is flat along."""
    view = view_axes(case.model, case.X[case.looked_at])
    if view is None:
        return (), ()
    names = isinstance(case.model, SITARHead)
    axes = []
    for j in np.argsort(-view.scores, kind="stable")[:n_axes].tolist():
        values = view.values[:, j].astype(np.float64)
        axes.append(
            Direction(
                name=f"axis {j}",
                index=j,
                **dict(zip(("low", "high"), case.ends(values, n_examples), strict=True)),
                score=float(view.scores[j]),
                effect=float(view.effect[j]),
                flat=j in view.flat,
                command=name_axes(case, [j]) if names else "",
                python=f"longway.SITARHead(axes=[{j}]).fit(X, y)" if names else "",
                values=values,
                traversal=None if view.traversals is None else view.traversals[j],
            )
        )
    return tuple(axes), view.flat


def name_axes(case: Case, axes: list[int]) -> str:
    """Return the command that fits a head flat along named axes, with the other parameters of the one explained."""
    assert isinstance(case.model, SITARHead)
    words = ["longway", "fit", "sitarhead", case.source, "--set", f"axes={axes}".replace(" ", "")]
    ordinary = SITARHead().get_params()
    for key, value in case.model.get_params().items():
        if key not in ("axes", "device", "verbose") and value != ordinary[key] and not hasattr(value, "tolist"):
            words += ["--set", f"{key}={value}"]
    return shlex.join(words)


def _heat(case: Case, n_examples: int, seed: int) -> tuple[tuple[Heat, ...], list[str]]:
    """Return where the models look in a few images, those first about which they disagree, and notes."""
    if case.X.ndim != 4:
        return (), []
    usable: dict[str, Method] = {}
    notes = []
    for name, model in case.models.items():
        try:
            can_be_seen(model._fitted_module())
            usable[name] = model
        except LongwayError as error:
            notes.append(f"{name}: {error}")
    if not usable:
        return (), notes
    codes = {name: model._logits(case.X[case.looked_at]).argmax(1) for name, model in usable.items()}
    chosen = _telling(np.stack(list(codes.values())), case.codes[case.looked_at], n_examples, seed)
    rows = case.looked_at[chosen]
    maps = {}
    for name, model in usable.items():
        module = model._fitted_module()
        weight = next(module.parameters())
        images = torch.from_numpy(case.X[rows]).to(weight)
        maps[name] = heat_maps(module, images, torch.from_numpy(codes[name][chosen]).to(weight.device)).cpu().numpy()
    found = []
    for place, row in enumerate(rows):
        said = {name: case.classes[code[chosen[place]]] for name, code in codes.items()}
        found.append(Heat(case.example(row), said, {name: each[place] for name, each in maps.items()}))
    return tuple(found), notes


def _telling(said: np.ndarray, codes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return positions of so many rows, classes in turn: those about which models (k, n) disagree, then errors."""
    order = np.random.default_rng(seed).permutation(len(codes))
    interest = 2 * (said != said[0]).any(0) + (said[-1] != codes)
    order = order[np.argsort(-interest[order], kind="stable")]
    turn = np.empty(len(order), np.int64)
    for code in np.unique(codes):
        own = codes[order] == code
        turn[own] = np.arange(own.sum())
    return order[np.argsort(turn, kind="stable")[:n]]


def _edits(
    case: Case, attributes: list[Attribute], n_examples: int, decoder: Decoder | None, verbose: int
) -> Edits | None:
    if not isinstance(case.model, HSFM):
        return None
    return explain_edits(
        case.model,
        case.classes,
        case.X[case.looked_at],
        case.codes[case.looked_at],
        attributes,
        case.X[case.train],
        nearest=lambda row, distance: case.example(case.train[row], distance),
        ends=lambda values: case.ends(values, n_examples),
        n_examples=n_examples,
        decoder=decoder,
        verbose=verbose,
    )


def _scores(model: Method) -> tuple[dict[str, float], ...]:
    """Return the validation scores of each epoch of a fit."""
    found = []
    for record in model.history_:
        scores = {key: float(value) for key, value in record.items() if key.startswith(SCORES)}
        if scores:
            found.append({"epoch": float(record["epoch"]), **scores})
    return tuple(found)
