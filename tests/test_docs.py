"""README and docs: figures up to date, links that lead somewhere, Python that runs, commands that exist."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

import figures
from longway.cli import main
from longway.cli._app import app

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings get on GitHub."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(info: str, text: str) -> list[list[str]]:
    """Return the command lines of a page's fenced blocks of this kind, cut into words."""
    bodies = [match["body"].replace("\\\n", " ") for match in FENCE.finditer(text) if match["info"].startswith(info)]
    lines = [shlex.split(line, comments=True) for body in bodies for line in body.splitlines()]
    return [words for words in lines if words]


def test_figures_are_up_to_date(capsys):
    assert figures.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_figure_is_found_and_mended(tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    page.write_text("right on <!-- figures: demo.erm.worst_group -->101 %<!-- end --> of them", encoding="utf-8")
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "DRAWINGS", {})
    assert figures.main(["--check"]) == 1
    assert capsys.readouterr().out == "README.md is out of date: run `python docs/figures.py`\n"
    assert figures.main([]) == 0
    assert figures.main(["--check"]) == 0
    assert "101" not in page.read_text(encoding="utf-8")


def test_a_stale_drawing_is_found_and_drawn_again(tmp_path, monkeypatch, capsys):
    (tmp_path / "README.md").touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "DRAWINGS", {"new.svg": lambda _: "<svg/>", "not-measured.svg": lambda _: None})
    assert figures.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/new.svg is out of date: run `python docs/figures.py`\n"
    assert figures.main([]) == 0
    assert figures.main(["--check"]) == 0
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["new.svg"]


def test_blocks_tolerate_records_that_have_not_been_made():
    results = figures.Results(figures.read_results(ROOT / "results").demo, None, None)
    measured = {
        "demo-table",
        "demo-groups",
        "methods",
        "reference",
        "compare.catalogue",
        "sitar-settings",
        "hsfm-settings",
        "jtt-settings",
    }
    for name in figures.BLOCKS.keys() - measured:
        assert figures.figure(name, results).startswith("Not measured yet"), name
    assert [draw(results) for draw in figures.DRAWINGS.values()] == [None] * len(figures.DRAWINGS)


def test_every_record_gets_its_table():
    run = {"method": "ERM", "setting": "default", "supervision": "none", "groups": {"a": 0.25, "b": 0.75}}
    run |= {"average_accuracy": 0.5, "worst_group_accuracy": 0.25, "worst_group_accuracy_std": 0.02, "seconds": 3.0}
    task = {"label": "Smiling", "attribute": "Male", "train": 6000, "val": 2000, "test": 2000}
    benchmarks = {
        "embed": {"ratio": 0.95, "ratio_channels_last": 0.91, "images": 1500, "size": 96, "batch_size": 64},
        "metrics": {"samples": 200_000, "groups": 100, "integers_ms": 2.0, "integers_speedup": 40.0},
        "memory": [
            {"limit_gb": 1.5, "shape": [200_000, 2048], "dtype": "float16", "peak_gb": {"erm": 1.1, "hsfm": 1.2}}
        ],
        "grid": {"settings": 64, "own": {"ratio": 12.34}, "given": {"ratio": 4.0}},
    }
    results = figures.read_results(ROOT / "results")
    results = results._replace(celeba={"task": task, "backbone": "MobileNetV2", "runs": [run]}, benchmarks=benchmarks)
    assert "| ERM, default | `none` | 25.0 | 75.0 | 50.0 | 25.0 ± 2.0 | 3.0 |" in figures.figure("celeba", results)
    assert "1.20 GB" in figures.figure("speed", results)
    assert "12.3 | times as fast as 64 fits" in figures.figure("speed", results)
    assert "0.95" in figures.figure("speed", results.__class__(results.demo, None, {"embed": benchmarks["embed"]}))


def trial(share: float, debias_mode: str | None = "recolouring", rule: str = "balanced") -> dict:
    """Return what the benchmark records of a fit with this accuracy, and a tenth more on colours as in training."""
    found = {"id": share + 0.1, "ood": share, "random": share}
    curves = {name: [0.5, value, value - 0.05] for name, value in found.items()}
    return {
        "epoch": 2,
        "rule": rule,
        "score": share,
        "debias_mode": debias_mode,
        "top_score": 0.7,
        **found,
        "curves": curves,
    }


ABLATIONS = {
    "paper, beta: 0.1": {"10": trial(0.2, None)},
    "paper, beta: 2": {"10": trial(0.3, None), "11": trial(0.5, None)},
    "default: unchanged": {"10": trial(0.60), "11": trial(0.72)},
    "default: beta 6": {"10": trial(0.65) | {"id": 0.1}, "11": trial(0.70)},
    "default: pseudo-groups": {"10": trial(0.66, "groups", "worst_group"), "11": trial(0.1, "groups", "worst_group")},
    "default: noise 2": {"10": trial(0.9) | {"score": 0.0, "random": 0.68}, "11": trial(0.1)},
}


def ablations(record: dict) -> figures.Results:
    return figures.Results({}, None, None, sitar_ablations=record)


def test_ablations_stand_next_to_the_papers_claims():
    lines = figures.figure("sitar-ablations", ablations(ABLATIONS)).splitlines()
    assert "| paper, beta | 0.1 | 1 | 30.0 | 20.0 | 15.0 | small β: about 10 % with reversed colours |" in lines
    assert "|  | 2 | 2 | 50.0 ± 14.1 | 40.0 ± 14.1 | 35.0 ± 14.1 |  |" in lines
    assert "| default | unchanged | 2 | 76.0 ± 8.5 | 66.0 ± 8.5 | 61.0 ± 8.5 |" in lines


