"""Tables in every form: nothing of the user's is taken for markup, and nothing is lost."""

import csv
import io
import json
import re
import shutil
import subprocess

import pytest
from bench.made_up import fill, plan
from rich.console import Console

from longway.bench.costs import cost_of_selection
from longway.bench.grids import cost_grid, failure_grid, grids, pair_grid
from longway.bench.page import report
from longway.bench.published import compare
from longway.bench.results import failures, read_results
from longway.bench.table import tabulate
from longway.bench.table_formats import show, to_csv, to_json, to_latex, to_markdown, to_text, write_table

NASTY = "A_&%$#{}~^\\ <script>alert(1)</script> [red] | *x* `y`"


@pytest.fixture
def results(tmp_path):
    made = plan(methods=3, seeds=2, protocols=3, benchmarks=2, title=NASTY)
    store = fill(made, tmp_path / "r", fails=((f"{NASTY} 1", 1),))
    return made, store, read_results(made, store)


@pytest.fixture
def table(results):
    made, store, found = results
    return tabulate(found, made.baseline, failures(made, store))


def test_text_fits_the_terminal(table):
    for width in (40, 60, 80, 120, 300):
        drawn = [line for line in to_text(grids(table), width).splitlines() if " ± " in line and line[0] == " "]
        assert drawn
        assert max(map(len, drawn)) <= width
    assert "No room for" in to_text(grids(table), 80)
    assert "No room for" not in to_text(grids(table)[:1], 300)


def test_text_takes_names_as_they_are(table):
    assert NASTY in to_text(grids(table), 400)
    assert "\x1b" not in to_text(grids(table), 400)
    console = Console(width=200, record=True, file=io.StringIO(), force_terminal=True)
    show(grids(table), console)
    assert NASTY in console.export_text()


def test_oracle_rows_are_marked_in_every_form(table):
    oracle = [grid for grid in grids(table) if "ORACLE" in grid.title]
    assert len(oracle) == 2
    assert all("(oracle)" in row[0] for grid in oracle for row in grid.rows)
    assert "(oracle)" in to_markdown(oracle)
    assert "(oracle)" in to_latex(oracle)


def test_markdown_has_no_markup_of_the_users(table):
    text = to_markdown(grids(table))
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for row in rows[:5]:
        assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"(?<!\\)\|", rows[0]))


def test_latex_is_escaped(table):
    text = to_latex(grids(table))
    body = text.replace(r"\par\footnotesize", "")
    assert r"A\_\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}" in body
    assert "<" not in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == len(grids(table))
    assert text.isascii()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(table, tmp_path):
    body = to_latex(grids(table))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(document)
    subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_csv_has_all_numbers(table):
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert len(rows) == sum(len(block.lines) for block in table.blocks)
    line = table.blocks[0].lines[0]
    assert float(rows[0]["test.worst_group low"]) == line.figures["test", "worst_group"].low
    assert rows[0]["method"] == f"{NASTY} 0"
    assert rows[1]["seeds_failed"] == "1"


def test_json_has_a_line_for_what_holds_nothing_further():
    value = {"a": {"b": [1, 2.5, None], "c": {"d": "ü\n", "e": True}}, "f": [], "g": [[1], (2, 3)], "h": {1: "x"}}
    text = to_json(value)
    assert json.loads(text) == json.loads(json.dumps(value))
    assert text.endswith("}\n")
    assert [line.strip() for line in text.splitlines() if "[1, 2.5, null]" in line] == ['"b": [1, 2.5, null],']
    assert to_json([1, 2]) == "[1, 2]\n"
    assert to_json(3) == "3\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"x": [float("nan")]})


def test_all_forms_are_written(table, tmp_path):
    paths = write_table(table, tmp_path / "new")
    assert {path.suffix for path in paths} == {".json", ".csv", ".md", ".tex"}
    assert json.loads(paths[0].read_text()) == table.to_dict()
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_table(table, tmp_path / "new")] == before


def test_other_grids(results, table):
    text = to_text([cost_grid(cost_of_selection(results[2])), failure_grid(table.failures)], 200)
    assert "the loss is <b>NaN</b>" in text
    assert "Against 'validation groups, worst group'" in text
    absent = pair_grid("sitar-cmnist", compare(results[2], "sitar-cmnist"))
    assert all("not run" in row[1] for row in absent.rows)
    assert "Published: SITAR" in to_text([absent], 200)


def test_no_costs_and_no_failures():
    assert to_text([cost_grid([]), failure_grid([])], 80)


def test_page_escapes_and_shows_everything(results, table, tmp_path):
    html = report(table, costs=cost_of_selection(results[2]), pairs=compare(results[2], "sitar-cmnist")).render()
    assert "<script>alert(1)" not in html
    assert "the loss is &lt;b&gt;NaN&lt;/b&gt;" in html
    for words in ("Oracle", "Ranking", "How it was done", "Failures", "What each protocol costs"):
        assert words in html
    again = report(table, costs=cost_of_selection(results[2]), pairs=compare(results[2], "sitar-cmnist")).render()
    assert again == html


def test_page_of_one_method_and_seed(tmp_path):
    made = plan(methods=1, seeds=1)
    html = report(tabulate(read_results(made, fill(made, tmp_path / "r")))).render()
    assert "1 method on 1 benchmark" in html
    assert "Ranking" not in html
