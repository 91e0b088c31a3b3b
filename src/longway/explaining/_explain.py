"""Explain a fitted model: `longway.explain`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from longway.auditing.estimates import accuracy
from longway.auditing.findings import Advice
from longway.auditing.prepare import as_dataset
from longway.explaining.attributes import Attribute, known_attributes, measure_reliance
from longway.explaining.axes import view_axes
from longway.explaining.decoding import Decoder
from longway.explaining.edits import explain_edits
from longway.explaining.inputs import ExplainInputs, collect_inputs
from longway.explaining.result import Direction, Edits, Explanation, Heat, Reliance
from longway.explaining.saliency import check_visible, heat_maps
from longway.groups.axes import AxisGroups
from longway.methods import ERM, HSFM, SITARHead
from longway.methods._base import Method
from longway.utils.errors import LongwayError
from longway.utils.progress import progress

MAX_CLASSES = 6
"""Classes whose log-odds are shown, the most frequent ones."""
SCORE_PREFIX = "val_"
"""Prefix of validation scores in a history."""


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

    For every model: its most confident predictions, its reliance on known attributes, and its validation scores over
    epochs. For networks on images also saliency maps (Grad-CAM; for generative classifiers the contribution of each
    pixel). For ``SITAR``, ``SITARHead`` and groups inferred from axes also the axes, each with its shortcut score and
    the samples at both ends. For ``HSFM`` also the meaning of the edits of its support.

    Parameters
    ----------
    model : Method or AxisGroups
        Fitted, or from ``infer_groups``.
    data : ndarray of shape (n, d) or (n, c, h, w), or GroupedDataset
        Samples as the model takes them.
    y : array-like of shape (n,), optional
        Labels; required if ``data`` is an array.
    name : str, optional
        Name of the model in the report; by default its class.
    beside : Method or mapping of str to Method, optional
        Models on the same inputs to compare it with. By default a model on features is compared with an ``ERM`` that is
        fitted here to the training samples.
    metadata : mapping of str to array-like of shape (n,), optional
        Known attributes in addition to those of a data set.
    split : array-like of shape (n,), optional
        "train", "val" or "test". Nearest samples are taken from the train part, if there is one.
    part : str, optional
        The part to explain, or "all"; by default "test" if there is one, else all.
    ids : array-like of shape (n,), optional
        Names of the samples.
    source : str, optional
        Where the data come from.
    decoder : callable, optional
        Maps features (k, d) to pictures (k, h, w, 3), to draw the edits of ``HSFM``; see
        ``longway.explaining.load_unclip``.
    n_axes : int, default 8
        Axes that are shown with samples.
    n_examples : int, default 6
        Samples at each end, images with saliency maps, and support samples per class.
    max_rows : int, default 10000
        Explained samples, and training samples, at most; drawn at random.
    seed : int, default 0
    verbose : int, default 0
        1 shows a progress bar.

    Returns
    -------
    Explanation
        ``longway.explaining.page.write_explanation`` turns it into a page.

    Raises
    ------
    LongwayError
        An argument cannot be used; the message names it.

    Examples
    --------
    >>> from longway import ERM, explain
    >>> from longway.datasets import make_planted_shortcut
    >>> drawn = make_planted_shortcut(400, correlation=0.95)
    >>> found = explain(ERM().fit(drawn.X, drawn.y), drawn.X, drawn.y, metadata={"shortcut": drawn.shortcut})
    >>> found.reliance[0].attribute, found.reliance[0].by_model["ERM"].value > 1
    ('shortcut = 1', True)
    """
    began = time.perf_counter()
    settings = {"n_axes": n_axes, "n_examples": n_examples, "max_rows": max_rows}
    for argument, number in settings.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise LongwayError(f"{argument}={number!r} must be a whole number, 1 or more")
    if decoder is not None and not isinstance(model, HSFM):
        raise LongwayError("decoder draws the edits of HSFM: leave it out for other models")
    with progress("Explaining", 5, show=verbose > 0) as advance:
        given = as_dataset(data, y, metadata, split, ids, source)
        inputs = collect_inputs(model, given, name=name, beside=beside, part=part, max_rows=int(max_rows), seed=seed)
        advance("attributes")
        attributes, notes = known_attributes(inputs.columns, inputs.explained_codes)
        if attributes:
            inputs, more = _with_baseline(inputs)
            notes = [*notes, *more]
        reliance = _reliance(inputs, attributes)
        advance("axes")
        axes, flat = _axes(inputs, n_axes, n_examples)
        advance("saliency maps")
        heat, unseen = _heat(inputs, n_examples, seed)
        advance("edits")
        edits = _edits(inputs, attributes, n_examples, decoder, verbose)
        advance()
    X, labels = inputs.explained_inputs, inputs.y[inputs.explained]
    return Explanation(
        source=inputs.source,
        kind="images" if X.ndim == 4 else "features",
        name=inputs.name,
        method=type(model).__name__,
        n=len(labels),
        n_given=inputs.n_given,
        part=inputs.part,
        accuracy={name: accuracy(each.predict(X) == labels) for name, each in inputs.models.items()},
        axes=axes,
        flat=flat,
        answers=_answers(inputs, n_examples),
        heat=heat,
        reliance=reliance,
        edits=edits,
        curves={name: scores for name, each in inputs.models.items() if (scores := _scores(each))},
        notes=(*notes, *unseen, *model.caveats),
        settings={**settings, "seed": seed},
        seconds=time.perf_counter() - began,
        y=inputs.y,
        explained=inputs.explained,
        rows=inputs.rows,
        images=inputs.X if X.ndim == 4 else None,
    )


