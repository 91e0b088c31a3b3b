"""Turn evidence into a verdict: the suspicion of a signal, its description, and advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from longway.auditing.effects import MODEL_GAP, fails_along
from longway.auditing.estimates import Z
from longway.auditing.findings import Advice, Association, Candidate, MitigationTrial, SignalEffect, Slice
from longway.auditing.model import AuditedModel
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
# The constants below were set on development models (seeds 100, 101 and 0 to 3) of benchmarks/audit/held_out.py.
MIN_EXCESS, MIN_AXIS_EXCESS = 0.1, 0.15
"""Lowest end of the interval of the excess effect of a column or word, and of an axis. Any model errs where its own
noise points, and some axis lies near that direction; a column was there before the model."""
MIN_SHARE = 0.05
"""Share of the samples that the smaller side of an axis holds: its outermost samples are hard for every model."""
CLEARED = 0.39
"""Largest suspicion of a signal of the data that a given model does not take."""


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


def clears(effect: SignalEffect | None) -> bool:
    """Return whether a model is certainly about as accurate on samples that contradict the signal."""
    if effect is None:
        return False
    return effect.contradicting_accuracy.low >= effect.aligned_accuracy.value - MODEL_GAP


def effect_suspicion(effect: SignalEffect | None, source: str) -> float:
    """Return the suspicion, from 0 to 1, that a model takes a signal more than the labels of these data support."""
    if effect is None or effect.adjusted_p > SIGNIFICANT or not fails_along(effect):
        return 0.0
    size = min(effect.excess.value, 1.0)
    if source != "axis":
        return STRONG + (1 - STRONG) * size if effect.excess.low >= MIN_EXCESS else 0.0
    seen = effect.excess.low >= MIN_AXIS_EXCESS and effect.smaller_side >= MIN_SHARE
    return SUSPICIOUS + (STRONG - SUSPICIOUS - 0.01) * size if seen else 0.0  # an axis alone is never strong evidence


def combined_suspicion(data: float, effect: SignalEffect | None, source: str) -> float:
    """Return the suspicion of a signal, given that of the data and the signal's effect on a model, if there is one."""
    # Samples just beyond an axis's threshold contradict nothing: a model that is right on them is not cleared by that.
    cleared = source != "axis" and clears(effect)
    return max(effect_suspicion(effect, source), min(data, CLEARED) if cleared else data)


def z_score(second_signal: Estimate) -> float:
    """Return the standard errors by which a second signal is better than chance."""
    return float((second_signal.value - 0.5) * Z / (second_signal.value - second_signal.low))


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


def taken(name: str, effect: SignalEffect, classes: Sequence[str], kind: str) -> str:
    """Say that a model takes a signal, and whom it fails for that."""
    samples = "samples" if kind == "features" else kind
    side = "" if effect.sign > 0 else "the opposite of "
    return (
        f"The model takes {side}{name!r} for {classes[effect.focus]!r}: right on "
        f"{100 * effect.contradicting_accuracy.value:.0f} % of the {samples} that contradict it, on "
        f"{100 * effect.aligned_accuracy.value:.0f} % of the others."
    )


def level_of(first: Candidate | None) -> Level:
    """Return the level of evidence that the first candidate supports."""
    if first is None or first.suspicion < SUSPICIOUS:
        return "no evidence"
    if effect_suspicion(first.effect, first.source) >= STRONG:
        return "strong evidence"
    trial = first.mitigation_trial
    if first.suspicion < STRONG or trial is None or not fails_along(first.reliance):
        return "suspicion"
    if first.effect is not None and first.effect.effect.high < first.effect.reference / 2:
        return "suspicion"  # the data hold a shortcut, but the model takes it far less than an ordinary head
    return "strong evidence" if trial.second_signal.low > 0.5 else "suspicion"


