"""What the engine must know of each row of a batch, and users never see.

Hidden columns may ride along. They are there only when a batch holds rows that came behind their partition's
watermark, rows of partitions that must be told apart, or filled-in values; everything else is decided for the
batch as a whole.
"""

from __future__ import annotations

import polars as pl

#: Hidden column: the watermark (microseconds) that the row's partition had before the row; null = not behind.
ROW_WATERMARK = "__riverrun_watermark"
#: Hidden column: where the row stands among all rows of all sources, for order between partitions; negative for
#: rows that a step made, which no source knows.
ROW_ORDER = "__riverrun_order"
#: Rows of one partition that are told apart by `ROW_ORDER`.
PARTITION_ROWS = 1 << 42
#: Partitions of one source that are told apart by it.
SOURCE_PARTITIONS = 1 << 14
#: Hidden column: how many values of the row were filled in by a step (UInt32); null or no column: none.
IMPUTED = "__riverrun_imputed"
#: What hidden columns begin with; names of this kind are refused in schemas.
HIDDEN_PREFIX = "__riverrun_"


def sources_of_rows(places: pl.Series) -> pl.Series:
    """The number of the source of each row, by its place (`ROW_ORDER`), without rows that steps made."""
    made = places < 0
    known = places.filter(~made) if made.any() else places
    return known // (PARTITION_ROWS * SOURCE_PARTITIONS)


def in_time(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that are not behind the watermark."""
    if ROW_WATERMARK not in frame.columns:
        return frame
    return frame.filter(pl.col(ROW_WATERMARK).is_null()).drop(ROW_WATERMARK)


def visible(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without hidden columns."""
    hidden = [name for name in frame.columns if name.startswith(HIDDEN_PREFIX)]
    return frame.drop(hidden) if hidden else frame
