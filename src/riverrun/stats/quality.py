"""What ``quality=True`` tells of a result: of the rows that it was made of, as aggregates like any others,
and of what did not come into it, which `riverrun.kernel.quality_windows` counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from riverrun.batch import IMPUTED, ROW_WATERMARK
from riverrun.stats.aggregate import Aggregate
from riverrun.stats.counting import count, sum
from riverrun.stats.partials import PARTIAL_PREFIX

#: 1 for a row that came behind the watermark, else 0.
LATE = f"{PARTIAL_PREFIX}late_row"

#: What the aggregates read beside the columns of the plan.
COLUMNS: Mapping[str, pl.DataType] = {IMPUTED: pl.UInt32(), LATE: pl.UInt32()}

REJECTED_ROWS, DUPLICATE_ROWS = "rejected_rows", "duplicate_rows"
#: The result columns, in order.
QUALITY_NAMES = ("rows", "late_rows", REJECTED_ROWS, DUPLICATE_ROWS, "imputed_values")


def quality_aggregates() -> dict[str, Aggregate]:
    """By result column, in order: what is told of the rows of a result."""
    return {"rows": count(), "late_rows": sum(LATE), "imputed_values": sum(IMPUTED)}


def noted(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with both columns."""
    late = pl.col(ROW_WATERMARK).is_not_null() if ROW_WATERMARK in rows.columns else pl.lit(value=False)
    imputed = pl.col(IMPUTED).fill_null(0) if IMPUTED in rows.columns else pl.lit(0)
    return rows.with_columns(late.cast(pl.UInt32).alias(LATE), imputed.cast(pl.UInt32).alias(IMPUTED))
