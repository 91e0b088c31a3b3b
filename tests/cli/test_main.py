"""What the command line does before and around its commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import longway
from longway.cli import commands
from longway.methods import METHODS


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command(run, words):
    done = run(*words)
    assert (done.status, done.err) == (0, "")
    assert "Usage: longway [OPTIONS] COMMAND" in done.out
    assert all(f" {name} " in done.out for name in (*commands.NAMES, "audit"))


@pytest.mark.parametrize("command", [*commands.NAMES, "audit"])
def test_every_command_explains_every_option(good, command):
    shown = good(command, "--help")
    lines = [line.strip("│ ").split() for line in shown.splitlines()]
    options = [words for words in lines if words and words[0].startswith("--")]
    assert options
    assert all(len(words) > 3 for words in options)


def test_the_help_of_fit_names_every_method(good):
    assert all(name in good("fit", "--help").split("Options")[0] for name in METHODS)


@pytest.mark.parametrize("words", [["--version"], ["--debug", "--version"], ["--version", "fit"]])
def test_version(good, words):
    assert good(*words) == f"longway {longway.__version__}\n"


def test_methods(run, good):
    shown = good("methods")
    records = run("methods", "--json").json
    assert [record["method"] for record in records] == list(METHODS)
    for record in records:
        cls = METHODS[record["method"]]
        assert record["supervision"] == cls.supervision
        assert set(record["parameters"]) == set(cls().get_params())
        assert f"{record['method']}: {record['summary']}" in shown
    assert "paper settings: waterbirds, celeba" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fti"], r"No such command 'fti'. Did you mean 'fit'? (see `longway --help`)"),
        (["--nope"], "No such option: --nope (see `longway --help`)"),
        (["fit"], "Missing argument 'METHOD' (see `longway fit --help`)"),
        (["fit", "erm"], "Missing argument 'DATA' (see `longway fit --help`)"),
        (["fit", "erm", "a.csv", "more"], "Got unexpected extra argument(s) (more) (see `longway fit --help`)"),
        (["fit", "erm", "a.csv", "--out"], "Option '--out' requires an argument"),
        (["embed", "a.csv"], "Missing option '--backbone' (see `longway embed --help`)"),
    ],
)
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_command_line_that_cannot_be_used(bad, words, message, debug):
    assert bad(*words, *debug) == message


def test_the_nearest_option_is_offered(bad):
    assert "--label" in bad("fit", "erm", "a.csv", "--lable", "x").removeprefix("No such option: --lable")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["fit", "erm", "a.csv", "--limit", "0"], "--limit"),
        (["fit", "erm", "a.csv", "--size", "x"], "--size"),
        (["embed", "a.csv", "--backbone", "b.py:f", "--batch-size", "0"], "--batch-size"),
        (["demo", "--seeds", "0"], "--seeds"),
    ],
)
def test_numbers_out_of_range(bad, words, option):
    assert bad(*words).startswith(f"Invalid value for '{option}'")


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_an_interrupt(run, monkeypatch, csv, debug):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(longway.Method, "fit", interrupted)
    done = run("fit", "erm", csv, "--label", "bird", "--input", "f*", *debug)
    assert (done.status, done.out, done.err) == (130, "", "longway: error: interrupted\n")


def test_a_fault_of_ours_is_told_as_such(run, monkeypatch, csv):
    def fault(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(longway.Method, "fit", fault)
    words = ["fit", "erm", csv, "--label", "bird", "--input", "f*"]
    done = run(*words)
    assert (done.status, done.out) == (1, "")
    assert done.err == "longway: error: unexpected RuntimeError: two lines (run again with --debug and report it)\n"


def test_debug_shows_where_an_error_came_from(run):
    with pytest.raises(longway.LongwayError, match=r"there is no file or folder nope\.csv"):
        run("fit", "erm", "nope.csv", "--debug")


def python(*words: object, stdout: object = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "longway", *map(str, words)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_as_a_process_help():
    done = python("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: longway" in done.stdout


def test_as_a_process_error(tmp_path):
    done = python("evaluate", tmp_path / "gone", "a.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"longway: error: {tmp_path / 'gone'}: no such file; give the path of a model that `longway fit` saved\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_as_a_process_output_that_is_full():
    with Path("/dev/full").open("w") as full:
        done = python("methods", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "longway: error: no space left to write the output: free some space or write elsewhere\n"


def test_as_a_process_a_reader_that_has_seen_enough():
    command = [sys.executable, "-m", "longway", "methods"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 1
