"""Comparison of three scores of latent axes."""

from __future__ import annotations

from blocks.results import Results
from blocks.text import not_measured, table


def scores(results: Results) -> str:
    """Return the accuracy of each score, by the number of classes and the strength of the shortcut."""
    if not results.scores:
        return not_measured("python benchmarks/scores.py")
    rows = [
        [
            *(task, name, f"{100 * found['agreement']:.1f}", f"{100 * found['by_kmeans']:.1f}"),
            f"{100 * found['first']:.0f}",
            *(f"{found[key]:.2f}".replace("-", "−") for key in ("gap", "batch_bias", "batch_std")),
        ]
        for task, lines in results.scores.items()
        for name, found in lines.items()
    ]
    columns = ["Task", "Score", "Agreement, %", "By k-means, %", "First, %", "Gap", "Batch bias", "Batch std"]
    words = (
        "Means over seeds. Task: number of classes, and how often the hue agrees with the class. Agreement: of the "
        "pseudo-attribute with the hue; by k-means: the same for a k-means clustering. First: how often the axis with "
        "most of the hue has the highest score. Gap: that axis's score minus the highest score of the axes with hardly "
        "any of the hue. Batch bias: score of single batches minus score of all samples, on those axes. Batch std: "
        "standard deviation over batches, on the axis with most of the hue."
    )
    return f"{words}\n\n{table(columns, rows)}"
