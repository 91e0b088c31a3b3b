"""Measure how a model's predictions and errors change along a signal within classes, compared with an ordinary head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from longway.auditing.association import holm
from longway.auditing.estimates import Z, balanced_accuracy, symmetric
from longway.auditing.findings import Reliance, SignalEffect
from longway.auditing.model import fit_linear_model
from longway.auditing.signals import Signal, SignalSplit, split_signal

MIN_SIDE = 8
"""Samples that either side of a signal needs within a class to be compared."""

MODEL_GAP = 0.1
"""The model fails contradicting samples if its accuracy on them lies this far below that on the others."""


def model_split(signal: Signal, predicted: np.ndarray, codes: np.ndarray, n_classes: int) -> SignalSplit | None:
    """Split a signal by what the model predicts: samples contradict it where it speaks against their label.

    The labels themselves do not say which side the model expects: in balanced data no side is usual. Returns None if
    the model predicts a single class.
    """
    present, compact = np.unique(predicted, return_inverse=True)
    if len(present) < 2:
        return None
    found = split_signal(signal, compact, len(present))
    focus = int(present[found.focus])
    if n_classes == 2 and found.sign < 0:  # what speaks against one class speaks for the other
        focus = 1 - focus
        found = replace(found, sign=1, values=-found.values, threshold=-found.threshold)
    usually_above = np.arange(n_classes) == focus
    contradicting = (found.values > found.threshold) != usually_above[codes]
    return replace(found, focus=focus, usually_above=usually_above, contradicting=contradicting)


def measure_effect(
    split: SignalSplit, codes: np.ndarray, predicted: np.ndarray, reference: np.ndarray
) -> SignalEffect | None:
    """Measure the effect of a split signal on a model's predictions and on those of a reference head, all (n,).

    Returns None if no class has enough samples on both sides.
    """
    above = split.values > split.threshold
    hits, theirs = (codes_of == split.focus for codes_of in (predicted, reference))
    own, other, paired = [], [], []
    for code in np.unique(codes):
        high, low = ((codes == code) & side for side in (above, ~above))
        if min(high.sum(), low.sum()) >= MIN_SIDE:
            own.append(_difference(hits, high, low))
            other.append(_difference(theirs, high, low))
            paired.append(_difference(hits.astype(float) - theirs, high, low))
    if not own:
        return None
    (effect, error), (excess, excess_error) = _mean(own), _mean(paired)
    correct = predicted == codes
    return SignalEffect(
        focus=split.focus,
        sign=split.sign,
        effect=symmetric(effect, Z * error),
        reference=_mean(other)[0],
        excess=symmetric(excess, Z * excess_error, -2.0, 2.0),
        adjusted_p=float(2 * norm.sf(abs(excess) / excess_error)),
        aligned_accuracy=balanced_accuracy(correct, codes, ~split.contradicting),
        contradicting_accuracy=balanced_accuracy(correct, codes, split.contradicting),
        reference_accuracy=balanced_accuracy(reference == codes, codes, split.contradicting),
        contradicting=int(split.contradicting.sum()),
        smaller_side=float(min(above.mean(), 1 - above.mean())),
    )


def correct_for_tests(effects: Sequence[SignalEffect | None]) -> list[SignalEffect | None]:
    """Correct the p-values of effects for their number (Holm)."""
    known = [each for each in effects if each is not None]
    adjusted = iter(holm([each.adjusted_p for each in known]) if known else [])
    return [None if each is None else replace(each, adjusted_p=float(next(adjusted))) for each in effects]


def with_signal(
    signal: Signal, points: np.ndarray, codes: np.ndarray, n_classes: int, halves: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the predictions (n,) of an ordinary head that also sees the signal.

    Its use of the signal is what the label supports in these data. The signal gets the scale of the leading component,
    so that the penalty hardly holds it back.
    """
    values = (signal.values - signal.values.mean()) / max(float(signal.values.std()), 1e-12)
    joined = np.c_[points, values * points.std(0).max()]
    return fit_linear_model(joined, codes, n_classes, halves).codes


def fails_along(found: SignalEffect | Reliance | None) -> bool:
    """Return whether a model is clearly less accurate on samples that contradict the signal."""
    if found is None:
        return False
    aligned, contradicting = found.aligned_accuracy, found.contradicting_accuracy
    return aligned.value - contradicting.value >= MODEL_GAP and contradicting.high < aligned.low


def _difference(values: np.ndarray, high: np.ndarray, low: np.ndarray) -> tuple[float, float]:
    """Return the difference of the means of two sides, and its variance."""
    # 1 / n allows for one sample that behaves otherwise, where all of a side agree.
    variance = sum((values[side].var() + 1 / side.sum()) / side.sum() for side in (high, low))
    return float(values[high].mean() - values[low].mean()), float(variance)


def _mean(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean of differences and its standard error."""
    values, variances = zip(*found, strict=True)
    return float(np.mean(values)), float(np.sqrt(sum(variances))) / len(found)
