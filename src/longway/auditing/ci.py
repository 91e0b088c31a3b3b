"""An audit for machines: JUnit XML for test runners, SARIF 2.1.0 for code scanning."""

from __future__ import annotations

import json
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

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
CHECKED = 20
"""Candidates that become a check; those further down the list were found harmless."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold."""
_RULES = {
    "longway/shortcut": ("ShortcutSignal", "A signal goes with the label and behaves like a shortcut."),
    "longway/slice": ("FailedSlice", "The model fails a part of a class, confirmed on data that did not find it."),
    "longway/data": (
        "DataProblem",
        "The data hold something that makes figures wrong: leakage, copies, unread inputs.",
    ),
}


def reaches(audit: Audit, level: str) -> bool:
    """Return whether the verdict is at least as grave as a level.

    Parameters
    ----------
    audit : Audit
    level : {"no evidence", "suspicion", "strong evidence"}
    """
    return LEVELS.index(audit.verdict.level) >= LEVELS.index(level)


def to_junit(audit: Audit) -> str:
    """Return an audit as JUnit XML: the verdict, each leading candidate and each slice is a test case.

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
        *(("signal", _signal_name(each), _signal_failure(each, audit)) for each in audit.candidates[:CHECKED]),
        *(("slice", clip(each.description, 200), _slice_failure(each)) for each in audit.slices),
    ]
    failed = str(sum(failure is not None for _, _, failure in cases))
    numbers = {"tests": str(len(cases)), "failures": failed, "errors": "0", "time": f"{audit.seconds:.3f}"}
    suites = ElementTree.Element("testsuites", {"name": "longway audit", **numbers})
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": _clean(clip(audit.source, 200)), "skipped": "0", **numbers}
    )
    for number, (kind, name, failure) in enumerate(cases):
        names = {"classname": f"longway.audit.{kind}", "name": _clean(name)}
        case = ElementTree.SubElement(
            suite, "testcase", {**names, "time": f"{audit.seconds if number == 0 else 0:.3f}"}
        )
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
        One run; candidates that fail their check and confirmed slices are results. A finding is about the data set, so
        that is its location.
    """
    place = [{"physicalLocation": {"artifactLocation": {"uri": _uri(audit.source)}}}]
    grave = "error" if reaches(audit, "strong evidence") else "warning"
    found: list[tuple[str, str, str, str]] = []
    for each in audit.candidates[:CHECKED]:
        failure = _signal_failure(each, audit)
        if failure is not None:
            level = grave if each.name == audit.verdict.signal else "warning"
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
    return {"$schema": SARIF, "version": "2.1.0", "runs": [_run(audit, results)]}


def _run(audit: Audit, results: list[dict[str, Any]]) -> dict[str, Any]:
    driver = {
        "name": "longway",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [
            {"id": rule, "name": name, "shortDescription": {"text": text}, "fullDescription": {"text": text}}
            for rule, (name, text) in _RULES.items()
        ],
    }
    properties = {"verdict": audit.verdict.level, "score": audit.verdict.score, "rows": audit.n}
    return {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": json.loads(json.dumps(properties)),
    }


def _verdict_failure(audit: Audit) -> str | None:
    if audit.verdict.level == "no evidence":
        return None
    return clip(f"{audit.verdict.level}: {' '.join(audit.verdict.reasons)}", 1000)


def _signal_name(each: Candidate) -> str:
    return f"{each.source}: {clip(each.name, 200)}"


def _signal_failure(each: Candidate, audit: Audit) -> str | None:
    """Return why a candidate fails its check; None where it does not."""
    if audit.verdict.level == "no evidence" or not (each.suspicion >= SUSPICIOUS or each.same_as_label):
        return None
    words = (
        f"{clip(each.name)} goes with the label ({each.association.strength.value:.2f}). {clip(each.statement, 400)}"
    )
    used = each.reliance
    if used is not None:
        words += (
            f" The model is right on {percent(used.contradicting_accuracy.value)} of the samples that contradict it "
            f"and on {percent(used.aligned_accuracy.value)} of the others."
        )
    return words


def _slice_failure(each: Slice) -> str | None:
    """Return why a slice fails its check; None where it was not confirmed."""
    if not each.confirmed:
        return None
    return (
        f"{clip(each.description, 300)}: {percent(each.accuracy.value)} right of {each.n}, against "
        f"{percent(each.rest_accuracy)} in the rest of its class (adjusted p {each.adjusted_p:.2g})"
    )


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _uri(source: str) -> str:
    """Return a source as a relative or absolute URI reference; what no URI may hold is written as %XX."""
    text = source.encode("utf-8", errors="replace").decode("utf-8").replace("\\", "/")[:1000]
    return ("file://" if text.startswith("/") else "") + (quote(text, safe="/._-~") or "data")


def _fingerprint(rule: str, name: str) -> str:
    return hash_json([rule, name.encode("utf-8", errors="replace").decode("utf-8")])
