"""What changed between two audits: of a model before and after a fix, or of one task at two times."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longway.auditing.result import FORMAT, LEVELS, Audit
from longway.utils.errors import LongwayError
from longway.utils.records import Record

ALIKE = 0.9
"""Absolute correlation from which two axes are one."""


@dataclass(frozen=True)
class Change(Record):
    """A figure before and after; NaN where one is not known.

    Parameters
    ----------
    before, after : float
    """

    before: float
    after: float

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class SignalChange(Record):
    """A signal in two audits.

    Parameters
    ----------
    name, name_after : str
        Before and after; the second is empty where the later audit has no such signal, the first where the earlier
        has none. Untrusted text.
    source : str
    matched_by : {"name", "values", ""}
        How the two were found to be one; empty where there is one only.
    suspicion, association, sensitivity, flip_rate, aligned_accuracy, contradicting_accuracy : Change
        As in `longway.auditing.Candidate` and its reliance.
    times_less : float
        The sensitivity before, divided by that after, both without sign; NaN where either is not known.
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
        A slice that is no longer found did not stand out, or was not confirmed; its accuracy may not be known.
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
    """What changed from one audit to another.

    Parameters
    ----------
    source_before, source_after, model_before, model_after : str
        Untrusted text.
    level_before, level_after : str
        Verdicts.
    signal : str
        What the first audit's verdict rests on, its first candidate where it found no evidence.
    accuracy, worst_class : Change
    by_class : mapping of str to Change
    signals : tuple of SignalChange
        In the order of the first audit's candidates.
    slices : tuple of SliceChange
        Those that either audit confirmed.
    notes : tuple of str
        What makes the two hard to compare.
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

    @property
    def leading(self) -> SignalChange | None:
        """The change of the signal that the first verdict rests on; None where there is none."""
        return next((each for each in self.signals if each.name == self.signal), None)


def compare_audits(before: Audit | Mapping[str, Any], after: Audit | Mapping[str, Any]) -> AuditChanges:
    """Say what changed between two audits.

    Columns and words are matched by name; axes by the correlation of their values where both audits are in memory and
    of the same rows, else by name.

    Parameters
    ----------
    before, after : Audit or mapping
        From `longway.audit`, or what ``Audit.to_dict`` or `read_audit` returned.

    Returns
    -------
    AuditChanges

    Raises
    ------
    LongwayError
        One of them is no audit, or of a version that is not known here.

    Examples
    --------
    >>> import longway
    >>> from longway.datasets._make_planted import planted_shortcut
    >>> drawn = planted_shortcut(600, correlation=0.9)
    >>> first = longway.audit(drawn.X, drawn.y)
    >>> compare_audits(first, first).leading.times_less
    1.0
    """
    old, new = _record(before, "before"), _record(after, "after")
    same = _same_axes(before, after)
    notes = _notes(old, new, same is not None)
    own, other = old["model"]["by_class"], new["model"]["by_class"]
    signals = _signals(old["candidates"], new["candidates"], same or {}, same is not None)
    first = old["verdict"]["signal"] or (old["candidates"][0]["name"] if old["candidates"] else "")
    return AuditChanges(
        source_before=old["source"],
        source_after=new["source"],
        model_before=old["model"]["name"],
        model_after=new["model"]["name"],
        level_before=old["verdict"]["level"],
        level_after=new["verdict"]["level"],
        signal=first,
        accuracy=_change(old["model"]["accuracy"], new["model"]["accuracy"]),
        worst_class=Change(_worst(own), _worst(other)),
        by_class={name: _change(own.get(name), other.get(name)) for name in dict.fromkeys([*own, *other])},
        signals=signals,
        slices=_slices(old["slices"], new["slices"]),
        notes=notes,
    )


def read_audit(path: str | Path) -> dict[str, Any]:
    """Read the figures of an audit that were written as JSON.

    Raises
    ------
    LongwayError
        The file cannot be read, or holds something else.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LongwayError(f"{path} cannot be read ({error.strerror}): give the JSON of an audit") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise LongwayError(f"{path} is no JSON: give the audit.json that `longway audit` wrote") from error
    return _record(found, str(path))


_PARTS: Mapping[str, type | tuple[type, ...]] = {
    "source": str,
    "n": int,
    "classes": dict,
    "model": dict,
    "verdict": dict,
    "candidates": list,
    "slices": list,
}


def _record(audit: Any, name: str) -> dict[str, Any]:
    if isinstance(audit, Audit):
        return audit.to_dict()
    if not isinstance(audit, Mapping) or audit.get("format") is None:
        raise LongwayError(f"{name} is no audit: give what longway.audit returned, or its audit.json")
    if audit["format"] != FORMAT:
        raise LongwayError(f"{name} is an audit of format {audit['format']!r}, not {FORMAT}: audit again")
    for part, kind in _PARTS.items():
        if not isinstance(audit.get(part), kind):
            raise LongwayError(f"{name} is no whole audit, as its {part!r} is missing or damaged: audit again")
    model, verdict = audit["model"], audit["verdict"]
    whole = isinstance(model.get("by_class"), dict) and isinstance(model.get("name"), str)
    whole = whole and verdict.get("level") in LEVELS and isinstance(verdict.get("signal"), str)
    whole = whole and all(_is_signal(each) for each in audit["candidates"])
    whole = whole and all(_is_slice(each) for each in audit["slices"])
    if not whole:
        raise LongwayError(f"{name} is no whole audit, as one of its parts is damaged: audit again")
    return dict(audit)


