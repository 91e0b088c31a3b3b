"""Published numbers, and plans that reproduce them."""

import json

import pytest
from bench.made_up import TRAIN, fill

from longway import LongwayError
from longway.bench.grids import pair_grid, setting_grid
from longway.bench.plan import read_plan
from longway.bench.prepared import benchmark_class
from longway.bench.published import compare, find_published, plan_names, plan_text, published, reproduction
from longway.bench.results import FIGURES, read_results
from longway.bench.table_formats import write_pairs
from longway.methods import METHODS

SOURCE = (
    "SITAR, arXiv 2511.19525v1; 2-layer CNN; colour right for 90 % of training labels (test) and 10 % (ood); no group "
    "labels."
)


def options(name, **changed):
    return {**benchmark_class(name).with_options(changed).options()}


def test_numbers_are_accuracies_of_known_figures():
    for row in published():
        for name, (mean, std) in row.figures.items():
            assert name.split(".")[1] in FIGURES
            assert 0 < mean < 1
            assert std is None or 0 <= std < 0.1
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
    assert erm.to_dict()["theirs"] == [0.103, None]
    assert (erm.setting.paper, erm.setting.parameters, erm.setting.seeds) == ("", {}, (0, 1))
    assert erm.setting.samples == sum(TRAIN.values())
    fewer = [result for result in results if result.cell.entry.method != "jtt"]
    absent = [pair for pair in compare(fewer, "sitar-cmnist") if pair.ours is None]
    assert [(pair.printed, pair.difference, pair.setting) for pair in absent] == [("JTT", None, None)] * 2


def test_a_smaller_run_says_how_it_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_class("cmnist"), "raw_fingerprint", lambda self: "")
    plan = reproduction("sitar-cmnist", {"n_train": 500, "erm_features": {"epochs": 1}}, {"epochs": 2}, seeds=1)
    sitar = next(entry for entry in plan.methods if entry.method == "sitar")
    assert (sitar.paper, sitar.parameters["epochs"], sitar.parameters["noise_scale"]) == ("cmnist", 2, 1.0)
    pairs = compare(read_results(plan, fill(plan, tmp_path / "r")), "sitar-cmnist")
    grid = setting_grid(pairs)
    here = {row[1]: row[2] for row in grid.rows}
    assert here["SITAR (cmnist)"] == (
        "2,000 training samples; n_train=500; features of an ERM network (epochs=1); published setting cmnist, but "
        "epochs=2; no group labels, balanced; 1 seed"
    )
    assert "; epochs=2; no group labels" in here["ERM"]
    assert pair_grid("sitar-cmnist", pairs).notes == [f"Published: {SOURCE}"]
    paths = write_pairs("sitar-cmnist", pairs, tmp_path / "out")
    record = json.loads(paths[0].read_text())
    assert record["pairs"] == json.loads(json.dumps([pair.to_dict() for pair in pairs]))
    assert "epochs=2" in paths[1].read_text()


def test_an_unknown_plan():
    with pytest.raises(LongwayError, match="sitar-cmnist"):
        plan_text("sitar-cmnits")
    with pytest.raises(LongwayError, match="there is no plan"):
        compare([], "nothing")
