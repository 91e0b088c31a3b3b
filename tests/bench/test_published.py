"""Published numbers, and plans that reproduce them."""

import pytest
from bench.made_up import fill

from longway import LongwayError
from longway.bench.plan import read_plan
from longway.bench.prepared import benchmark_class
from longway.bench.published import compare, find_published, plan_names, plan_text, published
from longway.bench.results import FIGURES, read_results
from longway.methods import METHODS


def options(name, **changed):
    return {**benchmark_class(name).with_options(changed).options()}


def test_numbers_are_accuracies_of_known_figures():
    for row in published():
        for name, (mean, spread) in row.figures.items():
            assert name.split(".")[1] in FIGURES
            assert 0 < mean < 1
            assert spread is None or 0 <= spread < 0.1
        assert row.source
        assert row.backbone


def test_every_plan_of_the_numbers_that_exists_is_read_without_error(monkeypatch):
    named = {row.plan for row in published() if row.plan}
    assert set(plan_names()) <= named
    assert {"sitar-cmnist", "sitar-celeba", "hsfm-waterbirds", "hsfm-dominoes"} <= set(plan_names())


@pytest.mark.parametrize("name", plan_names())
def test_plans_belong_to_their_tables(name, monkeypatch):
    import tomllib

    record = tomllib.loads(plan_text(name))
    for given in record["benchmark"]:
        cls = benchmark_class(given["name"])
        monkeypatch.setattr(cls, "raw_fingerprint", lambda self: "")
    plan = read_plan(record)
    for data in plan.benchmarks:
        for entry in plan.methods:
            assert name in {row.plan for row in find_published(data.benchmark, data.options, entry.method)}


def test_the_options_must_be_the_published_ones():
    majority = options("celeba", correlation=1, balanced_test=False)
    found = find_published("celeba", majority, "sitar")
    assert [row.figures["test.worst_group"].mean for row in found] == [0.589]
    assert {row.source[:4] for row in find_published("celeba", options("celeba"), "dfr")} == {"HSFM", "DFR,"}
    assert find_published("celeba", options("celeba", label="Smiling"), "erm") == []
    assert find_published("celeba", {**majority, "size": 32, "split": "official"}, "SITAR") == found
    assert find_published("planted", options("planted"), "erm") == []


def test_both_averages_are_told_apart():
    rows = find_published("waterbirds", options("waterbirds"), "dfr")
    assert {row.average for row in rows} == {"raw average", "average weighted by training proportions"}


def test_methods_of_published_numbers_are_named_as_in_longway():
    known = {row.method for row in published()} & set(METHODS)
    assert {"erm", "sitar", "hsfm"} <= known


def test_ours_beside_theirs(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_class("cmnist"), "raw_fingerprint", lambda self: "")
    import tomllib

    plan = read_plan({**tomllib.loads(plan_text("sitar-cmnist")), "seeds": 2})
    results = read_results(plan, fill(plan, tmp_path / "r"))
    pairs = compare(results, "sitar-cmnist")
    own = [pair for pair in pairs if pair.ours is not None]
    assert {(pair.printed, pair.figure) for pair in own} >= {("ERM", "ood.average"), ("SITAR", "test.average")}
    erm = next(pair for pair in own if (pair.printed, pair.figure) == ("ERM", "ood.average"))
    assert erm.theirs.mean == 0.103
    assert erm.difference == pytest.approx(erm.ours.mean - 0.103)
    assert erm.seeds == 2
    assert [pair.difference for pair in pairs if pair.printed == "Chroma-VAE"] == [None, None]
    assert erm.to_dict()["theirs"] == [0.103, None]


def test_an_unknown_plan():
    with pytest.raises(LongwayError, match="sitar-cmnist"):
        plan_text("sitar-cmnits")
    with pytest.raises(LongwayError, match="there is no plan"):
        compare([], "nothing")
