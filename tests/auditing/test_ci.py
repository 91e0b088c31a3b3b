import json
import re
from dataclasses import replace
from urllib.parse import urlparse
from xml.etree import ElementTree

import pytest
from auditing.formats import check_junit, check_sarif
from auditing.made_audit import audit, candidate, clean
from report.test_page import HOSTILE

from longway.auditing import LEVELS
from longway.auditing.ci import is_at_least, to_junit, to_sarif

NAMES = [*HOSTILE, "bell \x07 and \x00", "lone \ud800 surrogate", "]]>", "a\nb", "C:\\data\\birds", "/data/birds æ", ""]


@pytest.mark.parametrize("words", NAMES)
def test_junit_is_whole_whatever_the_names(words):
    suites = ElementTree.fromstring(to_junit(audit(words)).encode("utf-8"))
    check_junit(suites)
    assert suites.tag == "testsuites"
    (suite,) = suites
    cases = suite.findall("testcase")
    # the verdict, two candidates, two slices
    assert [case.get("classname") for case in cases] == [
        *["longway.audit.verdict"],
        *["longway.audit.signal"] * 2,
        *["longway.audit.slice"] * 2,
    ]
    failed = [case.find("failure") is not None for case in cases]
    assert failed == [True, True, False, True, False]
    for element in (suites, suite):
        assert (element.get("tests"), element.get("failures"), element.get("errors")) == ("5", "3", "0")
        assert float(element.get("time")) == 1.5
    assert all(case.get("name") is not None and float(case.get("time")) >= 0 for case in cases)
    assert "right" in cases[1].find("failure").get("message")


def test_junit_of_a_clean_audit_passes():
    suites = ElementTree.fromstring(to_junit(clean()))
    check_junit(suites)
    assert suites.get("failures") == "0"
    assert not list(suites.iter("failure"))


@pytest.mark.parametrize("words", NAMES)
def test_sarif_has_what_the_standard_requires(words):
    log = to_sarif(audit(words))
    # Survives JSON, and UTF-8 where the text can be written in it at all
    assert json.loads(json.dumps(log)) == log
    check_sarif(log)
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "longway"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(set(rules)) == len(rules)
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert {"longway/shortcut", "longway/slice"} <= {each["ruleId"] for each in run["results"]}
    for each in run["results"]:
        assert rules[each["ruleIndex"]] == each["ruleId"]
        assert each["level"] in ("none", "note", "warning", "error")
        assert isinstance(each["message"]["text"], str)
        assert re.fullmatch(r"[0-9a-f]+", each["partialFingerprints"]["longway/v1"])
        (place,) = each["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[\w./~:%-]+", uri, re.ASCII)
        assert urlparse(uri).scheme in ("", "file")


def test_only_the_severe_finding_is_an_error():
    other = candidate("other", suspicion=0.5)
    results = to_sarif(audit(candidates=(candidate(), other)))["runs"][0]["results"]
    levels = [each["level"] for each in results if each["ruleId"] == "longway/shortcut"]
    assert levels == ["error", "warning"]
    milder = replace(audit(), verdict=replace(audit().verdict, level="suspicion"))
    assert "error" not in {each["level"] for each in to_sarif(milder)["runs"][0]["results"]}


def test_a_clean_audit_has_no_results():
    check_sarif(to_sarif(clean()))
    assert to_sarif(clean())["runs"][0]["results"] == []


def test_a_fingerprint_stays_when_metrics_change():
    moved = replace(audit(), candidates=(candidate(suspicion=0.8),))
    prints = [to_sarif(each)["runs"][0]["results"][0]["partialFingerprints"] for each in (audit(), moved)]
    assert prints[0] == prints[1]


@pytest.mark.parametrize("level", LEVELS)
def test_levels(level):
    assert [is_at_least(level, each) for each in LEVELS] == [LEVELS.index(level) >= k for k in range(3)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "2.0.0"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "ruleIndex"), -1),
        (("runs", 0, "results", 0, "message"), "words"),
        (("runs", 0, "results", 0, "colour"), "red"),
        (("runs", 0, "tool"), {}),
    ],
)
def test_the_check_of_sarif_tells_what_breaks_it(path, value):
    log = to_sarif(audit())
    place = log
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises((AssertionError, TypeError)):
        check_sarif(log)
