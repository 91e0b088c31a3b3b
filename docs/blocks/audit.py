"""The audit: its accuracy, its cost, and the effect of a fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.results import Results
from blocks.text import not_measured, percent, table

FIXES = {
    "rwg": "`RWG`, the audit's groups",
    "subg": "`SUBG`, the audit's groups",
    "subg, all rows": "`SUBG`, the same, nothing left out",
    "rwg, true groups": "`RWG`, true groups",
    "subg, true groups": "`SUBG`, true groups",
}


def audit(results: Results) -> str:
    """Return the accuracy of the audit on data sets with and without a shortcut."""
    if results.audit is None:
        return not_measured("python -m benchmarks.audit")
    found = results.audit["summary"]
    families = ", ".join(f"{name} {value:.2f}" for name, value in found["auroc_by_family"].items())
    low, high = found["clean_called_strong_interval"]
    precision = found["average_precision"]
    cleanlab = f"cleanlab's underperforming groups {precision['cleanlab']:.2f}, " if "cleanlab" in precision else ""
    rows = [
        ["Detecting that there is a shortcut, AUROC", f"{found['auroc']:.3f}", f"aim .95; {families}"],
        [
            "Clean data called strong evidence",
            f"{found['clean_called_strong']} of {found['clean']}",
            f"aim 5 %; interval {percent(low)} to {percent(high)}",
        ],
        [
            "Planted shortcuts called strong evidence",
            f"{found['planted_called_strong']} of {found['planted']}",
            f"suspicion: {found['planted_called_suspicion']} more",
        ],
        ["True attribute ranked first, among those", percent(found["strong_ranked_first_share"]), "aim 90 %"],
        [
            "Average precision on the minority groups",
            f"{precision['audit']:.2f}",
            f"errors as in JTT {precision['errors']:.2f}, mixtures as in Domino {precision['domino']:.2f}, "
            f"{cleanlab}chance {precision['chance']:.2f}",
        ],
    ]
    if results.audit_fixes is not None:
        fixes = results.audit_fixes["summary"]
        found, true = (fixes["heads"][name] for name in ("subg", "subg, true groups"))
        rows += [
            [
                "Reliance after `SUBG` on the audit's groups, median",
                f"{found['times_less_median']:.1f} times less",
                f"aim 10; on the true groups {true['times_less_median']:.1f}",
            ],
            [
                "Reliance falls 5 times or more",
                f"{found['reached']} of {fixes['data_sets']}",
                f"aim all; on the true groups {true['reached']}",
            ],
        ]
    return table(["What", "Measured", "Reference"], rows)


def audit_models(results: Results) -> str:
    """Return the verdicts on models of known guilt."""
    if results.audit_models is None:
        return not_measured("python -m benchmarks.audit.models")
    summary, rows = results.audit_models["summary"], []
    for kind in ("guilty", "between", "clean"):
        found = summary[kind]
        for given, words in (("with_column", "the attribute is a column"), ("without_column", "it is not")):
            counts, n = found[given], found["models"]
            low, high = counts["suspicion_or_strong_interval"]
            raised = counts["suspicion_or_strong"]
            cells = [f"{counts['strong']} of {n}", f"{raised} of {n} ({percent(low)} to {percent(high)})"]
            rows.append([f"{kind}, {words}", *cells])
    return table(["Models", "Strong evidence", "Suspicion or strong (95 % interval)"], rows)


def audit_fixes(record: Mapping[str, Any] | None) -> str:
    """Return the fall in reliance on the shortcut, by kind of data and by method."""
    if record is None:
        return not_measured("python -m benchmarks.audit.fixes")
    whole = record["summary"]
    rows = []
    for name, part in [*whole["families"].items(), ("all", whole)]:
        cells = [
            f"{each['times_less_median']:.1f}, {each['reached']}, {100 * each['worst_group']:.0f}"
            for each in part["heads"].values()
        ]
        rows.append([name, str(part["data_sets"]), f"{100 * part['worst_group_before']:.0f}", *cells])
    heads = [FIXES.get(name, name) for name in whole["heads"]]
    words = "Each cell: reliance falls by this factor, median; data sets with a factor of 5 or more; worst group, %."
    return f"{words}\n\n{table(['Data', 'Sets', 'ERM, worst group', *heads], rows)}"


def audit_speed(results: Results) -> str:
    """Return the cost of an audit by the size of the data."""
    record = (results.benchmarks or {}).get("audit_size")
    if record is None:
        return not_measured("python -m benchmarks audit_size")
    rows = [
        [
            f"{each['given']:,} x {each['features']:,}",
            f"{each['rows']:,}",
            f"{each['seconds']:.1f}",
            f"{each['peak_gb'] - each['imports_gb']:.2f}",
        ]
        for each in (record["wide"], *record["all_rows"], record["largest"])
    ]
    imports = f"{record['wide']['imports_gb']:.1f}"
    return table(["Samples x features", "Samples audited", "Seconds", f"GB, without the {imports} of imports"], rows)
