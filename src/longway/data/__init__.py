"""Users' data: reading, splitting, and naming of groups."""

from longway.data.dataset import GroupedDataset, name_groups
from longway.data.lazy_columns import ImageColumn, LazyColumn, TextColumn
from longway.data.reading import read
from longway.data.table import Table

__all__ = ["GroupedDataset", "ImageColumn", "LazyColumn", "Table", "TextColumn", "name_groups", "read"]
