"""Plans and protocols: what they mean, and one clear line for what they cannot mean."""

from dataclasses import replace

import numpy as np
import pytest

from longway import METHODS, LongwayError
from longway.bench.plan import load_plan, read_plan
from longway.bench.protocol import Protocol
from longway.bench.spec import DataSpec, TrialSpec
from longway.bench.trial import method_of
from longway.methods._search_space import Categorical, Integer, Real, draw, read_range

TOML = """
seeds = [3, 5]
draws = 4
baseline = "erm"

[[benchmark]]
name = "planted"
n = 400

[[method]]
name = "erm"

[[method]]
name = "hsfm"
title = "HSFM, small"
n_support = 8
space = {l2 = {low = 0.001, high = 1, log = true}}

[[protocol]]
groups = "val"
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "plan.toml"
        path.write_text(text)
        return path

    return write


def test_a_plan_from_a_file(written):
    plan = load_plan(written(TOML))
    assert plan.seeds == (3, 5)
    assert [entry.title for entry in plan.methods] == ["ERM", "HSFM, small"]
    cells = list(plan.cells())
    assert len(cells) == 4
    trials = plan.trials(cells[1])
    assert len(trials) == 4
    assert trials[0].parameters == {"n_support": 8}
    assert all(set(trial.parameters) == {"n_support", "l2"} for trial in trials[1:])
    assert trials[0].selection == "worst_group"
    assert trials[0].data.options["n"] == 400


def test_more_settings_keep_the_first(written):
    few, many = (load_plan(written(TOML.replace("draws = 4", f"draws = {n}"))) for n in (3, 9))
    for cell in few.cells():
        assert [t.key for t in few.trials(cell)] == [t.key for t in many.trials(cell)][: len(few.trials(cell))]


def test_a_key_depends_on_everything_and_on_nothing_else(plan):
    cell = next(plan.cells())
    spec = plan.trial(cell, {"l2": 0.1})
    assert TrialSpec.from_dict(spec.to_dict()).key == spec.key
    assert plan.trial(cell, {"l2": 0.2}).key != spec.key
    for name, value in {"seed": 9, "groups": "none", "threads": 2, "method": "rwg", "device": "cuda"}.items():
        assert TrialSpec.from_dict({**spec.to_dict(), name: value}).key != spec.key
    assert TrialSpec.from_dict({**spec.to_dict(), "training": {"clip": 1.0}}).key != spec.key
    older = {name: value for name, value in spec.to_dict().items() if name != "training"}
    assert TrialSpec.from_dict(older).key == spec.key
    renamed = {**spec.to_dict(), "data": {**spec.to_dict()["data"], "title": "other"}}
    assert TrialSpec.from_dict(renamed).key == spec.key


@pytest.mark.parametrize("name", METHODS)
def test_every_space_holds_parameters_that_the_method_takes(name):
    cls = METHODS[name]
    cls.check_names(cls.search_space())
    for number in range(20):
        cls(**draw(cls.search_space(), np.random.default_rng(number)))
    read_plan({"benchmark": ["planted"], "method": [name], "draws": 5})


def test_published_settings_as_lines_of_a_table():
    plan = read_plan({"benchmark": ["planted"], "method": ["erm", {"name": "hsfm", "paper": "waterbirds"}]})
    assert plan.methods[1].title == "HSFM (waterbirds)"
    assert plan.methods[1].parameters["variant"] == "paper"


BASE = {"benchmark": ["planted"], "method": ["erm"]}
BAD = {
    "plan key": ({**BASE, "seed": 1}, "a plan has no 'seed'; did you mean 'seeds'?"),
    "method": ({**BASE, "method": ["hsmf"]}, "method 'hsmf' is unknown; did you mean 'hsfm'?"),
    "benchmark": ({**BASE, "benchmark": ["domino"]}, "benchmark 'domino' is unknown; did you mean 'dominoes'?"),
    "option": ({**BASE, "benchmark": [{"name": "planted", "nn": 3}]}, "benchmark planted has no option 'nn'"),
    "parameter": (
        {**BASE, "method": [{"name": "erm", "epoch": 1}]},
        "ERM has no parameter 'epoch'; did you mean",
    ),
    "range": ({**BASE, "method": [{"name": "erm", "l2": -1}]}, "l2=-1 must be a number, 0 or more"),
    "space": ({**BASE, "method": [{"name": "erm", "space": {"l2": 3}}]}, "the range of erm.l2 is 3: give a list"),
    "paper": ({**BASE, "method": [{"name": "erm", "paper": "x"}]}, "ERM has no published setting 'x'"),
    "fixed": ({**BASE, "method": [{"name": "erm", "selection": "average"}]}, "selection is not a method's to set"),
    "rule": ({**BASE, "protocol": [{"selection": "worst_grp", "groups": "val"}]}, "did you mean 'worst_group'?"),
    "no groups": ({**BASE, "protocol": [{"selection": "worst_group"}]}, "needs group labels of the validation data"),
    "protocol key": ({**BASE, "protocol": [{"group": "val"}]}, "a protocol has no 'group'; did you mean 'groups'?"),
    "oracle": ({**BASE, "protocol": [{"groups": "val", "selection": "oracle"}]}, "selection='oracle' is unknown"),
    "training": ({**BASE, "training": {"precision": "16"}}, "training has no 'precision' in a plan"),
    "training value": ({**BASE, "training": {"clip": 0}}, "clip=0 must be a number above 0"),
    "training table": ({**BASE, "training": "bf16"}, "training must be a table"),
    "groups": ({**BASE, "protocol": [{"groups": "test"}]}, "protocol groups='test' is unknown"),
    "seeds": ({**BASE, "seeds": 0}, "seeds=0 must be a whole number, 1 or more, or a list of seeds"),
    "draws": ({**BASE, "draws": 0}, "draws=0 must be a whole number, 1 or more"),
    "search": ({**BASE, "search": "grid"}, "search='grid' is unknown"),
    "baseline": ({**BASE, "baseline": "hsfm"}, "baseline='hsfm' is no method of the plan"),
    "nothing": ({"benchmark": ["planted"]}, "the plan has no methods: name at least one"),
    "no text": ({**BASE, "baseline": 3}, "baseline=3 must be a text"),
    "no title": ({**BASE, "method": [{"name": "erm", "title": 3}]}, "title=3 must be a text"),
    "no range": ({**BASE, "method": [{"name": "erm", "space": 3}]}, "the space of method erm is 3: give a table"),
    "features": ({**BASE, "benchmark": [{"name": "digits", "erm_features": 3}]}, "erm_features=3 must be true, or a"),
    "twice": ({**BASE, "method": ["erm", "erm"]}, "the plan has two methods called 'ERM': give one of them another"),
    "no source": ({**BASE, "benchmark": ["data"]}, "needs a source"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_line(name):
    record, message = BAD[name]
    with pytest.raises(LongwayError) as caught:
        read_plan(record)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_in_the_file_has_its_line(written):
    with pytest.raises(LongwayError, match=r"plan\.toml is no TOML: .*line 3"):
        load_plan(written("seeds = 1\n\ndraws = = 2\n"))
    with pytest.raises(LongwayError, match="cannot be read"):
        load_plan("nowhere.toml")


def test_names_of_protocols():
    assert Protocol(groups="train", validation="balanced").title == "training groups, worst group, balanced validation"
    assert Protocol(selection="own").title == "no group labels, own rules"
    assert Protocol(selection="own").settings == "worst_class"
    assert Protocol(groups="val", settings="oracle").title == "validation groups, worst group, settings by oracle"


def test_a_method_may_keep_its_own_rule():
    spec = TrialSpec(DataSpec("digits", {}), "sitar", {}, 3, selection="own")
    assert method_of(spec).selection == "auto"
    assert method_of(replace(spec, selection="balanced")).selection == "balanced"


def test_ranges():
    assert read_range([1, 2], "x") == Categorical((1, 2))
    assert [Integer(1, 100, log=True).at(place) for place in (0, 0.5, 0.999)] == [1, 10, 100]
    with pytest.raises(LongwayError, match="cannot be drawn from"):
        Real(0, 1, log=True)
    with pytest.raises(LongwayError, match="needs options"):
        Categorical(())
