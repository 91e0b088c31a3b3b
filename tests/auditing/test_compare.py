import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from auditing.made_audit import N, audit, candidate, clean, made_slice

from longway.auditing import Estimate
from longway.auditing._page_compare import changes_page, headline
from longway.auditing.compare import compare_audits, read_audit
from longway.utils.errors import LongwayError

STORED = Path(__file__).parents[1] / "stored" / "audit-v0.json"
"""Made by an earlier version: ``trial`` for ``mitigation_trial``, no ``advice``."""


def relying(name, sensitivity, **changes):
    """Return a candidate with this sensitivity."""
    used = replace(candidate().reliance, sensitivity=Estimate(sensitivity, 0.0, 1.0))
    return candidate(name, reliance=used, **changes)


def test_an_audit_against_itself():
    own = audit(candidates=(candidate(),))
    changes = compare_audits(own, own)
    assert changes.accuracy.difference == 0
    assert changes.leading.times_less == 1
    assert [each.state for each in changes.slices] == ["still fails"]
    assert changes.notes == ()
    assert headline(changes).startswith("Verdict: strong evidence before, strong evidence after.")


def test_reliance_falls():
    before = audit(candidates=(relying("place = sea", 0.2), relying("age", 0.1)))
    fixed = audit(candidates=(relying("age", 0.1), relying("place = sea", -0.02)), slices=())
    changes = compare_audits(before, fixed)
    assert changes.leading.times_less == pytest.approx(10)
    assert [each.times_less for each in changes.signals] == pytest.approx([10, 1])
    assert [each.matched_by for each in changes.signals] == ["name", "name"]
    assert [each.state for each in changes.slices] == ["no longer found"]
    assert "10.0 times less" in headline(changes)
    assert "2.0 times as much" in headline(compare_audits(audit(candidates=(relying("place = sea", 0.1),)), before))


def test_axes_are_matched_by_their_values():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2, N))
    old = [relying(f"axis {k}", 0.2, source="axis", values=values[k]) for k in (0, 1)]
    new = [relying(f"axis {k}", 0.1, source="axis", values=-3 * values[1 - k]) for k in (0, 1)]
    changes = compare_audits(audit(candidates=tuple(old)), audit(candidates=tuple(new)))
    assert [(each.name, each.name_after) for each in changes.signals] == [("axis 0", "axis 1"), ("axis 1", "axis 0")]
    assert {each.matched_by for each in changes.signals} == {"values"}
    other = [replace(each, values=generator.normal(size=N)) for each in new]
    found = compare_audits(audit(candidates=tuple(old)), audit(candidates=tuple(other)))
    assert [(each.name, each.name_after) for each in found.signals] == [
        *[("axis 0", ""), ("axis 1", "")],
        *[("", "axis 0"), ("", "axis 1")],
    ]


def test_axes_of_files_are_matched_by_name_with_a_warning():
    old = audit(candidates=(relying("axis 0", 0.2, source="axis"),))
    changes = compare_audits(old.to_dict(), json.loads(json.dumps(old.to_dict())))
    assert changes.signals[0].matched_by == "name"
    assert any("matched by name" in note for note in changes.notes)


def test_notes_say_why_audits_are_hard_to_compare():
    used = replace(candidate().reliance, how="predictions")
    after = audit(candidates=(candidate(reliance=used),), classes={"land": 3})
    changes = compare_audits(audit(candidates=(candidate(),)), after)
    assert headline(changes).startswith("The two audits are of different samples")
    assert len(changes.notes) == 1
    assert "intervention" in changes.notes[0]


@pytest.mark.parametrize(("one", "other", "same"), [("a", "a", True), ("a", "b", False), ("a", "", True)])
def test_samples_are_compared_by_fingerprint(one, other, same):
    changes = compare_audits(audit(fingerprint=one), audit(fingerprint=other))
    assert changes.same_samples is same
    assert headline(changes).startswith("The two audits are of different samples") is not same


