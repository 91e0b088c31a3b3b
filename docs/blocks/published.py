"""Published settings: LfF's epoch, and the linear unit tests next to the peer's procedure."""

from __future__ import annotations

from blocks.results import Results
from blocks.text import not_measured, std, table

KEPT = {"last": "the last epoch, as published", "worst_class": "the best epoch by worst class"}


def lff_epochs(results: Results) -> str:
    """Return LfF's accuracy by the epoch that is kept and the share of conflicting images."""
    if results.lff is None:
        return not_measured("python benchmarks/lff.py")
    found = results.lff["accuracy"]
    shares = sorted({key.split()[0] for key in found}, reverse=True)
    columns = ["Kept", *(f"{100 * float(share):g} % conflicting" for share in shares)]
    rows = [
        [words, *(std(found[f"{share} {rule}"]["mean"], found[f"{share} {rule}"]["std"]) for share in shares)]
        for rule, words in KEPT.items()
    ]
    return table(columns, rows)


def unit_tests(results: Results) -> str:
    """Return the errors of the linear unit tests, in percent."""
    if results.unit_tests is None:
        return not_measured("python benchmarks/unit_tests.py")
    errors = results.unit_tests["errors"]
    columns = ["Example", *next(iter(errors.values()))]
    return table(
        columns,
        [[f"`{name}`", *(std(each["mean"], each["std"]) for each in row.values())] for name, row in errors.items()],
    )
