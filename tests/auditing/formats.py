"""Check JUnit XML and SARIF 2.1.0: the fields that an object of an audit's output may have, and those that it must.

Fields are those that the standard's schemas list; the schemas allow no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

COUNTS = {"tests", "failures", "errors"}
ATTRIBUTES = {
    "testsuites": ({"name", "time", "disabled", *COUNTS}, set()),
    "testsuite": (
        {"name", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package", *COUNTS},
        {"name", "tests"},
    ),
    "testcase": ({"name", "classname", "time", "assertions", "status"}, {"name", "classname"}),
    "failure": ({"type", "message"}, set()),
}
"""Attributes that each JUnit element may have, and those that it must have."""
CHILDREN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure"}, "failure": set()}


def check_junit(element: Element) -> None:
    """Assert that an element and all below it are as JUnit's schema has them."""
    may, must = ATTRIBUTES[element.tag]
    assert must <= set(element.attrib) <= may
    for name, value in element.attrib.items():
        if name in COUNTS | {"disabled", "skipped"}:
            assert value.isdigit()
        if name == "time":
            assert float(value) >= 0
    for child in element:
        assert child.tag in CHILDREN[element.tag]
        check_junit(child)
    if element.tag in ("testsuites", "testsuite"):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests", -1)) == len(cases)
        assert int(element.get("failures", -1)) == sum(case.find("failure") is not None for case in cases)


Rule = tuple[dict[str, Any], set[str]]
MESSAGE: Rule = ({"text": str, "markdown": str, "id": str, "arguments": [str]}, set())
MULTIFORMAT: Rule = ({"text": str, "markdown": str}, {"text"})
DESCRIPTOR: Rule = (
    {
        "id": str,
        "guid": str,
        "name": str,
        "shortDescription": MULTIFORMAT,
        "fullDescription": MULTIFORMAT,
        "help": MULTIFORMAT,
        "helpUri": str,
    },
    {"id"},
)
COMPONENT: Rule = (
    {
        "name": str,
        "version": str,
        "semanticVersion": str,
        "informationUri": str,
        "fullName": str,
        "rules": [DESCRIPTOR],
    },
    {"name"},
)
ARTIFACT: Rule = ({"uri": str, "uriBaseId": str, "index": int, "description": MESSAGE}, set())
LOCATION: Rule = ({"id": int, "physicalLocation": ({"artifactLocation": ARTIFACT}, set()), "message": MESSAGE}, set())
RESULT: Rule = (
    {
        "ruleId": str,
        "ruleIndex": int,
        "kind": ("notApplicable", "pass", "fail", "review", "open", "informational"),
        "level": ("none", "note", "warning", "error"),
        "message": MESSAGE,
        "locations": [LOCATION],
        "partialFingerprints": {str: str},
        "properties": {str: object},
    },
    {"message"},
)
RUN: Rule = (
    {
        "tool": ({"driver": COMPONENT}, {"driver"}),
        "invocations": [({"executionSuccessful": bool, "exitCode": int}, {"executionSuccessful"})],
        "columnKind": ("utf16CodeUnits", "unicodeCodePoints"),
        "results": [RESULT],
        "properties": {str: object},
    },
    {"tool"},
)
SARIF: Rule = ({"$schema": str, "version": ("2.1.0",), "runs": [RUN]}, {"version", "runs"})
"""Fields of the objects that an audit writes, with their types, and those that are required."""


def check_sarif(value: Any, rule: Any = SARIF, where: str = "$") -> None:
    """Assert that a value is what a rule says.

    A rule is a type, a tuple of the strings that are allowed, a list with the rule of its items, ``{str: type}`` for a
    free mapping, or fields with their rules and the names of those that must be there.
    """
    if isinstance(rule, type):
        assert isinstance(value, rule), where
        assert rule is not int or (not isinstance(value, bool) and value >= 0), where
    elif isinstance(rule, list):
        assert isinstance(value, list), where
        for k, item in enumerate(value):
            check_sarif(item, rule[0], f"{where}[{k}]")
    elif isinstance(rule, dict):
        assert isinstance(value, Mapping), where
        assert all(isinstance(name, str) and isinstance(item, rule[str]) for name, item in value.items()), where
    elif isinstance(rule[0], str):
        assert value in rule, where
    else:
        fields, must = rule
        assert must <= set(value) <= set(fields), where
        for name, item in value.items():
            check_sarif(item, fields[name], f"{where}.{name}")