@pytest.mark.parametrize(("after", "is_reversed"), [((-0.2, -0.3, -0.1), True), ((-0.2, -0.5, 0.1), False)])
def test_a_reversal_is_called_one(after, is_reversed):
    before = audit(candidates=(candidate(),), verdict=replace(audit().verdict, signal=candidate().name))
    used = replace(candidate().reliance, sensitivity=Estimate(*after))
    changes = compare_audits(before, audit(candidates=(candidate(reliance=used),)))
    assert changes.leading.reversed is is_reversed
    assert ("leans the other way" in headline(changes)) is is_reversed


def test_slices_are_one_though_their_threshold_moved():
    before = audit(slices=(made_slice(description="class 'land' where axis 1 is low (below 0.10)", signal="axis 1"),))
    after = audit(
        slices=(
            made_slice(description="class 'land' where axis 1 is low (below 0.12)", signal="axis 1", confirmed=False),
            made_slice(description="class 'b', a cluster", label="b", signal="", found_by="cluster"),
        )
    )
    changes = compare_audits(before, after)
    assert [each.state for each in changes.slices] == ["no longer found", "new"]
    assert changes.slices[0].accuracy.after == 0.4


def test_nothing_found_before():
    changes = compare_audits(clean(), audit())
    assert changes.signal == "axis 0"
    assert (changes.level_before, changes.level_after) == ("no evidence", "strong evidence")
    assert changes_page(changes).render()
    none = replace(clean(), candidates=())
    assert compare_audits(none, none).leading is None
    assert "no signals" in changes_page(compare_audits(none, none)).render()


def test_json_holds_all_of_it(tmp_path):
    changes = compare_audits(audit(), clean())
    record = json.loads(json.dumps(changes.to_dict(), allow_nan=False))
    assert record["signals"][0]["sensitivity"] == {"before": 0.2, "after": None}
    (tmp_path / "audit.json").write_text(json.dumps(audit().to_dict()), encoding="utf-8")
    assert read_audit(tmp_path / "audit.json") == json.loads(json.dumps(audit().to_dict()))


def test_a_stored_audit_of_the_earlier_format_is_compared():
    stored = read_audit(STORED)
    assert stored["format"] == 1
    assert "trial" in stored["candidates"][0]
    changes = compare_audits(stored, audit())
    assert (changes.signal, changes.leading.name) == ("axis 0", "axis 0")
    assert changes.leading.sensitivity.before == stored["candidates"][0]["reliance"]["sensitivity"]["value"] > 0
    assert (changes.level_before, changes.level_after) == ("strong evidence", "strong evidence")
    own = compare_audits(stored, stored)
    assert [each.times_less for each in own.signals if each.times_less == each.times_less] == [1.0] * 6
    assert own.accuracy.difference == 0


def damaged(*path, value=None):
    """Return the record of an audit with one part replaced."""
    record = copy.deepcopy(audit().to_dict())
    inside = record
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = value
    return record


BAD = {
    "a list": ([], "before is not an audit"),
    "another record": ({"a": 1}, "before is not an audit"),
    "a later format": (
        damaged("format", value=3),
        "before is an audit of format 3, and 1 and 2 can be read: audit again",
    ),
    "no candidates": (damaged("candidates"), "'candidates' is missing or of another type"),
    "a damaged candidate": (damaged("candidates", value=[3]), "'candidates.0' is missing or of another type"),
    "a damaged slice": (damaged("slices", value=[{}]), "'slices.0.description' is missing"),
    "an unknown verdict": (damaged("verdict", "level", value="fine"), "'verdict.level' is missing"),
    "a model without classes": (damaged("model", "by_class"), "'model.by_class' is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    record, message = BAD[case]
    with pytest.raises(LongwayError, match=message):
        compare_audits(record, audit())


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "is not JSON"), (b"\xff\xfe", "is not JSON"), (b"3", "is not an audit")]
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(LongwayError, match=message):
        read_audit(tmp_path / "a.json")
    with pytest.raises(LongwayError, match="cannot be read"):
        read_audit(tmp_path / "none.json")
