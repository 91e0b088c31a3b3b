"""Three scores of latent axes beside each other."""

from __future__ import annotations

from blocks.results import Results
from blocks.text import not_measured, table


def scores(results: Results) -> str:
    """Return how well each score finds the hue, by the number of classes and the strength of the shortcut."""
    if not results.scores:
        return not_measured("python benchmarks/scores.py")
    rows = [
        [
            *(task, name, f"{100 * found['agreement']:.1f}", f"{100 * found['by_kmeans']:.1f}"),
            f"{100 * found['first']:.0f}",
            *(f"{found[key]:.2f}".replace("-", "−") for key in ("gap", "batch_bias", "batch_spread")),
        ]
        for task, lines in results.scores.items()
        for name, found in lines.items()
    ]
    columns = ["Task", "Score", "Agreement, %", "By k-means, %", "First, %", "Gap", "Batch bias", "Batch spread"]
    words = (
        "Means over seeds. Task: the number of classes, and how often the hue agrees with the class. Agreement: of the "
        "pseudo-attribute with the hue, and of one that k-means cuts. First: how often the axis with most of the hue "
        "has the highest score. Gap: how far that axis's score lies above every axis with hardly any of the hue. Batch "
        "bias: how far scores of single batches lie above that of all rows, on those axes. Batch spread: standard "
        "deviation over batches, on the axis with most of the hue."
    )
    return f"{words}\n\n{table(columns, rows)}"
