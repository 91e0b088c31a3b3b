"""From evidence to a verdict: how suspicious a signal is, what to say of it, what to try."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np

from longway.auditing.contract import Association, Candidate, Level, Slice, Trial, Verdict
from longway.auditing.modes import Modes
from longway.auditing.signals import Signal

STRONG, SUSPICIOUS = 0.7, 0.4
"""Suspicion from which evidence is strong, and from which there is any."""
BIAS = 2.5
"""Log-odds taken from the evidence of second modes; set on data that no record uses."""
SIGNIFICANT = 0.01
FULL = 0.4
"""Association from which a signal counts in full."""
GAP = 0.1
"""The model fails contradicting samples where its accuracy on them lies this far below that on the others."""


def suspicion(association: Association, found: Modes, tried: Trial | None, n_classes: int, evidence: float) -> float:
    """Return how suspicious a signal is, from 0 to 1.

    Parameters
    ----------
    association : Association
    found : Modes
    tried : Trial or None
    n_classes : int
    evidence : float
        ``found.evidence``, or its mean over directions that belong together.
    """
    if association.adjusted_p > SIGNIFICANT:
        return 0.0
    weight = min(1.0, association.strength.value / FULL)
    if tried is None:
        weight *= 0.5
    else:
        # Wrong labels, too, lie deep on the other side; but nothing else tells what their class is.
        beside = tried.second_signal.value - 1 / n_classes
        weight *= float(np.clip(1 + 6 * (beside - 0.05), 0.3, 1))
    return float(weight / (1 + np.exp(BIAS - evidence)))


def statement(against: int, tried: Trial | None, n_classes: int, level: float) -> str:
    """Say whether core and shortcut can be told apart for a signal."""
    if against == 0:
        return (
            "No sample contradicts this signal: no statistic can tell whether it is the core or a shortcut. "
            "Look at its extremes."
        )
    if tried is None:
        return f"Only {against} samples contradict this signal: too few to tell core from shortcut. Look at them."
    beside = tried.second_signal
    if beside.low <= 1 / n_classes:
        return (
            f"{against} samples contradict this signal, and nothing else was found that tells their class: it may be "
            "the core, and they may be hard or wrongly labelled."
        )
    if level >= SUSPICIOUS:
        return (
            f"{against} samples contradict this signal, they lie where another class lies, and without it the classes "
            f"are still told apart ({100 * beside.value:.0f} %): it behaves like an attribute of its own."
        )
    return f"{against} samples contradict this signal; they lie like the tail of a class: it behaves like the core."


def how_to_treat(signal: Signal, source: str) -> tuple[str, str]:
    """Return the command and the Python line that treat a signal as a shortcut."""
    python = f"longway.RWG().fit(X, y, groups=audit.pseudo_groups({signal.name!r}))"
    if signal.source == "metadata" and "column" in signal.description:  # not a property that was computed of an input
        column = signal.description.removeprefix("Whether ").removeprefix("The ").removeprefix("the ")
        name = column.removeprefix("column ").split("'")[1] if "'" in column else signal.name
        return f"longway fit rwg {shlex.quote(source)} --attribute {shlex.quote(name)} --use-groups train", python
    way = "errors" if signal.index < 0 else "axes"
    return f"longway fit rwg {shlex.quote(source)} --set infer={way}", python


def level_of(first: Candidate | None, n_classes: int) -> Level:
    """Return the level that the first candidate stands for."""
    if first is None or first.suspicion < SUSPICIOUS:
        return "no evidence"
    used, tried = first.reliance, first.trial
    if first.suspicion < STRONG or used is None or tried is None:
        return "suspicion"
    apart = used.aligned_accuracy.value - used.contradicting_accuracy.value >= GAP
    apart = apart and used.contradicting_accuracy.high < used.aligned_accuracy.low
    return "strong evidence" if apart and tried.second_signal.low > 1 / n_classes else "suspicion"


def verdict(candidates: Sequence[Candidate], slices: Sequence[Slice], n_classes: int, kind: str) -> Verdict:
    """Return the answer in short."""
    first = candidates[0] if candidates else None
    level = level_of(first, n_classes)
    same = [each.name for each in candidates if each.same_as_label]
    if level == "no evidence" and same:
        level = "suspicion"
    if first is None or level == "no evidence":
        score = 0.0 if first is None else first.suspicion
        reasons = ["No signal that goes with the label has contradicting samples that lie where another class lies."]
        reasons += _without_contradiction(candidates)
        return Verdict("no evidence", score, "", tuple(reasons), "", "", "", None)
    reasons = [f"{name!r} equals the label: whoever has it needs nothing else." for name in same]
    reasons += [f"{first.name!r} goes with the label ({_strength(first)}).", first.statement]
    used = first.reliance
    if used is not None and first.contradicting:
        reasons.append(
            f"The model is right on {100 * used.contradicting_accuracy.value:.0f} % of the samples that contradict it "
            f"and on {100 * used.aligned_accuracy.value:.0f} % of the others."
        )
    confirmed = [each for each in slices if each.confirmed]
    if confirmed:
        reasons.append(f"{len(confirmed)} slices that the model fails were confirmed, such as {_told(confirmed[0])}.")
    method, why = _method(first, kind)
    gain = None if first.trial is None else first.trial.gain
    return Verdict(level, first.suspicion, first.name, tuple(reasons), method, why, first.command, gain)


def _without_contradiction(candidates: Sequence[Candidate]) -> list[str]:
    alone = [each for each in candidates if each.contradicting == 0]
    return [f"{alone[0].name!r}: {alone[0].statement}"] if alone else []


def _strength(first: Candidate) -> str:
    given = first.association.strength
    return (
        f"correlation {given.value:.2f}, {given.low:.2f} to {given.high:.2f}; one threshold on it is right in "
        f"{100 * first.threshold_accuracy:.0f} %"
    )


def _told(each: Slice) -> str:
    return (
        f"{each.description}: {100 * each.accuracy.value:.0f} % right against {100 * each.rest_accuracy:.0f} % in the "
        "rest of its class"
    )


def _method(first: Candidate, kind: str) -> tuple[str, str]:
    if first.trial is None:
        why = "hardly a sample contradicts the signal, and SITAR needs none"
        return ("sitar", why) if kind == "images" else ("hsfm", "it needs no groups and few contradicting samples")
    return "rwg", "enough samples contradict the signal to balance the groups that it makes; the trial fit did so"
