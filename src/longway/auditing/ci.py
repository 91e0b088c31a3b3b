"""Write an audit for machines: JUnit XML for test runners, SARIF 2.1.0 for code scanning."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from longway._version import __version__
from longway.auditing.findings import Candidate, Slice
from longway.auditing.result import LEVELS, Audit
from longway.auditing.verdict import SUSPICIOUS
from longway.report.words import clip, percent
from longway.utils.storage import hash_json

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
CHECKED = 20
"""Leading candidates that become test cases."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""
_RULES = {
    "longway/shortcut": ("ShortcutSignal", "A signal is associated with the label and behaves like a shortcut."),
    "longway/slice": ("FailedSlice", "The model fails a part of a class, confirmed on data that did not propose it."),
    "longway/data": ("DataProblem", "The data make metrics wrong: leakage, duplicates, unreadable inputs."),
}


def is_at_least(verdict: str, level: str) -> bool:
    """Return whether a verdict is at least as severe as a level; both are one of `LEVELS`."""
    return LEVELS.index(verdict) >= LEVELS.index(level)


def to_junit(audit: Audit) -> str:
    """Return an audit as JUnit XML, with a test case for the verdict, each leading candidate and each slice.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    str
        XML; characters that XML cannot hold are replaced.
    """
    cases = [
        ("verdict", clip(audit.source, 200), _verdict_failure(audit)),
        *(
            ("signal", f"{each.source}: {clip(each.name, 200)}", _signal_failure(each, audit))
            for each in audit.candidates[:CHECKED]
        ),
        *(("slice", clip(each.description, 200), _slice_failure(each)) for each in audit.slices),
    ]
    failed = str(sum(failure is not None for _, _, failure in cases))
    numbers = {"tests": str(len(cases)), "failures": failed, "errors": "0", "time": f"{audit.seconds:.3f}"}
    suites = ElementTree.Element("testsuites", {"name": "longway audit", **numbers})
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": _clean(clip(audit.source, 200)), "skipped": "0", **numbers}
    )
    for number, (kind, name, failure) in enumerate(cases):
        seconds = audit.seconds if number == 0 else 0
        about = {"classname": f"longway.audit.{kind}", "name": _clean(name), "time": f"{seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", about)
        if failure is not None:
            message = _clean(failure)
            ElementTree.SubElement(case, "failure", {"type": kind, "message": message}).text = message
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def to_sarif(audit: Audit) -> dict[str, Any]:
    """Return an audit as a SARIF 2.1.0 log, ready for JSON.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    dict
        One run; its results are suspicious candidates, confirmed slices and notes. Their location is the data set.
    """
    place = [{"physicalLocation": {"artifactLocation": {"uri": _uri(audit.source)}}}]
    severity = "error" if is_at_least(audit.verdict.level, "strong evidence") else "warning"
    found: list[tuple[str, str, str, str]] = []
    for each in audit.candidates[:CHECKED]:
        if (failure := _signal_failure(each, audit)) is not None:
            level = severity if each.name == audit.verdict.signal else "warning"
            found.append(("longway/shortcut", level, failure, each.name))
    found += [
        ("longway/slice", "warning", failure, each.description)
        for each in audit.slices
        if (failure := _slice_failure(each)) is not None
    ]
    found += [("longway/data", "note", clip(note, 600), note) for note in audit.notes]
    rules = list(_RULES)
    results = [
        {
            "ruleId": rule,
            "ruleIndex": rules.index(rule),
            "level": level,
            "message": {"text": text},
            "locations": place,
            "partialFingerprints": {"longway/v1": _fingerprint(rule, name)},
        }
        for rule, level, text, name in found
    ]
    driver = {
        "name": "longway",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [
            {"id": rule, "name": name, "shortDescription": {"text": text}, "fullDescription": {"text": text}}
            for rule, (name, text) in _RULES.items()
        ],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"verdict": audit.verdict.level, "score": audit.verdict.score, "rows": audit.n},
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _verdict_failure(audit: Audit) -> str | None:
    if audit.verdict.level == "no evidence":
        return None
    return clip(f"{audit.verdict.level}: {' '.join(audit.verdict.reasons)}", 1000)


def _signal_failure(each: Candidate, audit: Audit) -> str | None:
    """Return why a candidate fails its test case; None if it passes."""
    if audit.verdict.level == "no evidence" or not (each.suspicion >= SUSPICIOUS or each.same_as_label):
        return None
    strength = each.association.strength.value
    words = f"{clip(each.name)} is associated with the label ({strength:.2f}). {clip(each.statement, 400)}"
    used = each.reliance
    if used is not None:
        words += (
            f" The model is right on {percent(used.contradicting_accuracy.value)} of the samples that contradict it "
            f"and on {percent(used.aligned_accuracy.value)} of the others."
        )
    return words


def _slice_failure(each: Slice) -> str | None:
    """Return why a slice fails its test case; None if it was not confirmed."""
    if not each.confirmed:
        return None
    return (
        f"{clip(each.description, 300)}: {percent(each.accuracy.value)} right of {each.n}, against "
        f"{percent(each.rest_accuracy)} in the rest of its class (adjusted p {each.adjusted_p:.2g})"
    )


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _uri(source: str) -> str:
    """Return a source as a relative or absolute URI reference, with %XX escapes."""
    text = source.encode("utf-8", errors="replace").decode("utf-8").replace("\\", "/")[:1000]
    return ("file://" if text.startswith("/") else "") + (quote(text, safe="/._-~") or "data")


def _fingerprint(rule: str, name: str) -> str:
    return hash_json([rule, name.encode("utf-8", errors="replace").decode("utf-8")])
