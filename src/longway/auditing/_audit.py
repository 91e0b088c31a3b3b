"""The audit: candidates, reliance, slices and a verdict, from data and, where there is one, a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longway.auditing.association import associations, stability, threshold_accuracy
from longway.auditing.axes import components, simplest
from longway.auditing.bimodality import modes
from longway.auditing.features import View, represent
from longway.auditing.findings import Association, Candidate
from longway.auditing.metadata import column_signals, same_as_label
from longway.auditing.mitigation_trial import mitigation_trial
from longway.auditing.model import AuditedModel, fitted_here, given_model, given_predictions
from longway.auditing.pca import PIECE, Space
from longway.auditing.prepare import NO_VARIANCE, prepare
from longway.auditing.probes import alike_halves
from longway.auditing.reliance import between_sides, over_classes, reliance
from longway.auditing.result import Audit
from longway.auditing.signals import Signal, SignalSplit, split
from longway.auditing.slices import find_slices
from longway.auditing.verdict import how_to_treat, standard_errors, statement, suspicion, verdict
from longway.data.samples import Samples
from longway.groups import group_purity
from longway.utils.errors import LongwayError
from longway.utils.progress import progress
from longway.utils.records import Example
from longway.utils.rules import SEED, check_value

CLOSE = 6
"""Candidates, the most suspicious, that a trial is fitted for and that reliance is measured of."""
SHOWN = 40
"""Candidates that are kept."""
EXTREMES = 8
"""Samples shown from either end of a candidate."""
ALIKE = 0.8
"""Correlation within classes from which two signals are nearly the same."""
SLICED = 0.3
"""Suspicion from which the sides of a candidate are proposed as slices."""


def audit(
    data: Any,
    y: Any = None,
    *,
    model: Any = None,
    predictions: Any = None,
    metadata: Mapping[str, Any] | None = None,
    ids: Any = None,
    split: Any = None,
    representation: Any = None,
    seed: int = 0,
    max_rows: int = 10_000,
    max_skipped: float = 0.01,
    source: str | None = None,
    verbose: int = 0,
) -> Audit:
    """Ask whether there is a shortcut, whether a model uses it, and whom it fails, without group labels.

    Parameters
    ----------
    data : GroupedDataset, array-like of shape (n, d) or (n, c, h, w), or list of str
        Features, images or texts; a memory-mapped array is read in pieces.
    y : array-like of shape (n,), optional
        Labels, strings or numbers; those of ``data`` if not given.
    model : classifier, optional
        With ``predict_proba`` (or ``predict``) that takes the inputs. Its training data flatter it: audit held-out
        data.
    predictions : array-like of shape (n,) or (n, C), optional
        What a model says: labels, or probabilities with columns in the order of the sorted labels. With neither, an
        ordinary linear head is fitted here, and judges rows that it did not see.
    metadata : mapping of str to array-like of shape (n,), optional
        Columns to test beside those that ``data`` brings.
    ids : array-like of shape (n,), optional
        What names a row.
    split : array-like of shape (n,), optional
        Part of each row; rows that are equal across parts are reported as leakage.
    representation : array-like of shape (n, d), optional
        Features of images or texts, to look for axes in; else a small network learns some of images, and texts are
        bags of words.
    seed : int, default 0
    max_rows : int, default 10000
        Rows that are audited, at most, drawn at random in each class.
    max_skipped : float, default .01
        Share of images that may be unreadable; they are listed.
    source : str, optional
        What to call the data, also in commands.
    verbose : int, default 0

    Returns
    -------
    Audit

    Raises
    ------
    LongwayError
        Something cannot be used; the message names it and the way out.

    Examples
    --------
    >>> from longway.datasets._make_planted import planted_shortcut
    >>> drawn = planted_shortcut(800, correlation=0.9)
    >>> audit(drawn.X, drawn.y).verdict.level
    'strong evidence'
    """
    began = time.perf_counter()
    _check(model, predictions, seed, max_rows, max_skipped)
    inputs = prepare(
        data,
        y,
        metadata=metadata,
        split=split,
        ids=ids,
        source=source,
        max_rows=max_rows,
        max_skipped=max_skipped,
        seed=seed,
    )
    view = represent(inputs, representation, seed, verbose)
    found = _Study.of(view, model, predictions, seed)
    candidates = found.candidates(verbose)
    slices = found.slices(candidates)
    settings = {"seed": seed, "max_rows": max_rows, "max_skipped": max_skipped}
    rows = view.inputs
    return Audit(
        source=rows.source,
        kind=rows.kind,
        n=len(rows.codes),
        n_given=rows.n_given,
        n_fitted=len(rows.codes),
        classes=dict(zip(rows.names, np.bincount(rows.codes).tolist(), strict=True)),
        columns=tuple(rows.columns),
        notes=(*rows.notes, *found.notes),
        skipped=tuple(rows.skipped),
        assumptions=(*_ASSUMPTIONS, *view.assumptions),
        model=found.judge.facts(rows.codes, rows.names),
        verdict=verdict(candidates, slices, rows.kind),
        candidates=candidates,
        slices=slices,
        settings=settings,
        seconds=time.perf_counter() - began,
        y=rows.y,
        rows=rows.rows,
        images=rows.X if rows.kind == "images" else None,
    )


_ASSUMPTIONS = (
    "A shortcut shows in samples that contradict it. Where there is none, no statistic can tell it from the core.",
    "Axes are linear in the representation: a shortcut that is not, or that it does not hold, is missed.",
    "Which attribute is a shortcut is for a person to say: two attributes that go with the label look alike to data.",
)


def _check(model: Any, predictions: Any, seed: int, max_rows: int, max_skipped: float) -> None:
    if model is not None and predictions is not None:
        raise LongwayError("model and predictions were both given: choose one")
    check_value("seed", seed, SEED)
    if not isinstance(max_rows, int | np.integer) or max_rows < 200:
        raise LongwayError(f"max_rows={max_rows!r} must be a whole number, 200 or more")
    if not isinstance(max_skipped, int | float) or not 0 <= max_skipped <= 1:
        raise LongwayError(f"max_skipped={max_skipped!r} must be a share from 0 to 1")


@dataclass(frozen=True)
class _Study:
    """What is worked out once: coordinates, halves, the model's word, all signals."""

    view: View
    points: np.ndarray
    parts: tuple[np.ndarray, np.ndarray]
    judge: AuditedModel
    ordinary: np.ndarray
    signals: list[Signal]
    notes: list[str]
    seed: int

    @classmethod
    def of(cls, view: View, model: Any, predictions: Any, seed: int) -> _Study:
        inputs = view.inputs
        codes, n_classes = inputs.codes, len(inputs.classes)
        space = Space.of(view.features)
        if not len(space.deviation):
            raise LongwayError(NO_VARIANCE)
        points = space.read(view.features)
        parts = alike_halves(codes, np.random.default_rng(seed))
        own = fitted_here(points, codes, n_classes, parts)
        judge = _judge(view, space, model, predictions) or own
        read_off, _ = simplest(points, codes, inputs.names, parts)
        columns, notes = column_signals(inputs.columns)
        equal = _equal_features(view.features, codes) if inputs.kind == "features" else []
        axes = components(points, codes, space)
        if view.traversals:  # the names of the beta-VAE's axes are taken
            axes = [Signal(f"network {s.name}", *_rest(s)) for s in axes]
        signals = [*read_off, *axes, *view.signals, *columns, *equal]
        notes += [f"{each.name} equals the label" for each in signals if same_as_label(each.values, codes)]
        return cls(view, points, parts, judge, own.codes == codes, signals, notes, seed)

    def candidates(self, verbose: int) -> tuple[Candidate, ...]:
        """Return the signals, the most suspicious first."""
        codes, n_classes = self.view.inputs.codes, len(self.view.inputs.classes)
        linked = associations(self.signals, codes, n_classes)
        looks = [_look(s, a, codes, n_classes, self.ordinary) for s, a in zip(self.signals, linked, strict=True)]
        _share_evidence(looks)
        looks.sort(key=lambda each: (-each.first_guess, -each.association.strength.value))
        looks = looks[:SHOWN]
        with progress("candidates", CLOSE, show=verbose > 0) as advance:
            for look in looks[:CLOSE]:
                self._look_closely(look)
                advance()
        _share_second(looks[:CLOSE], codes)
        looks.sort(key=lambda each: (-each.suspicion, -each.association.strength.value))
        for look in looks[:CLOSE]:  # those that trials left in front are shown with trials of their own
            self._look_closely(look)
        return tuple(self._candidate(look) for look in looks)

    def _look_closely(self, look: _Look) -> None:
        if not look.close:
            look.tried = mitigation_trial(self.points, self.view.inputs.codes, look.sides, self.ordinary, self.parts)
            look.close = True

    def slices(self, candidates: Sequence[Candidate]) -> tuple[Any, ...]:
        inputs = self.view.inputs
        by_name = {signal.name: signal for signal in self.signals}
        chosen = [
            by_name[each.name] for each in candidates if each.suspicion >= SLICED or by_name[each.name].source != "axis"
        ]
        return find_slices(
            [(signal, split(signal, inputs.codes, len(inputs.classes))) for signal in chosen],
            self.points,
            inputs.codes,
            self.judge.codes == inputs.codes,
            inputs.names,
            self.parts,
            self._example,
            self.seed,
        )

    def _candidate(self, look: _Look) -> Candidate:
        inputs, signal, sides = self.view.inputs, look.signal, look.sides
        codes, n_classes = inputs.codes, len(inputs.classes)
        against = int(sides.against.sum())
        order = np.argsort(signal.values, kind="stable")
        ends = order[:EXTREMES], order[::-1][:EXTREMES]
        low, high = (tuple(self._example(int(row), float(signal.values[row])) for row in rows) for rows in ends)
        command, python = how_to_treat(signal, inputs.source)
        used = None
        if look.close:
            moved = between_sides(signal, sides, self.points, codes)
            used = reliance(self.judge, moved, sides, codes, inputs.names, self.seed)
        shares = np.bincount(codes, sides.against) / np.bincount(codes)
        confident = self._sure(look)
        return Candidate(
            name=signal.name,
            source=signal.source,
            index=signal.index,
            description=signal.description,
            suspicion=look.suspicion,
            association=look.association,
            threshold_accuracy=threshold_accuracy(signal, codes, n_classes, self.seed),
            stability=stability(signal, codes, n_classes, self.seed),
            contradicting=against,
            contradicting_share=float(shares.mean()),
            low=low,
            high=high,
            statement=statement(against, look.tried, look.suspicion) if look.close else "Not looked into.",
            reliance=used,
            mitigation_trial=look.tried,
            command=command,
            python=python,
            unsure=int((~confident).sum()),
            same_as_label=same_as_label(signal.values, codes),
            values=signal.values,
            side=sides.against.astype(np.int8),
            confident=confident,
            traversal=self.view.traversals.get(signal.name),
        )

    def _sure(self, look: _Look) -> np.ndarray:
        """Return which rows are surely on their sides; columns are not read off anything, so all are."""
        codes = self.view.inputs.codes
        if not look.close or look.signal.source != "axis":
            return np.ones(len(codes), bool)
        above = look.sides.usual[codes] != look.sides.against
        rows = Samples(self.view.features, codes, np.ones(len(codes)))
        return group_purity(rows, above.astype(np.int64), seed=self.seed).confident

    def _example(self, row: int, value: float) -> Example:
        inputs = self.view.inputs
        said = inputs.names[int(self.judge.codes[row])]
        return Example(row, str(inputs.ids[row]), inputs.names[int(inputs.codes[row])], said, value)


