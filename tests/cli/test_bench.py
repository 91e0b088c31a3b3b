"""`longway bench` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from longway.datasets import make_planted_shortcut

QUICK = [
    "--option",
    "n=300",
    "--option",
    "n_val=200",
    "--option",
    "n_test=400",
    "-m",
    "erm",
    "-m",
    "rwy",
    "-j",
    "1",
    "-q",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LONGWAY_DATA", raising=False)


def test_a_benchmark_by_its_name(good, run, tmp_path):
    out = tmp_path / "results"
    shown = good("bench", "run", "planted", *QUICK, "--seeds", "2", "--groups", "val", "-o", str(out))
    assert "planted" in shown
    assert "Against ERM" in " ".join(shown.split())
    for name in ("table.json", "table.csv", "table.md", "table.tex", "report.html", "plan.json"):
        assert (out / name).is_file()
    before = (out / "table.json").read_bytes()
    again = run("bench", "run", "planted", *QUICK, "--seeds", "2", "--groups", "val", "-o", str(out), "--json").json
    assert again == json.loads(before)
    assert (out / "table.json").read_bytes() == before
    for name, file in (("markdown", "table.md"), ("latex", "table.tex"), ("csv", "table.csv")):
        assert good("bench", "table", str(out), "-f", name).strip() == (out / file).read_text().strip()
    assert run("bench", "table", str(out), "-f", "json").json == again


def test_own_data(good, tmp_path):
    data = make_planted_shortcut(600, correlation=0.9, n_features=8)
    np.savez(tmp_path / "own.npz", X=data.X.astype(np.float32), bird=data.y, place=data.shortcut)
    words = ["-y", "bird", "-a", "place", "-m", "erm", "-m", "hsfm", "--seeds", "2", "-j", "1", "-q"]
    shown = good("bench", "run", str(tmp_path / "own.npz"), *words, "-o", str(tmp_path / "r"))
    assert "HSFM" in shown


def test_a_plan(good, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'draws = 2\n[[benchmark]]\nname = "planted"\nn = 300\n[[method]]\nname = "erm"\n'
        '[[method]]\nname = "rwg"\n[[protocol]]\ngroups = "val"\n[[protocol]]\ngroups = "train"\n'
    )
    shown = " ".join(good("bench", "run", str(plan), "-j", "1", "-q", "-o", str(tmp_path / "r")).split())
    assert "validation groups, worst group" in shown
    assert "training groups, worst group" in shown
    assert "Difference" in shown, "what a protocol costs"


@pytest.mark.parametrize("flag", ["-m", "--groups", "--selection", "--validation", "-y", "-a", "--split", "--backbone"])
def test_what_a_plan_says_is_not_said_by_flags(bad, tmp_path, flag):
    plan = tmp_path / "plan.toml"
    plan.write_text('benchmark = "planted"\nmethod = "erm"\n')
    said = bad("bench", "run", plan, flag, "val", "-o", tmp_path / "r")
    assert "belongs in the plan: write it into" in said
    assert not (tmp_path / "r").exists()


def test_all_of_a_comparison_by_flags(run, tmp_path):
    words = ["bench", "run", "planted", "-m", "erm", "-m", "hsfm:waterbirds", "--set", "epochs=2", "--seeds", 1]
    words += ["--option", "n=300", "--option", "n_val=200", "--groups", "none", "--groups", "val"]
    done = run(*words, "--search", "random", "--draws", 2, "-j", 1, "-q", "-o", tmp_path / "r", "--json").json
    assert [block["protocol"] for block in done["blocks"]] == [
        "no group labels, worst class",
        "validation groups, worst group",
    ]
    lines = {line["method"]: line for line in done["blocks"][1]["methods"]}
    assert lines.keys() == {"ERM", "HSFM (waterbirds)"}
    assert lines["HSFM (waterbirds)"]["settings"]["0"]["epochs"] == 2
    assert lines["HSFM (waterbirds)"]["settings"]["0"]["variant"] == "paper"
    assert lines["ERM"]["tried"] == 2
    assert done["blocks"][0]["data"]["options"]["n"] == 300


def test_list_and_cards(good, run):
    listed = run("bench", "list", "--json").json
    shown = good("bench", "list")
    assert all(f"{card['name']}: {card['title']}" in shown for card in listed)
    card = good("bench", "card", "waterbirds")
    assert "published counts, train" in card
    assert "3,498" in card
    built = run("bench", "card", "planted", "--check", "--json").json["built"]
    assert sum(built["counts"]["train"].values()) == 2000
    assert built["differences"] == []
    assert "built, test: " in good("bench", "card", "planted", "--check")


def test_tracking(good, tmp_path):
    pytest.importorskip("tensorboardX")
    out = tmp_path / "r"
    good("bench", "run", "planted", *QUICK, "--seeds", "1", "-o", str(out), "--track", "tensorboard")
    assert list(out.glob("tensorboard/*/*/ERM/0/events*"))


@pytest.mark.filterwarnings("ignore")
def test_mlflow(good, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    out = tmp_path / "r"
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        good("bench", "run", "planted", *QUICK, "--seeds", "1", "-o", str(out), "--track", "mlflow")
    assert not (tmp_path / "mlruns").exists(), "files belong beside the results"
    assert list(out.glob("mlflow/**/*.safetensors"))
    mlflow.set_tracking_uri(f"sqlite:///{(out / 'mlflow.db').absolute()}")
    experiment = mlflow.search_experiments(filter_string="name LIKE 'planted%'")[0]
    runs = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    assert len(runs) == 2, "each result once"
    assert {"test/worst_group", "test/average"} <= set(runs[0].data.metrics)


BAD = {
    "target": (["planed"], "'planed' is no plan, benchmark or data: did you mean 'planted'?"),
    "method": (["planted", "-m", "emr"], "method 'emr' is unknown; did you mean 'erm'?"),
    "option": (["planted", "--option", "m=3"], "no benchmark here has an option 'm'"),
    "parameter": (
        ["planted", "-m", "erm", "--set", "epoch=1"],
        "no method here has a parameter 'epoch'; did you mean",
    ),
    "setting": (["planted", "-m", "hsfm:waterbird"], "HSFM has no published setting 'waterbird'; did you mean"),
    "search": (["planted", "-m", "erm", "--search", "optima"], "search='optima' is unknown; did you mean 'optuna'?"),
    "twice": (["planted", "-m", "erm", "--groups", "val", "--groups", "val"], "the plan has two protocols called"),
    "absent plan": (["nowhere.toml"], "nowhere.toml cannot be read"),
    "no value": (["planted", "--option", "n"], "--option 'n' must be NAME=VALUE"),
    "value": (["planted", "--option", "correlation=7"], "correlation"),
    "own": (["planted", "-y", "x"], "--label is for your own data; planted has --option instead"),
    "groups": (["planted", "-m", "erm", "--groups", "all"], "protocol groups='all' is unknown"),
    "rule": (["planted", "-m", "erm", "--selection", "worst_group"], "needs group labels of the validation data"),
    "track": (["planted", "-m", "erm", "--track", "wandb"], "track='wandb' is unknown"),
    "backend": (["planted", "-m", "erm", "--backend", "slurm"], "backend='slurm' is unknown"),
    "raw file": (["cmnist", "-m", "erm"], "mnist"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_line(bad, name, tmp_path, monkeypatch):
    import longway.datasets._files as raw

    def offline(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr(raw, "urlopen", offline, raising=False)
    words, message = BAD[name]
    assert message in bad("bench", "run", *words, "-q", "-o", str(tmp_path / "r"))


def test_bad_folders(bad, tmp_path):
    assert "holds no benchmark results" in bad("bench", "table", str(tmp_path))
    assert "--format 'word' is unknown" in bad("bench", "table", str(tmp_path), "-f", "word")
    assert "did you mean 'sitar-cmnist'?" in bad("bench", "reproduce", "sitar-mnist")
    assert "did you mean 'dominoes'" in bad("bench", "card", "domino")
