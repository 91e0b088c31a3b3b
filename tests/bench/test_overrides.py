"""Values set over a plan go where they are known, and are refused where they are known nowhere."""

import pytest

from longway import LongwayError
from longway.bench.overrides import overridden
from longway.bench.plan import read_plan

RECORD = {
    "benchmark": ["digits", {"name": "planted", "n": 400}],
    "method": [{"name": "hsfm", "paper": "waterbirds"}, "dfr", {"name": "erm", "epochs": 3}],
}


def test_values_go_where_they_are_known():
    made = overridden(RECORD, {"n": 300, "erm_features": {"epochs": 1}}, {"epochs": 5, "l2": 0.1})
    assert made["benchmark"] == [
        {"name": "digits", "erm_features": {"epochs": 1}},
        {"name": "planted", "n": 300, "erm_features": {"epochs": 1}},
    ]
    assert [table.get("epochs") for table in made["method"]] == [5, None, 5]
    plan = read_plan(made)
    assert (plan.methods[0].parameters["epochs"], plan.methods[0].parameters["variant"]) == (5, "paper")
    assert RECORD["method"][2] == {"name": "erm", "epochs": 3}, "the record stays as it was"


def test_nothing_changes_nothing():
    assert overridden(RECORD) == RECORD


BAD = {
    "option": (({"nn": 3},), "no benchmark here has an option 'nn'; did you mean 'n'?"),
    "parameter": (({}, {"epoch": 3}), "no method here has a parameter 'epoch'; did you mean 'epochs'?"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_line(name):
    changes, message = BAD[name]
    with pytest.raises(LongwayError) as caught:
        overridden(RECORD, *changes)
    assert message in str(caught.value)


def test_what_the_plan_gets_wrong_is_said_by_the_plan():
    with pytest.raises(LongwayError, match="benchmark 'domino' is unknown; did you mean 'dominoes'"):
        overridden({"benchmark": ["domino"], "method": ["erm"]}, {"n": 3})
    with pytest.raises(LongwayError, match="method 'emr' is unknown; did you mean 'erm'"):
        read_plan(overridden({"benchmark": ["planted"], "method": ["emr", "dfr"]}, {}, {"Cs": [1]}))