def _with_baseline(inputs: ExplainInputs) -> tuple[ExplainInputs, list[str]]:
    """Add an ordinary head to compare a model on features with, unless another model was given; also return notes."""
    if len(inputs.models) != 1 or inputs.X.ndim != 2 or isinstance(inputs.model, ERM | AxisGroups):
        return inputs, []
    train = inputs.train
    baseline = ERM(device=inputs.model.device).fit(inputs.X[train], inputs.y[train])
    notes = [f"an ordinary head (ERM) was fitted to {len(train):,} samples, to compare with"]
    if np.array_equal(train, inputs.explained):
        notes.append("there is no training part: that head was fitted to the explained samples")
    return replace(inputs, others={"ERM": baseline}), notes


def _reliance(inputs: ExplainInputs, attributes: list[Attribute]) -> tuple[Reliance, ...]:
    if not attributes or not inputs.models:
        return ()
    odds = {name: log_odds(model, inputs.explained_inputs) for name, model in inputs.models.items()}
    return measure_reliance(attributes, odds, inputs.explained_codes, inputs.classes)


def log_odds(model: Method, X: np.ndarray) -> np.ndarray:
    """Return the log-odds of each class against all others, (n, C)."""
    logits = torch.from_numpy(model._logits(X)).double()
    rest = torch.stack(
        [torch.cat([logits[:, :c], logits[:, c + 1 :]], 1).logsumexp(1) for c in range(logits.shape[1])], 1
    )
    return (logits - rest).numpy()


def _answers(inputs: ExplainInputs, n_examples: int) -> tuple[Direction, ...]:
    """Return the log-odds of the second of two classes, or of the most frequent of several."""
    if not isinstance(inputs.model, Method):
        return ()
    odds = log_odds(inputs.model, inputs.explained_inputs)
    if len(inputs.classes) == 2:
        shown = [1]
    else:
        counts = np.bincount(inputs.explained_codes, minlength=len(inputs.classes))
        shown = np.argsort(-counts, kind="stable")[:MAX_CLASSES].tolist()
    return tuple(
        Direction(inputs.classes[c], c, *inputs.ends(odds[:, c], n_examples), values=odds[:, c]) for c in shown
    )