@dataclass
class _Look:
    """A signal as it is worked on."""

    signal: Signal
    association: Association
    sides: SignalSplit
    evidence: float
    fails: float
    tried: Any = None
    second: float | None = None
    close: bool = False

    @property
    def suspicion(self) -> float:
        """How suspicious it is by what is known."""
        return suspicion(self.association, self.evidence, self.second, self.fails)

    @property
    def first_guess(self) -> float:
        """How suspicious it is where a trial finds what speaks for it."""
        return suspicion(self.association, self.evidence, np.inf, self.fails)


def _look(signal: Signal, association: Association, codes: np.ndarray, n_classes: int, right: np.ndarray) -> _Look:
    sides = split(signal, codes, n_classes)
    against, others = (over_classes(right, codes, chosen).value for chosen in (sides.against, ~sides.against))
    fails = others - against if sides.against.any() else 0.0
    return _Look(signal, association, sides, modes(sides, codes).evidence, fails)


def _share_evidence(looks: Sequence[_Look]) -> None:
    """Let a direction of one class be no more suspicious than those of all: a shortcut ties classes."""
    tied = [look for look in looks if look.signal.read_off_labels]
    if len(tied) < 2:
        return
    mean = float(np.mean([look.evidence for look in tied]))
    for look in tied:
        look.evidence = min(look.evidence, mean)