def make_verdict(
    candidates: Sequence[Candidate], slices: Sequence[Slice], model: AuditedModel, classes: Sequence[str], kind: str
) -> Verdict:
    """Return the verdict on candidates, the most suspicious first, for data of a kind."""
    given, failed = model.kind != "fitted here", [each for each in slices if each.confirmed]
    subject: Candidate | None = candidates[0] if candidates else None
    level, score = level_of(subject), 0.0 if subject is None else subject.suspicion
    reasons = [_useless(classes[code]) for code in np.unique(model.codes)] if np.ptp(model.codes) == 0 else []
    same = [each for each in candidates if each.same_as_label]
    reasons += [f"{each.name!r} equals the label: a model that has it needs nothing else." for each in same]
    if level == "no evidence":
        described = [each for each in failed if each.found_by != "cluster"][:1] if given else []
        reasons += map(_slice_words, described)
        if not reasons:
            return Verdict(level, score, "", tuple(_absence(candidates, failed, given)))
        level, score = "suspicion", max(score, SUSPICIOUS)
        if not same:
            subject = next((each for each in candidates if each.name in [one.signal for one in described]), None)
    if subject is None:
        return Verdict(level, score, "", tuple(reasons))
    reasons += _presence(subject, failed)
    if not given:
        reasons.append(_NO_MODEL)
    method, reason = _choose_method(subject, kind)
    trial, taken_by_model = subject.mitigation_trial, effect_suspicion(subject.effect, subject.source) > 0
    gain = None if trial is None or taken_by_model else trial.gain  # the trial starts from the ordinary head
    return Verdict(level, score, subject.name, tuple(reasons), method, reason, expected_gain=gain)


_NO_MODEL = "No model was given: this is a verdict on the data, by an ordinary head that was fitted here."


def _absence(candidates: Sequence[Candidate], failed: Sequence[Slice], given: bool) -> Iterator[str]:
    """Say why there is no evidence."""
    if given:
        yield "No signal changes what the model predicts within a class more than the labels of these data support."
    else:
        yield "No signal associated with the label has contradicting samples that lie where another class lies."
    first = candidates[0] if candidates else None
    if first is not None and first.suspicion == CLEARED and first.effect is not None:
        yield (
            f"{first.name!r} looks like a shortcut in these data, but the model does not take it: right on "
            f"{100 * first.effect.contradicting_accuracy.value:.0f} % of the samples that contradict it, on "
            f"{100 * first.effect.aligned_accuracy.value:.0f} % of the others."
        )
    yield from (f"{each.name!r}: {each.statement}" for each in [c for c in candidates if c.contradicting == 0][:1])
    yield from map(_slice_words, failed[:1] if given else [])
    if not given:
        yield _NO_MODEL


def _presence(subject: Candidate, failed: Sequence[Slice]) -> Iterator[str]:
    """Say what speaks for a shortcut: plain words first, then statistics."""
    strength, used, effect = subject.association.strength, subject.reliance, subject.effect
    association = (
        f"The correlation of {subject.name!r} with the label in these data is {strength.value:.2f} "
        f"({strength.low:.2f} to {strength.high:.2f}); one threshold on it is right in "
        f"{100 * subject.threshold_accuracy:.0f} %."
    )
    if effect is not None and effect_suspicion(effect, subject.source):
        yield subject.statement
        yield (
            f"Within a class, the model predicts that class {100 * effect.effect.value:.0f} points more often on one "
            f"side of it than on the other, {100 * effect.excess.value:.0f} points ({100 * effect.excess.low:.0f} to "
            f"{100 * effect.excess.high:.0f}) more than an ordinary head fitted to these data. That head is right on "
            f"{100 * effect.reference_accuracy.value:.0f} % of the samples that contradict it."
        )
        yield association
    else:
        if used is not None and subject.contradicting:
            yield (
                f"The model is right on {100 * used.contradicting_accuracy.value:.0f} % of the samples that contradict "
                f"{subject.name!r}, on {100 * used.aligned_accuracy.value:.0f} % of the others."
            )
        yield association
        yield subject.statement
    if failed:
        yield f"{len(failed)} slices that the model fails were confirmed. {_slice_words(failed[0])}"


def _useless(name: str) -> str:
    return f"The model predicts {name!r} for every sample: it is useless on these data, whatever signal it takes."


def _slice_words(worst: Slice) -> str:
    return (
        f"The model fails {worst.description}: {100 * worst.accuracy.value:.0f} % right against "
        f"{100 * worst.rest_accuracy:.0f} % in the rest of its class."
    )


def _choose_method(first: Candidate, kind: str) -> tuple[str, str]:
    """Return the method to try and the reason; docs/experiments/0009 compares SUBG with RWG."""
    if first.mitigation_trial is None:
        if kind == "images":
            return "sitar", "hardly a sample contradicts the signal, and SITAR needs none"
        return "hsfm", "hardly a sample contradicts the signal, and HSFM needs no groups and few such samples"
    reason = "enough samples contradict the signal to learn from equally many of each of its groups"
    return "subg", reason + (f"; {first.unsure:,} that are probably misassigned are left out" if first.unsure else "")
