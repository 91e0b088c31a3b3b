"""Audit data and, if given, a model: candidate shortcuts, reliance, slices and a verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longway.auditing.association import associations, stability, threshold_accuracy
from longway.auditing.axes import component_signals, label_features, simplest_directions
from longway.auditing.bimodality import measure_bimodality
from longway.auditing.effects import correct_for_tests, measure_effect, model_split, with_signal
from longway.auditing.estimates import balanced_accuracy
from longway.auditing.features import Representation, represent
from longway.auditing.findings import Association, Candidate, Slice
from longway.auditing.leads import Lead, share_evidence, share_second_signals
from longway.auditing.metadata import column_signals, detectability, same_as_label
from longway.auditing.mitigation_trial import mitigation_trial
from longway.auditing.model import AuditedModel, audited_model, fit_linear_model
from longway.auditing.pca import PCASpace
from longway.auditing.prepare import NO_VARIANCE, as_dataset, prepare
from longway.auditing.probes import stratified_halves
from longway.auditing.reliance import measure_reliance, with_side_direction
from longway.auditing.result import Audit
from longway.auditing.signals import Signal, split_signal
from longway.auditing.slices import find_slices
from longway.auditing.verdict import (
    advise,
    effect_suspicion,
    make_verdict,
    statement,
    taken,
)
from longway.data.samples import Samples
from longway.groups import group_purity
from longway.utils.errors import LongwayError
from longway.utils.progress import progress
from longway.utils.records import Estimate, Example
from longway.utils.rules import SEED, check_value
from longway.utils.storage import hash_json

EXAMINED = 6
"""Leading candidates that get a mitigation trial and a measure of reliance."""
MAX_CANDIDATES = 40
EXTREMES = 8
"""Samples shown from each end of a candidate."""
SLICED = 0.3
"""Suspicion from which the sides of a candidate are proposed as slices."""

_ASSUMPTIONS = (
    "A shortcut shows in samples that contradict it. Without any, no statistic can tell it from the core.",
    "Axes are linear in the representation: a shortcut that is not linear in it, or not in it at all, is missed.",
    "Which attribute is a shortcut is for a person to say: data cannot tell two attributes of the label apart.",
)


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
    """Find out if there is a shortcut, if a model uses it, and which samples it fails, without group labels.

    Parameters
    ----------
    data : GroupedDataset, array-like of shape (n, d) or (n, c, h, w), or list of str
        Features, images or texts; a memory-mapped array is read in pieces.
    y : array-like of shape (n,), optional
        Labels, strings or numbers; by default those of ``data``.
    model : classifier, optional
        Has ``predict_proba`` (or ``predict``) and takes the inputs. It looks better than it is on its training data:
        audit held-out data.
    predictions : array-like of shape (n,) or (n, C), optional
        Predictions of a model: labels, or probabilities with columns in the order of the sorted labels. Without a model
        or predictions, an ordinary linear head is fitted here and judged on samples that it did not see.
    metadata : mapping of str to array-like of shape (n,), optional
        Columns to test in addition to those of ``data``.
    ids : array-like of shape (n,), optional
        Names of the samples.
    split : array-like of shape (n,), optional
        Part of each sample; equal samples in different parts are reported as leakage.
    representation : array-like of shape (n, d), optional
        Features of images or texts in which to look for axes. By default a small network learns features of images,
        and texts are bags of words.
    seed : int, default 0
    max_rows : int, default 10000
        Samples that are audited, at most, drawn at random in each class.
    max_skipped : float, default .01
        Share of images that may be unreadable; they are listed.
    source : str, optional
        Name of the data in the report and in commands.
    verbose : int, default 0

    Returns
    -------
    Audit

    Raises
    ------
    LongwayError
        An argument cannot be used; the message names it and says what to do.

    Examples
    --------
    >>> from longway.datasets import make_planted_shortcut
    >>> drawn = make_planted_shortcut(800, correlation=0.9)
    >>> audit(drawn.X, drawn.y).verdict.level
    'strong evidence'
    """
    began = time.perf_counter()
    _check(model, predictions, seed, max_rows, max_skipped)
    given = as_dataset(data, y, metadata, split, ids, source)
    view = represent(prepare(given, max_rows, max_skipped, seed), representation, seed, verbose)
    study = _Study.begin(view, model, predictions, seed)
    leads = study.leads(verbose)
    candidates = tuple(study.candidate(lead) for lead in leads)
    slices = study.slices(leads)
    inputs = view.inputs
    return Audit(
        source=inputs.source,
        kind=inputs.kind,
        n=len(inputs.codes),
        n_given=inputs.n_given,
        n_fitted=len(inputs.codes),
        classes=dict(zip(inputs.names, np.bincount(inputs.codes).tolist(), strict=True)),
        columns=tuple(inputs.all_columns),
        notes=(*inputs.notes, *study.notes),
        skipped=tuple(inputs.skipped),
        assumptions=(*_ASSUMPTIONS, *view.assumptions),
        model=study.model.facts(inputs.codes, inputs.names),
        verdict=make_verdict(candidates, slices, study.model, inputs.names, inputs.kind),
        candidates=candidates,
        slices=slices,
        settings={"seed": seed, "max_rows": max_rows, "max_skipped": max_skipped},
        seconds=time.perf_counter() - began,
        fingerprint=hash_json([inputs.ids.astype(str).tolist(), [inputs.names[code] for code in inputs.codes]]),
        y=inputs.y,
        rows=inputs.rows,
        images=inputs.X if inputs.kind == "images" else None,
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
    """An audit at work: the representation, the model's predictions, and all signals.

    ``reference`` holds the classes that an ordinary linear head predicts, for samples that it did not see.
    """

    view: Representation
    points: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    model: AuditedModel
    reference: np.ndarray
    signals: list[Signal]
    notes: list[str]
    seed: int

    @classmethod
    def begin(cls, view: Representation, model: Any, predictions: Any, seed: int) -> _Study:
        inputs = view.inputs
        codes, n_classes = inputs.codes, len(inputs.classes)
        space = PCASpace.fit(view.features)
        if not len(space.deviation):
            raise LongwayError(NO_VARIANCE)
        points = space.transform(view.features)
        halves = stratified_halves(codes, np.random.default_rng(seed))
        ordinary = fit_linear_model(points, codes, n_classes, halves)
        audited = audited_model(view, space, model, predictions) or ordinary
        columns, notes = column_signals(inputs.all_columns)
        components = component_signals(points, codes, space)
        if view.traversals:  # the beta-VAE's axes have taken the names
            components = [replace(each, name=f"network {each.name}") for each in components]
        signals = [
            *simplest_directions(points, codes, inputs.names, halves),
            *components,
            *view.signals,
            *columns,
            *(label_features(view.features, codes) if inputs.kind == "features" else []),
        ]
        notes += [f"{each.name} equals the label" for each in signals if same_as_label(each.values, codes)]
        return cls(view, points, halves, audited, ordinary.codes, signals, notes, seed)

    @property
    def ordinary(self) -> np.ndarray:
        """Correctness of the ordinary head, (n,), bool."""
        return self.reference == self.view.inputs.codes

    def leads(self, verbose: int) -> list[Lead]:
        """Return the leading signals, the most suspicious first."""
        codes, n_classes = self.view.inputs.codes, len(self.view.inputs.classes)
        linked = associations(self.signals, codes, n_classes)
        leads = [self._lead(*pair) for pair in zip(self.signals, linked, strict=True)]
        share_evidence(leads)
        self._measure_effects(leads)
        leads.sort(key=lambda each: (-each.potential, -each.association.strength.value))
        leads = leads[:MAX_CANDIDATES]
        with progress("candidates", EXAMINED, show=verbose > 0) as advance:
            for lead in leads[:EXAMINED]:
                self._examine(lead)
                advance()
        share_second_signals(leads[:EXAMINED], codes)
        leads.sort(key=lambda each: (-each.suspicion, -each.association.strength.value))
        for lead in leads[:EXAMINED]:  # those that the trials moved to the front get a trial of their own
            self._examine(lead)
        return leads

    def _lead(self, signal: Signal, association: Association) -> Lead:
        codes = self.view.inputs.codes
        split = split_signal(signal, codes, len(self.view.inputs.classes))
        contradicting, aligned = (
            balanced_accuracy(self.ordinary, codes, chosen).value
            for chosen in (split.contradicting, ~split.contradicting)
        )
        gap = aligned - contradicting if split.contradicting.any() else 0.0
        return Lead(signal, association, split, measure_bimodality(split, codes).evidence, gap)

    def _measure_effects(self, leads: Sequence[Lead]) -> None:
        """Measure the effect of each signal on a given model, and take the model's view of the sides where it counts.

        What counts at first is measured again, against a head that sees the signal itself.
        """
        if self.model.kind == "fitted here":
            return
        codes, n_classes, predicted = self.view.inputs.codes, len(self.view.inputs.classes), self.model.codes
        splits = [model_split(lead.signal, predicted, codes, n_classes) for lead in leads]
        found = [None if each is None else measure_effect(each, codes, predicted, self.reference) for each in splits]
        for lead, split, effect in zip(leads, splits, correct_for_tests(found), strict=True):
            lead.effect = effect
            if split is None or not effect_suspicion(effect, lead.signal.source):
                continue
            reference = with_signal(lead.signal, self.points, codes, n_classes, self.halves)
            again = measure_effect(split, codes, predicted, reference)
            assert again is not None
            lead.effect = replace(again, adjusted_p=min(1.0, len(leads) * again.adjusted_p))
            if effect_suspicion(lead.effect, lead.signal.source):
                lead.split = split

    def _examine(self, lead: Lead) -> None:
        if not lead.examined:
            lead.trial = mitigation_trial(self.points, self.view.inputs.codes, lead.split, self.ordinary, self.halves)
            lead.examined = True

    def slices(self, leads: Sequence[Lead]) -> tuple[Slice, ...]:
        """Return the slices that were tested, the confirmed ones first."""
        inputs = self.view.inputs
        return find_slices(
            [(lead.signal, lead.split) for lead in leads if lead.suspicion >= SLICED or lead.signal.source != "axis"],
            self.points,
            inputs.codes,
            self.model.codes == inputs.codes,
            inputs.names,
            self.halves,
            self._example,
            self.seed,
        )

    def candidate(self, lead: Lead) -> Candidate:
        """Return the record of a lead."""
        inputs, signal, split = self.view.inputs, lead.signal, lead.split
        codes, n_classes = inputs.codes, len(inputs.classes)
        contradicting = int(split.contradicting.sum())
        order = np.argsort(signal.values, kind="stable")
        low, high = (
            tuple(self._example(int(row), float(signal.values[row])) for row in rows)
            for rows in (order[:EXTREMES], order[::-1][:EXTREMES])
        )
        advice, python = advise(signal, tuple(inputs.columns.keys() - inputs.properties.keys()))
        reliance = None
        if lead.examined:
            shifted = with_side_direction(signal, split, self.points, codes)
            reliance = measure_reliance(self.model, shifted, split, codes, inputs.names, self.seed)
        shares = np.bincount(codes, split.contradicting) / np.bincount(codes)
        confident = self._confident(lead)
        return Candidate(
            name=signal.name,
            source=signal.source,
            index=signal.index,
            description=signal.description,
            suspicion=lead.suspicion,
            association=lead.association,
            threshold_accuracy=threshold_accuracy(signal, codes, n_classes, self.seed),
            stability=stability(signal, codes, n_classes, self.seed),
            contradicting=contradicting,
            contradicting_share=float(shares.mean()),
            low=low,
            high=high,
            statement=self._statement(lead, contradicting),
            reliance=reliance,
            mitigation_trial=lead.trial,
            detectability=self._detectability(lead),
            effect=lead.effect,
            advice=advice,
            python=python,
            unsure=int((~confident).sum()),
            same_as_label=same_as_label(signal.values, codes),
            values=signal.values,
            side=split.contradicting.astype(np.int8),
            confident=confident,
            traversal=self.view.traversals.get(signal.name),
        )

    def _detectability(self, lead: Lead) -> Estimate | None:
        given = lead.signal.column in self.view.inputs.columns.keys() - self.view.inputs.properties.keys()
        return detectability(lead.signal, self.points, self.halves) if given else None

    def _statement(self, lead: Lead, contradicting: int) -> str:
        if effect_suspicion(lead.effect, lead.signal.source):
            assert lead.effect is not None
            return taken(lead.signal.name, lead.effect, self.view.inputs.names, self.view.inputs.kind)
        return statement(contradicting, lead.trial, lead.suspicion) if lead.examined else "Not examined."

    def _confident(self, lead: Lead) -> np.ndarray:
        """Return which samples are certainly on their side; all of them for columns, which are not inferred."""
        codes = self.view.inputs.codes
        if not lead.examined or lead.signal.source != "axis":
            return np.ones(len(codes), bool)
        above = lead.split.usually_above[codes] != lead.split.contradicting
        samples = Samples(self.view.features, codes, np.ones(len(codes)))
        return group_purity(samples, above.astype(np.int64), seed=self.seed).confident

    def _example(self, row: int, value: float) -> Example:
        inputs = self.view.inputs
        predicted = inputs.names[int(self.model.codes[row])]
        return Example(row, str(inputs.ids[row]), inputs.names[int(inputs.codes[row])], predicted, value)