def test_a_choice_is_among_scores_of_one_kind_and_its_loss_is_to_the_best_of_all():
    lines = figures.figure("sitar-choice", ablations(ABLATIONS)).splitlines()
    assert "| accuracy on recoloured images | 10 | 3 | beta 6 | 65.0 | 68.0 | 3.0 |" in lines
    assert "| accuracy on recoloured images | 11 | 3 | unchanged | 72.0 | 72.0 | 0.0 |" in lines
    assert "| accuracy on recoloured images | mean | – | – | 68.5 ± 4.9 | 70.0 ± 2.8 | 1.5 ± 2.1 |" in lines
    assert "| worst group of pseudo-groups | 10 | 1 | pseudo-groups | 66.0 | 68.0 | 2.0 |" in lines
    assert "| accuracy, colours as in training | 10 | 4 | noise 2 | 68.0 | 68.0 | 0.0 |" in lines


def test_a_choice_waits_for_seeds_that_hold_every_setting():
    record = ABLATIONS | {"default: 5 axes": {"10": trial(0.5)}}
    lines = figures.figure("sitar-choice", ablations(record)).splitlines()
    assert [line for line in lines if "| 11 |" in line or "mean" in line] == []


def test_ablations_are_drawn_the_same_each_time_with_a_line_for_each_setting():
    draw = figures.DRAWINGS["images/sitar-ablations.svg"]
    drawing = draw(ablations(ABLATIONS))
    assert drawing == draw(ablations(ABLATIONS))
    assert "var(" not in drawing
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    for words in ("paper, beta", "default", "0.1", "2", "unchanged", "noise 2", "epoch"):
        assert words in texts


def test_scores_have_a_line_for_each_task_and_score():
    found = {
        "agreement": 0.987,
        "by_kmeans": 0.659,
        "gap": -0.05,
        "first": 1.0,
        "batch_bias": 0.021,
        "batch_std": 0.04,
    }
    results = figures.Results({}, None, None, scores={"3 classes, 60 %": {"mutual information": found}})
    assert "| 3 classes, 60 % | mutual information | 98.7 | 65.9 | 100 | −0.05 | 0.02 | 0.04 |" in figures.figure(
        "scores", results
    )


@each_file
def test_inline_figures_do_not_begin_a_line(path):
    """Where a comment begins a line, Markdown takes the whole line for HTML, and the paragraph ends."""
    for name, rest in re.findall(r"^<!-- figures: (\S+) -->(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert name in figures.BLOCKS, f"{name} begins a line of {path.name}"
        assert rest == ""


def test_readme_has_no_percentage_of_its_own():
    """Percentages that are no settings of the demonstration come from results."""
    text = figures.MARK.sub("", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(re.findall(r"\d[\d.]* ?%", FENCE.sub("", text))) <= {"90 %"}


@each_file
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(FENCE.sub("", COMMENT.sub("", text))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), f"{path.name} links to {target}"
        assert found.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{path.name} links to {target}"


@each_file
def test_every_page_is_linked(path):
    pages = [other for other in FILES if other != path]
    names = {path.name} if path.name != "index.md" else {"index.md", "docs/index.md"}
    assert path.name == "README.md" or any(
        name in target for page in pages for target in LINK.findall(page.read_text(encoding="utf-8")) for name in names
    )


@each_file
def test_snippets_run(path, tmp_path, monkeypatch):
    """Python blocks of a page run one after the other; so do shell blocks that are marked ``run``."""
    monkeypatch.chdir(tmp_path)
    # As in the page's own file, which looks for files next to itself
    namespace = {"__name__": "snippet", "__file__": str(tmp_path / "snippet.py")}
    for match in FENCE.finditer(path.read_text(encoding="utf-8")):
        if match["info"] == "python":
            exec(compile(match["body"], str(path), "exec"), namespace)
        elif match["info"] == "bash run":
            for words in commands("bash run", match[0]):
                with pytest.raises(SystemExit) as stopped:
                    main(words[1:])
                assert stopped.value.code == 0, shlex.join(words)


@each_file
def test_commands_exist(path):
    known = typer.main.get_command(app)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for program, *words in commands("bash", path.read_text(encoding="utf-8")):
        if program == "make":
            assert words[0] in targets
        elif program == "python" and words[0] == "-m":
            assert (ROOT / words[1].replace(".", "/")).is_dir()
        elif program == "python":
            assert (ROOT / words[0]).is_file()
        elif program == "longway" and words[0].startswith("-"):
            assert words[0] in {option for parameter in known.params for option in parameter.opts}
        elif program == "longway":
            words = words[: words.index(">")] if ">" in words else words
            # Parses and checks every option and argument, and runs nothing
            with contextlib.redirect_stderr(sys.stdout):
                command, words = known.commands[words[0]], words[1:]
                if hasattr(command, "commands"):
                    command, words = command.commands[words[0]], words[1:]
                command.make_context(command.name, words)
        else:
            assert program == "pip", f"{path.name} has an unknown command {program}"


@each_file
def test_inline_code_names_commands_and_options_that_exist(path):
    known = typer.main.get_command(app)
    nested = [getattr(command, "commands", {"": command}) for command in known.commands.values()]
    every = [command for commands in nested for command in commands.values()]
    options = {option for command in every for parameter in command.params for option in parameter.opts}
    options |= {option for parameter in known.params for option in parameter.opts} | {"--check", "--help"}
    text = FENCE.sub("", COMMENT.sub("", path.read_text(encoding="utf-8")))
    for code in re.findall(r"`([^`\n]+)`", text):
        assert set(re.findall(r"(?<!\S)--[\w-]+", code)) <= options, code
        if code.startswith("longway ") and not code.startswith("longway -"):
            assert code.split()[1] in known.commands, code
