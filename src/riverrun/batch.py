"""What the engine must know of each row of a batch, and users never see.

Hidden columns may ride along. They are there only when a batch holds rows that came behind their partition's
watermark, rows of partitions that must be told apart, or filled-in values; everything else is decided for the
batch as a whole.
"""

from __future__ import annotations

import polars as pl

#: Hidden column: the watermark (microseconds) that the row's partition had before the row; null = not behind.
ROW_WATERMARK = "__riverrun_watermark"
#: Hidden column: where the row stands among all rows of its source, for order between partitions.
ROW_ORDER = "__riverrun_order"
#: Hidden column: how many values of the row were filled in by a step (UInt32); null or no column: none.
IMPUTED = "__riverrun_imputed"
#: What hidden columns begin with; names of this kind are refused in schemas.
HIDDEN_PREFIX = "__riverrun_"


def visible(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without hidden columns."""
    hidden = [name for name in frame.columns if name.startswith(HIDDEN_PREFIX)]
    return frame.drop(hidden) if hidden else frame
