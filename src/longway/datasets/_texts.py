"""Texts of benchmarks in tables."""

from __future__ import annotations

from collections.abc import Sequence

from longway.data.lazy_columns import TextColumn
from longway.data.table import Source


def text_column(opened: Source, names: Sequence[str], separator: str = "") -> TextColumn:
    """Return one or several columns as one column of texts.

    Parameters
    ----------
    opened : Source
        The table.
    names : sequence of str
        Columns, joined in this order; a missing value is an empty text.
    separator : str
        Stands between them.

    Raises
    ------
    LongwayError
        There is no such column.
    """
    import datasets
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in names:
        opened.table.check(name, "input", opened.name)
    table = opened.table.arrow(list(names))
    columns = [pc.fill_null(table.column(name).cast(pa.large_string()), "") for name in names]
    texts = pc.binary_join_element_wise(*columns, pa.scalar(separator, pa.large_string()))
    return TextColumn(datasets.Dataset(pa.table({"text": texts})), "text", opened.name)
