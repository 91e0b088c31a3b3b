"""Models as single files that run without Longway: ONNX, and plain torch graphs.

`run` makes the file, `exported` uses it. `network` is what goes into the graph, `record` what the file says of itself;
`onnx_file`, `pt2_file` and `merging` write, `archive` looks at what is read.
"""

from longway.exporting._export import export
from longway.exporting.exported import Exported, is_exported, load_exported
from longway.exporting.record import Record

__all__ = ["Exported", "Record", "export", "is_exported", "load_exported"]