def _axes(inputs: ExplainInputs, n_axes: int, n_examples: int) -> tuple[tuple[Direction, ...], tuple[int, ...]]:
    """Return the axes with the highest shortcut scores, and the numbers of all that the head is flat along."""
    view = view_axes(inputs.model, inputs.explained_inputs)
    if view is None:
        return (), ()
    axes = []
    for j in np.argsort(-view.scores, kind="stable")[:n_axes].tolist():
        values = view.values[:, j].astype(np.float64)
        low, high = inputs.ends(values, n_examples)
        advice = _name_axis(inputs.model, j) if isinstance(inputs.model, SITARHead) else None
        python = "" if advice is None else f"longway.SITARHead({_arguments(advice.settings)}).fit(X, y)"
        axes.append(
            Direction(
                name=f"axis {j}",
                index=j,
                low=low,
                high=high,
                score=float(view.scores[j]),
                effect=float(view.effect[j]),
                flat=j in view.flat,
                advice=advice,
                python=python,
                values=values,
                traversal=None if view.traversals is None else view.traversals[j],
            )
        )
    return tuple(axes), view.flat


def _name_axis(model: SITARHead, axis: int) -> Advice:
    """Return a fit of a head that is flat along this axis, with the other parameters of the explained one."""
    defaults = SITARHead().get_params()
    changed = {
        key: value
        for key, value in model.get_params().items()
        if key not in ("axes", "device", "verbose") and value != defaults[key] and not hasattr(value, "tolist")
    }
    return Advice("sitarhead", {"axes": [axis], **changed})


def _arguments(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _heat(inputs: ExplainInputs, n_examples: int, seed: int) -> tuple[tuple[Heat, ...], list[str]]:
    """Return saliency maps of a few images, those first on which the models disagree, and notes."""
    if inputs.X.ndim != 4:
        return (), []
    usable: dict[str, Method] = {}
    notes = []
    for name, model in inputs.models.items():
        try:
            check_visible(model._fitted_module())
            usable[name] = model
        except LongwayError as error:
            notes.append(f"{name}: {error}")
    if not usable:
        return (), notes
    codes = {name: model._logits(inputs.explained_inputs).argmax(1) for name, model in usable.items()}
    chosen = _most_informative(np.stack(list(codes.values())), inputs.explained_codes, n_examples, seed)
    rows = inputs.explained[chosen]
    maps = {}
    for name, model in usable.items():
        module = model._fitted_module()
        weight = next(module.parameters())
        images = torch.from_numpy(inputs.X[rows]).to(weight)
        maps[name] = heat_maps(module, images, torch.from_numpy(codes[name][chosen]).to(weight.device)).cpu().numpy()
    found = []
    for place, row in enumerate(rows):
        predicted = {name: inputs.classes[code[chosen[place]]] for name, code in codes.items()}
        found.append(Heat(inputs.example(row), predicted, {name: each[place] for name, each in maps.items()}))
    return tuple(found), notes


def _most_informative(predicted: np.ndarray, codes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return the positions of n samples, classes in turn: first those on which models (k, n) disagree, then errors."""
    order = np.random.default_rng(seed).permutation(len(codes))
    interest = 2 * (predicted != predicted[0]).any(0) + (predicted[-1] != codes)
    order = order[np.argsort(-interest[order], kind="stable")]
    turn = np.empty(len(order), np.int64)
    for code in np.unique(codes):
        own = codes[order] == code
        turn[own] = np.arange(own.sum())
    return order[np.argsort(turn, kind="stable")[:n]]


def _edits(
    inputs: ExplainInputs, attributes: list[Attribute], n_examples: int, decoder: Decoder | None, verbose: int
) -> Edits | None:
    if not isinstance(inputs.model, HSFM):
        return None
    return explain_edits(
        inputs.model,
        inputs.classes,
        inputs.explained_inputs,
        inputs.explained_codes,
        attributes,
        inputs.X[inputs.train],
        example=lambda row, value: inputs.example(inputs.train[row], value),
        ends=lambda values: inputs.ends(values, n_examples),
        n_examples=n_examples,
        decoder=decoder,
        verbose=verbose,
    )


def _scores(model: Method) -> tuple[dict[str, float], ...]:
    """Return the validation scores of each epoch of a fit."""
    found = []
    for record in model.history_:
        scores = {key: float(value) for key, value in record.items() if key.startswith(SCORE_PREFIX)}
        if scores:
            found.append({"epoch": float(record["epoch"]), **scores})
    return tuple(found)
