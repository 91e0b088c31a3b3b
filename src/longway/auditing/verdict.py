"""Turn evidence into a verdict: the suspicion of a signal, its description, and advice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longway.auditing.estimates import Z
from longway.auditing.findings import Advice, Association, Candidate, MitigationTrial, Slice
from longway.auditing.result import Level, Verdict
from longway.auditing.signals import Signal
from longway.utils.records import Estimate

# The constants below and the weights in `suspicion` were set on development seeds (from 100) of benchmarks/audit, which
# are in no published table; docs/decisions/0009 gives the reasons for the form.
STRONG, SUSPICIOUS = 0.7, 0.4
"""Lowest suspicion of strong evidence, and of any."""
PRIOR, MAX_EVIDENCE = 2.2, 5.0
"""Log-odds against a shortcut beforehand; most that second modes can contribute in favour of one."""
SIGNIFICANT = 0.01
FULL_ASSOCIATION = 0.4
"""Association from which a signal is not discounted."""
FULL_SECOND_SIGNAL = 2.5
"""Standard errors above chance from which a second signal is not discounted."""
FULL_GAP = 0.25
"""Gap in an ordinary head's accuracy on aligned and contradicting samples from which a signal is not discounted."""
MODEL_GAP = 0.1
"""The audited model fails contradicting samples if its accuracy on them lies this far below that on the others."""


def suspicion(association: Association, evidence: float, second_z: float | None, gap: float) -> float:
    """Return the suspicion of a signal, from 0 to 1: the evidence for and against a shortcut, added as log-odds.

    Parameters
    ----------
    association : Association
    evidence : float
        Of second modes: ``Bimodality.evidence``, or its mean over directions that belong together.
    second_z : float or None
        Standard errors by which a second signal separates classes better than chance; None without a trial.
    gap : float
        Accuracy of an ordinary head on aligned samples minus that on contradicting ones.
    """
    if association.adjusted_p > SIGNIFICANT:
        return 0.0
    odds = MAX_EVIDENCE * np.tanh(evidence / MAX_EVIDENCE)
    if odds > 0 and second_z is not None:
        # Wrong labels also lie deep on the other side, but then nothing else reveals their class.
        odds *= float(np.clip(0.2 + 0.8 * second_z / FULL_SECOND_SIGNAL, 0.2, 1))
    odds += 3 * np.log(min(1.0, association.strength.value / FULL_ASSOCIATION)) - PRIOR
    odds += 8 * float(np.clip(gap - FULL_GAP, -FULL_GAP, 0))
    return float((0.5 if second_z is None else 1) / (1 + np.exp(-odds)))


def z_score(second_signal: Estimate) -> float:
    """Return the standard errors by which a second signal is better than chance."""
    return float((second_signal.value - 0.5) * 2 * Z / (second_signal.high - second_signal.low))


def statement(contradicting: int, trial: MitigationTrial | None, level: float) -> str:
    """Say whether core and shortcut can be told apart for a signal with this suspicion."""
    if contradicting == 0:
        return (
            "No sample contradicts this signal: no statistic can tell whether it is the core or a shortcut. "
            "Look at its extremes."
        )
    if trial is None:
        return f"Only {contradicting} samples contradict this signal: too few to tell core from shortcut. Look at them."
    second = trial.second_signal
    if second.low <= 0.5:
        return (
            f"{contradicting} samples contradict this signal, and nothing else was found that reveals their class: it "
            "may be the core, and they may be hard or wrongly labelled."
        )
    if level >= SUSPICIOUS:
        return (
            f"{contradicting} samples contradict this signal, they lie where another class lies, and something else "
            f"separates them from it (area under the curve {second.value:.2f}, {second.low:.2f} to {second.high:.2f}): "
            "it behaves like an attribute of its own."
        )
    return (
        f"{contradicting} samples contradict this signal; they lie like the tail of a class: it behaves like the core."
    )


