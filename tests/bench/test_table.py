"""Tables: a pure function of results, and everything that is in them."""

import json

import pytest
from bench.made_up import fill, plan

from longway import LongwayError
from longway.bench.costs import cost_of_selection
from longway.bench.frames import frame, open_results, read_frame
from longway.bench.results import failures, read_results
from longway.bench.table import tabulate

FAILS = (("Method 1", 1), ("Method 2", 0), ("Method 2", 1), ("Method 2", 2))


@pytest.fixture
def made(tmp_path):
    made = plan(methods=4, seeds=3, protocols=3, benchmarks=2, draws=2)
    store = fill(made, tmp_path / "r", fails=FAILS)
    return made, store


@pytest.fixture
def table(made):
    return tabulate(read_results(*made), made[0].baseline, failures(*made))


def test_the_same_results_give_the_same_table(made, table):
    again = tabulate(read_results(*made), made[0].baseline, failures(*made))
    one, two = (json.dumps(each.to_dict(), allow_nan=False) for each in (table, again))
    assert one == two
    assert "seconds" not in one


def test_order_and_company_do_not_change_a_line(made, table):
    results = read_results(*made)
    alone = tabulate([r for r in results if r.cell.data.title == table.blocks[-1].benchmark], made[0].baseline)
    assert alone.blocks[-1].lines[0].figures == table.blocks[-1].lines[0].figures


def test_a_block_has_all_methods(table):
    assert len(table.blocks) == 6
    block = table.blocks[0]
    assert block.baseline == "Method 0"
    assert block.metric == ("test", "worst_group")
    assert block.columns[:3] == (("test", "worst_group"), ("test", "average"), ("test", "reweighted_average"))
    assert ("ood", "average") in block.columns
    lines = {line.method: line for line in block.lines}
    assert lines["Method 0"].differences == {}
    assert lines["Method 3"].differences["test", "worst_group"].seeds == 3
    assert lines["Method 3"].tried == 6
    assert (lines["Method 1"].seeds, lines["Method 1"].missing) == ((0, 2), (1,))
    assert lines["Method 1"].differences["test", "worst_group"].seeds == 2
    assert (lines["Method 2"].seeds, lines["Method 2"].missing, lines["Method 2"].failed) == ((), (0, 1, 2), 6)
    assert lines["Method 3"].settings[0]["epochs"] == 4
    assert [group.name for group in lines["Method 0"].groups] == ["y=0, s=0", "y=0, s=1", "y=1, s=0", "y=1, s=1"]
    assert all(group.low <= group.accuracy <= group.high for group in lines["Method 0"].groups)


def test_an_oracle_is_named_one(table):
    oracle = [block for block in table.blocks if block.oracle]
    assert len(oracle) == 2
    assert {line.supervision for line in oracle[0].lines if line.seeds} == {"oracle"}


def test_failures_are_listed_with_their_error(table):
    assert table.failures[0].message == "the loss is <b>NaN</b>"
    assert {failure.method for failure in table.failures} == {"Method 1", "Method 2"}


def test_rankings_are_by_protocol(table):
    assert len(table.rankings) == 3
    for ranks in table.rankings.values():
        assert {rank.method for rank in ranks} == {"Method 0", "Method 1", "Method 3"}
        assert len(ranks[0].by_benchmark) == 2


def test_a_baseline_that_is_not_there_is_the_first(made):
    assert tabulate(read_results(*made), "gone").blocks[0].baseline == "Method 0"


def test_no_results():
    with pytest.raises(LongwayError, match="run the benchmark first"):
        tabulate([])


def test_what_selection_costs(made):
    costs = cost_of_selection(read_results(*made))
    assert {cost.reference for cost in costs} == {"validation groups, worst group"}
    assert len(costs) == 2 * 3 * 2  # benchmarks, methods with results, other protocols
    cost = costs[0]
    assert cost.difference.mean == pytest.approx(cost.here.mean - cost.there.mean)
    json.dumps([each.to_dict() for each in costs], allow_nan=False)
    with pytest.raises(LongwayError, match="there is no protocol 'none'"):
        cost_of_selection(read_results(*made), "none")


def test_one_protocol_costs_nothing(tmp_path):
    made = plan(methods=2, seeds=2)
    assert cost_of_selection(read_results(made, fill(made, tmp_path / "r"))) == []


def test_a_folder_is_read_with_one_call(made, tmp_path):
    read = read_frame(tmp_path / "r")
    results = read_results(*made)
    assert read.equals(frame(results))
    assert len(read) == len(results)
    row = read.iloc[0]
    assert row["test.worst_group"] == pytest.approx(results[0].tests["test"].metrics.worst_group_accuracy)
    assert {"seconds", "parameter epochs", "parameter learning_rate", "tried", "ood.average"} <= set(read.columns)
    assert read.groupby("method")["test.worst_group"].mean().idxmax() == "Method 3"


def test_a_folder_without_a_plan(tmp_path):
    made = plan()
    fill(made, tmp_path / "r")
    (tmp_path / "r" / "plan.json").write_text("{")
    with pytest.raises(LongwayError, match="damaged or cut short"):
        open_results(tmp_path / "r")