def _is_signal(each: Any) -> bool:
    return (
        isinstance(each, Mapping)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("source"), str)
        and isinstance(each.get("association"), Mapping)
        and isinstance(each.get("reliance"), Mapping | None)
    )


def _is_slice(each: Any) -> bool:
    texts = ("description", "label", "signal", "found_by")
    return isinstance(each, Mapping) and all(isinstance(each.get(text), str) for text in texts) and "confirmed" in each


def _same_axes(before: Any, after: Any) -> dict[str, str] | None:
    """Return which axis is which, by values; None where these are not known or of other rows."""
    if not (isinstance(before, Audit) and isinstance(after, Audit)) or before.n != after.n:
        return None
    if before.rows is None or after.rows is None or not np.array_equal(before.rows, after.rows):
        return None
    old, new = ([each for each in audit.candidates if each.source == "axis"] for audit in (before, after))
    if any(each.values is None for each in (*old, *new)):
        return None
    if not old or not new:
        return {}
    near = np.abs(_correlations(old, new))
    found = {}
    for _ in range(min(near.shape)):
        i, j = np.unravel_index(int(near.argmax()), near.shape)
        if near[i, j] < ALIKE:
            break
        found[old[i].name] = new[j].name
        near[i], near[:, j] = -1, -1
    return found


def _correlations(old: Any, new: Any) -> np.ndarray:
    def scaled(candidates: Any) -> np.ndarray:
        values = np.stack([np.nan_to_num(np.asarray(each.values, np.float64)) for each in candidates])
        values = values - values.mean(1, keepdims=True)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)

    return scaled(old) @ scaled(new).T


def _signals(
    old: list[Mapping[str, Any]], new: list[Mapping[str, Any]], same: Mapping[str, str], by_values: bool
) -> tuple[SignalChange, ...]:
    later = {(each["source"], each["name"]): each for each in new}
    found = []
    for each in old:
        axis = each["source"] == "axis" and by_values
        other = later.pop((each["source"], same.get(each["name"], "") if axis else each["name"]), None)
        found.append(_signal(each, other, "" if other is None else "values" if axis else "name"))
    return (*found, *(_signal(None, each, "") for each in later.values()))


def _signal(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, matched_by: str) -> SignalChange:
    either = old or new or {}

    def change(*path: str) -> Change:
        return Change(_at(old, *path), _at(new, *path))

    sensitivity = change("reliance", "sensitivity", "value")
    now = abs(sensitivity.after)
    return SignalChange(
        name=old["name"] if old else "",
        name_after=new["name"] if new else "",
        source=either["source"],
        matched_by=matched_by,
        suspicion=change("suspicion"),
        association=change("association", "strength", "value"),
        sensitivity=sensitivity,
        flip_rate=change("reliance", "flip_rate"),
        aligned_accuracy=change("reliance", "aligned_accuracy", "value"),
        contradicting_accuracy=change("reliance", "contradicting_accuracy", "value"),
        times_less=abs(sensitivity.before) / now if now > 0 else math.nan,
    )


def _slices(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> tuple[SliceChange, ...]:
    def key(each: Mapping[str, Any]) -> tuple[str, str]:
        # a signal has one unusual side in each class; its threshold, and with it the words, may move
        return each["label"], each["signal"] or each["description"]

    earlier, later = ({key(each): each for each in slices} for slices in (old, new))
    found = []
    for name in dict.fromkeys([*earlier, *later]):
        a, b = earlier.get(name), later.get(name)
        was, now = bool(a and a["confirmed"]), bool(b and b["confirmed"])
        if was or now:
            either = a or b or {}
            state = "still fails" if was and now else "no longer found" if was else "new"
            accuracy = Change(_at(a, "accuracy", "value"), _at(b, "accuracy", "value"))
            found.append(SliceChange(either["description"], *_names(either), accuracy, was, now, state))
    return tuple(found)


def _names(each: Mapping[str, Any]) -> tuple[str, str]:
    return each["label"], each["signal"]


def _notes(old: Mapping[str, Any], new: Mapping[str, Any], by_values: bool) -> tuple[str, ...]:
    notes = []
    if old["classes"] != new["classes"]:
        notes.append("The two audits are of other rows: figures may differ for that alone.")
    if not by_values and any(each["source"] == "axis" for each in old["candidates"]):
        notes.append("Axes were matched by name. Where data or representation differ, a name may mean another axis.")
    hows = {_how(each) for audit in (old, new) for each in audit["candidates"] if each.get("reliance")}
    if len(hows - {None}) > 1:
        notes.append("Reliance was measured by intervention in one audit and from predictions alone in the other.")
    return tuple(notes)


def _how(each: Mapping[str, Any]) -> Any:
    return (each.get("reliance") or {}).get("how")


def _worst(by_class: Mapping[str, Any]) -> float:
    known = [value for value in (_at(each, "value") for each in by_class.values()) if not math.isnan(value)]
    return min(known, default=math.nan)


def _change(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change:
    return Change(_at(old, "value"), _at(new, "value"))


def _at(record: Any, *path: str) -> float:
    """Return a number inside a record; NaN where there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    number = isinstance(record, int | float) and not isinstance(record, bool)
    return float(record) if number else math.nan
