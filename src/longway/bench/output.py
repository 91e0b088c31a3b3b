"""The files that a run writes for people and programs, in addition to its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longway.bench.costs import Cost, cost_of_selection
from longway.bench.frames import open_results
from longway.bench.page import report
from longway.bench.plan import Plan
from longway.bench.published import Pair, compare
from longway.bench.results import Result, read_all
from longway.bench.store import Store
from longway.bench.table import Table, tabulate
from longway.bench.table_formats import write_pairs, write_table


@dataclass(frozen=True)
class Comparison:
    """The contents of a result folder.

    Parameters
    ----------
    results : sequence of Result
    table : Table
    costs : sequence of Cost
        What each protocol costs against the one that lets methods know most; empty with one protocol.
    printed : str
        Name of the published table that it is put beside, if any.
    pairs : sequence of Pair
        Numbers of that table next to ours.
    """

    results: Sequence[Result]
    table: Table
    costs: Sequence[Cost]
    printed: str = ""
    pairs: Sequence[Pair] = ()

    def write(self, folder: str | Path) -> Path:
        """Write table.json, .csv, .md, .tex and report.html, and published.json and .md if there are published numbers.

        Returns
        -------
        Path
            Where the report is.
        """
        write_table(self.table, folder)
        if self.pairs:
            write_pairs(self.printed, self.pairs, folder)
        return report(self.table, costs=self.costs, pairs=self.pairs).save(Path(folder) / "report.html")


def compare_methods(plan: Plan, folder: str | Path, printed: str = "") -> Comparison:
    """Read the results of a plan's finished trials; a pure function of the records.

    Parameters
    ----------
    plan : Plan
    folder : str or Path
    printed : str, optional
        Name of a published table (`longway.bench.published.plan_names`) to compare with.

    Raises
    ------
    LongwayError
        There are no results.
    CorruptFileError
        A record is damaged.
    """
    results, failed = read_all(plan, Store.open(folder))
    table = tabulate(results, plan.baseline, failed)
    costs = cost_of_selection(results) if len(plan.protocols) > 1 else ()
    return Comparison(results, table, costs, printed, compare(results, printed) if printed else ())


def read_comparison(folder: str | Path) -> Comparison:
    """Read the results in a folder, by the plan that it ran last.

    Raises
    ------
    LongwayError
        The folder holds no results.
    CorruptFileError
        A record is damaged.
    """
    plan, _ = open_results(folder)
    return compare_methods(plan, folder)