def advise(signal: Signal, columns: Sequence[str]) -> tuple[Advice, str]:
    """Return the fit that treats a signal as a shortcut, as data and as a line of Python.

    A value of one of the data's own ``columns`` is a group attribute. For any other signal the groups are the audit's
    sides; a fit without the audit has to infer groups.
    """
    name = repr(signal.name)
    weight = f", sample_weight=audit.confident({name})" if signal.source == "axis" else ""
    python = f"longway.SUBG().fit(X, y, groups=audit.pseudo_groups({name}){weight})"
    if signal.is_binary and signal.column in columns:
        return Advice("subg", columns=(signal.column,)), python
    return Advice("subg", {"group_inference": "errors" if signal.index < 0 else "axes"}), python


def level_of(first: Candidate | None) -> Level:
    """Return the level of evidence that the first candidate supports."""
    if first is None or first.suspicion < SUSPICIOUS:
        return "no evidence"
    used, trial = first.reliance, first.mitigation_trial
    if first.suspicion < STRONG or used is None or trial is None:
        return "suspicion"
    fails = used.aligned_accuracy.value - used.contradicting_accuracy.value >= MODEL_GAP
    fails = fails and used.contradicting_accuracy.high < used.aligned_accuracy.low
    return "strong evidence" if fails and trial.second_signal.low > 0.5 else "suspicion"


def make_verdict(candidates: Sequence[Candidate], slices: Sequence[Slice], kind: str) -> Verdict:
    """Return the verdict on candidates, the most suspicious first, for data of a kind."""
    first = candidates[0] if candidates else None
    level = level_of(first)
    same = [each.name for each in candidates if each.same_as_label]
    if level == "no evidence" and same:
        level = "suspicion"
    if first is None or level == "no evidence":
        score = 0.0 if first is None else first.suspicion
        reasons = [
            "No signal associated with the label has contradicting samples that lie where another class lies.",
            *[f"{each.name!r}: {each.statement}" for each in candidates if each.contradicting == 0][:1],
        ]
        return Verdict("no evidence", score, "", tuple(reasons))
    strength = first.association.strength
    reasons = [f"{name!r} equals the label: a model that has it needs nothing else." for name in same]
    reasons += [
        f"{first.name!r} is associated with the label (correlation {strength.value:.2f}, {strength.low:.2f} to "
        f"{strength.high:.2f}; one threshold on it is right in {100 * first.threshold_accuracy:.0f} %).",
        first.statement,
    ]
    if first.reliance is not None and first.contradicting:
        reasons.append(
            f"The model is right on {100 * first.reliance.contradicting_accuracy.value:.0f} % of the samples that "
            f"contradict it and on {100 * first.reliance.aligned_accuracy.value:.0f} % of the others."
        )
    if confirmed := [each for each in slices if each.confirmed]:
        worst = confirmed[0]
        reasons.append(
            f"{len(confirmed)} slices that the model fails were confirmed, such as {worst.description}: "
            f"{100 * worst.accuracy.value:.0f} % right against {100 * worst.rest_accuracy:.0f} % in the rest of its "
            "class."
        )
    method, reason = _choose_method(first, kind)
    gain = None if first.mitigation_trial is None else first.mitigation_trial.gain
    return Verdict(level, first.suspicion, first.name, tuple(reasons), method, reason, expected_gain=gain)


def _choose_method(first: Candidate, kind: str) -> tuple[str, str]:
    """Return the method to try and the reason; docs/experiments/0009 compares SUBG with RWG."""
    if first.mitigation_trial is None:
        if kind == "images":
            return "sitar", "hardly a sample contradicts the signal, and SITAR needs none"
        return "hsfm", "hardly a sample contradicts the signal, and HSFM needs no groups and few such samples"
    reason = "enough samples contradict the signal to learn from equally many of each of its groups"
    return "subg", reason + (f"; {first.unsure:,} that are probably misassigned are left out" if first.unsure else "")
