"""Compare two audits: of a model before and after a fix, or of one model at two times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longway.auditing.findings import Candidate
from longway.auditing.result import FORMAT, LEVELS, Audit
from longway.utils.errors import LongwayError
from longway.utils.json_input import parse_json
from longway.utils.records import Record
from longway.utils.rules import Choice, Number
from longway.utils.schema import Maybe, misfit

SAME_AXIS = 0.9
"""Absolute correlation from which two axes are the same."""
READABLE = (1, FORMAT)
"""Formats of audit.json whose compared parts are the same."""


@dataclass(frozen=True)
class Change(Record):
    """A metric before and after; NaN if unknown.

    Parameters
    ----------
    before, after : float
    """

    before: float
    after: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True)
class SignalChange(Record):
    """A signal in two audits.

    Parameters
    ----------
    name, name_after : str
        Empty if the earlier or the later audit has no such signal. Untrusted text.
    source : str
    matched_by : {"name", "values", ""}
        How the two were matched; empty for a signal of one audit only.
    suspicion, association, sensitivity, flip_rate, aligned_accuracy, contradicting_accuracy : Change
        As in `longway.auditing.Candidate` and its reliance.
    times_less : float
        Absolute sensitivity before, divided by that after; NaN if either is unknown.
    reversed : bool
        True if the sensitivity changed its sign and neither interval holds 0: the model now leans the other way.
    """

    name: str
    name_after: str
    source: str
    matched_by: str
    suspicion: Change
    association: Change
    sensitivity: Change
    flip_rate: Change
    aligned_accuracy: Change
    contradicting_accuracy: Change
    times_less: float
    reversed: bool = False


@dataclass(frozen=True)
class SliceChange(Record):
    """A slice in two audits.

    Parameters
    ----------
    description, label, signal : str
        Untrusted text.
    accuracy : Change
    confirmed_before, confirmed_after : bool
    state : {"still fails", "no longer found", "new"}
        A slice that is no longer found did not stand out or was not confirmed; its accuracy may be unknown.
    """

    description: str
    label: str
    signal: str
    accuracy: Change
    confirmed_before: bool
    confirmed_after: bool
    state: str


@dataclass(frozen=True)
class AuditChanges(Record):
    """Differences between two audits.

    Parameters
    ----------
    source_before, source_after, model_before, model_after : str
        Untrusted text.
    level_before, level_after : str
        Verdicts.
    signal : str
        The signal behind the first verdict; the first candidate if that found no evidence.
    accuracy, worst_class : Change
    by_class : mapping of str to Change
    signals : tuple of SignalChange
        In the order of the first audit's candidates.
    slices : tuple of SliceChange
        Those that either audit confirmed.
    notes : tuple of str
        Reasons why the two are hard to compare.
    same_samples : bool
        False if the two audits are of different samples, so that metrics may differ for that reason alone.
    """

    source_before: str
    source_after: str
    model_before: str
    model_after: str
    level_before: str
    level_after: str
    signal: str
    accuracy: Change
    worst_class: Change
    by_class: Mapping[str, Change]
    signals: tuple[SignalChange, ...]
    slices: tuple[SliceChange, ...]
    notes: tuple[str, ...]
    same_samples: bool = True

    @property
    def leading(self) -> SignalChange | None:
        """The change of the signal behind the first verdict; None if there is none."""
        return next((each for each in self.signals if each.name == self.signal), None)


def compare_audits(before: Audit | Mapping[str, Any], after: Audit | Mapping[str, Any]) -> AuditChanges:
    """Return the differences between two audits.

    Columns and words are matched by name. Axes are matched by the correlation of their values if both audits are in
    memory and of the same samples, else by name.

    Parameters
    ----------
    before, after : Audit or mapping
        From `longway.audit`, ``Audit.to_dict`` or `read_audit`.

    Returns
    -------
    AuditChanges

    Raises
    ------
    LongwayError
        One of them is not an audit, or is of an unknown format.

    Examples
    --------
    >>> import longway
    >>> from longway.datasets import make_planted_shortcut
    >>> drawn = make_planted_shortcut(600, correlation=0.9)
    >>> first = longway.audit(drawn.X, drawn.y)
    >>> compare_audits(first, first).leading.times_less
    1.0
    """
    old, new = _record(before, "before"), _record(after, "after")
    axes = _match_axes(before, after)
    old_classes, new_classes = old["model"]["by_class"], new["model"]["by_class"]
    return AuditChanges(
        source_before=old["source"],
        source_after=new["source"],
        model_before=old["model"]["name"],
        model_after=new["model"]["name"],
        level_before=old["verdict"]["level"],
        level_after=new["verdict"]["level"],
        signal=old["verdict"]["signal"] or (old["candidates"][0]["name"] if old["candidates"] else ""),
        accuracy=_change(old["model"], new["model"], "accuracy", "value"),
        worst_class=Change(_worst(old_classes), _worst(new_classes)),
        by_class={
            name: _change(old_classes, new_classes, name, "value")
            for name in dict.fromkeys([*old_classes, *new_classes])
        },
        signals=_compare_signals(old["candidates"], new["candidates"], axes),
        slices=_compare_slices(old["slices"], new["slices"]),
        notes=_notes(old, new, axes is not None),
        same_samples=_same_samples(old, new),
    )


def read_audit(path: str | Path) -> dict[str, Any]:
    """Read the record of an audit from JSON, of this format or the earlier one.

    Raises
    ------
    LongwayError
        The file cannot be read or is not an audit.
    """
    try:
        found = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise LongwayError(f"{path} cannot be read ({error.strerror}): give the JSON of an audit") from error
    except ValueError as error:
        raise LongwayError(f"{path} is not JSON: give the audit.json that `longway audit` wrote") from error
    return _record(found, str(path))


_SIGNAL = {"name": str, "source": str, "association": Mapping, "reliance": Maybe({"how": Maybe(str)})}
_SLICE = {"description": str, "label": str, "signal": str, "found_by": str, "confirmed": bool}
_SHAPE = {
    "source": str,
    "n": int,
    "classes": dict,
    "model": {"by_class": dict, "name": str},
    "verdict": {"level": Choice(tuple(LEVELS)), "signal": str},
    "candidates": [_SIGNAL],
    "slices": [_SLICE],
}
"""The parts of an audit that are compared."""


def _record(audit: Any, name: str) -> dict[str, Any]:
    """Return an audit as a mapping whose compared parts are known to be there."""
    if isinstance(audit, Audit):
        return audit.to_dict()
    if not isinstance(audit, Mapping) or audit.get("format") is None:
        raise LongwayError(f"{name} is not an audit: give what longway.audit returned, or its audit.json")
    if audit["format"] not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise LongwayError(f"{name} is an audit of format {audit['format']!r}, and {known} can be read: audit again")
    if damage := misfit(audit, _SHAPE):
        raise LongwayError(f"{name} is damaged: {damage.strip('.')!r} is missing or of another type; audit again")
    return dict(audit)


def _match_axes(before: Any, after: Any) -> dict[str, str] | None:
    """Match the axes of two audits by their values; None if these are unknown or of other samples."""
    if not (isinstance(before, Audit) and isinstance(after, Audit)) or before.n != after.n:
        return None
    if before.rows is None or after.rows is None or not np.array_equal(before.rows, after.rows):
        return None
    old, new = ([each for each in audit.candidates if each.source == "axis"] for audit in (before, after))
    if any(each.values is None for each in (*old, *new)):
        return None
    if not old or not new:
        return {}
    similarity = np.abs(_scaled(old) @ _scaled(new).T)
    found = {}
    for _ in range(min(similarity.shape)):  # greedily, the most similar pair first
        i, j = np.unravel_index(int(similarity.argmax()), similarity.shape)
        if similarity[i, j] < SAME_AXIS:
            break
        found[old[i].name] = new[j].name
        similarity[i], similarity[:, j] = -1, -1
    return found


def _scaled(candidates: Sequence[Candidate]) -> np.ndarray:
    """Return the values of candidates (k, n), centred and scaled to length 1."""
    values = np.stack([np.nan_to_num(np.asarray(each.values, np.float64)) for each in candidates])
    values = values - values.mean(1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def _compare_signals(
    old: list[Mapping[str, Any]], new: list[Mapping[str, Any]], axes: Mapping[str, str] | None
) -> tuple[SignalChange, ...]:
    later = {(each["source"], each["name"]): each for each in new}
    found = []
    for each in old:
        by_values = each["source"] == "axis" and axes is not None
        name = axes.get(each["name"], "") if by_values and axes is not None else each["name"]
        other = later.pop((each["source"], name), None)
        found.append(_compare_signal(each, other, "" if other is None else "values" if by_values else "name"))
    return (*found, *(_compare_signal(None, each, "") for each in later.values()))


def _compare_signal(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, matched_by: str) -> SignalChange:
    sensitivity = _change(old, new, "reliance", "sensitivity", "value")
    after = abs(sensitivity.after)
    return SignalChange(
        name=old["name"] if old else "",
        name_after=new["name"] if new else "",
        source=(old or new or {})["source"],
        matched_by=matched_by,
        suspicion=_change(old, new, "suspicion"),
        association=_change(old, new, "association", "strength", "value"),
        sensitivity=sensitivity,
        flip_rate=_change(old, new, "reliance", "flip_rate"),
        aligned_accuracy=_change(old, new, "reliance", "aligned_accuracy", "value"),
        contradicting_accuracy=_change(old, new, "reliance", "contradicting_accuracy", "value"),
        times_less=abs(sensitivity.before) / after if after > 0 else math.nan,
        reversed=_side(old) * _side(new) < 0,
    )


def _side(record: Mapping[str, Any] | None) -> int:
    """Return the sign of a sensitivity; 0 if it is unknown or its interval holds 0."""
    low, high = (_number(record, "reliance", "sensitivity", end) for end in ("low", "high"))
    return int(low > 0) - int(high < 0)


def _compare_slices(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> tuple[SliceChange, ...]:
    def key(each: Mapping[str, Any]) -> tuple[str, str]:
        # A signal has one unusual side per class; its threshold, and with it the description, may move.
        return each["label"], each["signal"] or each["description"]

    earlier, later = ({key(each): each for each in slices} for slices in (old, new))
    found = []
    for name in dict.fromkeys([*earlier, *later]):
        a, b = earlier.get(name), later.get(name)
        was, now = bool(a and a["confirmed"]), bool(b and b["confirmed"])
        if was or now:
            either = a or b or {}
            state = "still fails" if was and now else "no longer found" if was else "new"
            accuracy = _change(a, b, "accuracy", "value")
            description, label, signal = (str(either[text]) for text in ("description", "label", "signal"))
            found.append(SliceChange(description, label, signal, accuracy, was, now, state))
    return tuple(found)


def _notes(old: Mapping[str, Any], new: Mapping[str, Any], by_values: bool) -> tuple[str, ...]:
    notes = []
    if not by_values and any(each["source"] == "axis" for each in old["candidates"]):
        notes.append("Axes were matched by name. If data or representation differ, a name may mean another axis.")
    how = {each["reliance"].get("how") for audit in (old, new) for each in audit["candidates"] if each.get("reliance")}
    if len(how - {None}) > 1:
        notes.append("Reliance was measured by intervention in one audit and from predictions alone in the other.")
    return tuple(notes)


def _same_samples(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether two audits are of the same samples, as far as their records say."""
    prints = {str(each.get("fingerprint") or "") for each in (old, new)}
    return bool(old["classes"] == new["classes"] and (len(prints) == 1 or "" in prints))


def _worst(by_class: Mapping[str, Any]) -> float:
    values = [_number(each, "value") for each in by_class.values()]
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _change(old: Any, new: Any, *path: str) -> Change:
    return Change(_number(old, *path), _number(new, *path))


def _number(record: Any, *path: str) -> float:
    """Return the number at a path inside a record; NaN if there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return float(record) if Number(-math.inf).accepts(record) else math.nan
