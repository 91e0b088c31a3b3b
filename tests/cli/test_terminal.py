"""Names of users' reach the terminal as text: no escape sequence gets through, whatever holds it."""

from __future__ import annotations

import pytest

from longway.utils.errors import printable

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
WHERE = {"class": "b", "column": "place", "value": "x"}


def birds(where):
    """Return a table that holds the escape sequences in a class, a column or a value."""
    rows = "".join(f"{'ab'[k % 2]},{'xy'[k // 2 % 2]},{k % 2 + k / 50},{k}\n" for k in range(80))
    text = "label,place,f0,f1\n" + rows
    return text.replace("b,", f"{ESCAPE}b,") if where == "class" else text.replace(WHERE[where], ESCAPE)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("where", WHERE)
def test_no_escape_sequence_reaches_the_terminal(run, tmp_path, where):
    table = tmp_path / "t.csv"
    table.write_text(birds(where))
    attribute = ESCAPE if where == "column" else "place"
    roles = ("--label", "label", "--attribute", attribute, "--input", "f0", "--input", "f1")
    model = tmp_path / "m.safetensors"
    said = [
        run("fit", "erm", table, *roles, "--out", model, "-q"),
        run("evaluate", model, table, "--part", "all"),
        run("audit", table, *roles, "--out", tmp_path / "audit", "-q"),
        run("fit", "erm", table, "--label", ESCAPE + "?", "--out", model, "-q"),
        run("predict", model, tmp_path / (ESCAPE[:6] + ".csv"), "--out", tmp_path / "p.csv"),
    ]
    assert [done.status for done in said] == [0, 0, 0, 2, 2]
    for done in said:
        assert not {"\x1b", "\x07"} & {*done.out, *done.err}


@pytest.mark.parametrize("mark", ["\x00", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\r"])
def test_controls_are_shown(mark):
    assert mark not in printable(f"a{mark}b")
    assert printable("tab\tline\nü é 漢字") == "tab\tline\nü é 漢字"