def _share_second(looks: Sequence[_Look], codes: np.ndarray) -> None:
    """Give each signal its second signal, and to those that are nearly the same the weakest of theirs.

    What one of them reads and the other does not quite is no second signal.
    """
    inner = np.stack([_within(look.signal.values, codes) for look in looks])
    alike = np.abs(inner @ inner.T) > ALIKE
    found = [None if look.tried is None else standard_errors(look.tried.second_signal) for look in looks]
    for look, own, near in zip(looks, found, alike, strict=True):
        if own is not None:
            look.second = min([own, *(z for z, same in zip(found, near, strict=True) if same and z is not None)])


def _within(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return values (n,) less the means of their classes, scaled to length 1."""
    inner = values - (np.bincount(codes, values) / np.bincount(codes))[codes]
    return inner / max(float(np.linalg.norm(inner)), 1e-300)


def _rest(signal: Signal) -> tuple[Any, ...]:
    return signal.description, signal.source, signal.index, signal.values, signal.direction


def _judge(view: View, space: Space, model: Any, predictions: Any) -> AuditedModel | None:
    inputs = view.inputs
    if model is not None:
        return given_model(model, inputs.X, space if view.own else None, inputs.classes)
    if predictions is None:
        return None
    array = np.asarray(predictions)
    if len(np.shape(array)) == 0 or len(array) != inputs.n_given:
        raise LongwayError(f"predictions has shape {array.shape}: give one row for each of the {inputs.n_given} rows")
    found = given_predictions(array[inputs.rows], len(inputs.rows), inputs.classes, inputs.classes)
    return AuditedModel("predictions", "the given predictions", found, None)


def _equal_features(X: np.ndarray, codes: np.ndarray) -> list[Signal]:
    """Return the features that are the label under another name."""
    classes = np.unique(codes)
    firsts = X[[int(np.argmax(codes == code)) for code in classes]]
    steady = np.ones(X.shape[1], bool)
    for start in range(0, len(X), PIECE):
        steady &= (firsts[codes[start : start + PIECE]] == X[start : start + PIECE]).all(0)
    return [
        Signal(f"feature {j}", f"Feature column {j} as it is.", "axis", int(j), X[:, j].astype(np.float64))
        for j in np.flatnonzero(steady)
        if len(np.unique(firsts[:, j])) == len(classes)
    ]
