"""Users' data: reading it, splitting it, naming its groups."""

from .dataset import GroupedDataset, name_groups
from .lazy import ImageColumn, LazyColumn, TextColumn
from .reading import read
from .table import Table

__all__ = ["GroupedDataset", "ImageColumn", "LazyColumn", "Table", "TextColumn", "name_groups", "read"]
