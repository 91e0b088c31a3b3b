"""From evidence to a verdict: how suspicious a signal is, what to say of it, what to try."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from longway.auditing.findings import Association, Candidate, MitigationTrial, Slice
from longway.auditing.result import Level, Verdict
from longway.auditing.signals import Signal
from longway.utils.records import Estimate

STRONG, SUSPICIOUS = 0.7, 0.4
"""Suspicion from which evidence is strong, and from which there is any."""
BIAS, MOST = 2.2, 5.0
"""Log-odds that speak against a shortcut beforehand, and those that second modes may speak for one, at most."""
SIGNIFICANT = 0.01
FULL = 0.4
"""Association from which a signal counts in full."""
SURE = 2.5
"""Standard errors above chance from which a second signal counts in full."""
FAILS = 0.25
"""By so much less are contradicting samples right than the others where an ordinary head leans on a signal in full."""
GAP = 0.1
"""The model fails contradicting samples where its accuracy on them lies this far below that on the others."""


def suspicion(association: Association, evidence: float, second: float | None, fails: float) -> float:
    """Return how suspicious a signal is, from 0 to 1: what speaks for a shortcut and against it, as log-odds.

    The weights were set on data sets that no record uses.

    Parameters
    ----------
    association : Association
    evidence : float
        Of second modes: ``Bimodality.evidence``, or its mean over directions that belong together.
    second : float or None
        Standard errors by which a second signal tells classes apart better than chance; None without a trial.
    fails : float
        By how much less often an ordinary head is right on contradicting samples than on the others.
    """
    if association.adjusted_p > SIGNIFICANT:
        return 0.0
    odds = MOST * np.tanh(evidence / MOST)
    if odds > 0 and second is not None:
        # Wrong labels, too, lie deep on the other side; but nothing else tells what their class is.
        odds *= float(np.clip(0.2 + 0.8 * second / SURE, 0.2, 1))
    odds += 3 * np.log(min(1.0, association.strength.value / FULL)) - BIAS
    odds += 8 * float(np.clip(fails - FAILS, -FAILS, 0))
    return float((0.5 if second is None else 1) / (1 + np.exp(-odds)))


def standard_errors(second_signal: Estimate) -> float:
    """Return by how many standard errors a second signal does better than chance."""
    return float((second_signal.value - 0.5) * 2 * norm.isf(0.025) / (second_signal.high - second_signal.low))


def statement(against: int, tried: MitigationTrial | None, level: float) -> str:
    """Say whether core and shortcut can be told apart for a signal."""
    if against == 0:
        return (
            "No sample contradicts this signal: no statistic can tell whether it is the core or a shortcut. "
            "Look at its extremes."
        )
    if tried is None:
        return f"Only {against} samples contradict this signal: too few to tell core from shortcut. Look at them."
    beside = tried.second_signal
    if beside.low <= 0.5:
        return (
            f"{against} samples contradict this signal, and nothing else was found that tells their class: it may be "
            "the core, and they may be hard or wrongly labelled."
        )
    if level >= SUSPICIOUS:
        return (
            f"{against} samples contradict this signal, they lie where another class lies, and something else tells "
            f"them from it (area under the curve {beside.value:.2f}, {beside.low:.2f} to {beside.high:.2f}): it "
            "behaves like an attribute of its own."
        )
    return f"{against} samples contradict this signal; they lie like the tail of a class: it behaves like the core."


def how_to_treat(signal: Signal, source: str) -> tuple[str, str]:
    """Return the command and the Python line that treat a signal as a shortcut."""
    name = repr(signal.name)
    weight = f", sample_weight=audit.confident({name})" if signal.source == "axis" else ""
    python = f"longway.SUBG().fit(X, y, groups=audit.pseudo_groups({name}){weight})"
    if signal.source == "metadata" and "column" in signal.description:  # not a property that was computed of an input
        column = signal.description.removeprefix("Whether ").removeprefix("The ").removeprefix("the ")
        name = column.removeprefix("column ").split("'")[1] if "'" in column else signal.name
        return f"longway fit subg {shlex.quote(source)} --attribute {shlex.quote(name)} --use-groups train", python
    way = "errors" if signal.index < 0 else "axes"
    return f"longway fit subg {shlex.quote(source)} --set group_inference={way}", python


def level_of(first: Candidate | None) -> Level:
    """Return the level that the first candidate stands for."""
    if first is None or first.suspicion < SUSPICIOUS:
        return "no evidence"
    used, tried = first.reliance, first.mitigation_trial
    if first.suspicion < STRONG or used is None or tried is None:
        return "suspicion"
    apart = used.aligned_accuracy.value - used.contradicting_accuracy.value >= GAP
    apart = apart and used.contradicting_accuracy.high < used.aligned_accuracy.low
    return "strong evidence" if apart and tried.second_signal.low > 0.5 else "suspicion"


def verdict(candidates: Sequence[Candidate], slices: Sequence[Slice], kind: str) -> Verdict:
    """Return the answer in short."""
    first = candidates[0] if candidates else None
    level = level_of(first)
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
    gain = None if first.mitigation_trial is None else first.mitigation_trial.gain
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
    if first.mitigation_trial is None:
        why = "hardly a sample contradicts the signal, and SITAR needs none"
        return ("sitar", why) if kind == "images" else ("hsfm", "it needs no groups and few contradicting samples")
    why = "enough samples contradict the signal to learn from as many of each group that it makes"
    left_out = f"; {first.unsure:,} that are likely misread are left out" if first.unsure else ""
    return "subg", why + left_out
