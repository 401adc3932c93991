"""Event time of rows on their way through a stateful step, and how far their partition had come before them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK, visible
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.window_frame import event_times

#: The event time of a row, Int64 microseconds.
TIME = "__p_time"
#: Where a row stands in its batch.
ROW = "__p_row"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the event time of a step's rows is, and what is added to it."""

    time: str
    shift_us: int = 0

    def of(self, frame: pl.DataFrame) -> pl.Series:
        """The event time of every row as Int64 microseconds, named `TIME`."""
        times = event_times(frame, self.time)
        return (times + self.shift_us if self.shift_us else times).alias(TIME)


def seen_before(frame: pl.DataFrame, watermark_us: int) -> pl.Series | None:
    """The watermark that each row found, named as `ROW_WATERMARK`; ``None`` when no row is behind one.

    It is that of the row's own partition, or that of the stream where this is further: for a partition that
    was left out as idle. Null for rows that are behind neither.
    """
    if ROW_WATERMARK not in frame.columns:
        return None
    marks = frame[ROW_WATERMARK]
    return marks.clip(lower_bound=watermark_us)


def without_late(
    rows: pl.DataFrame, frame: pl.DataFrame, late: pl.Series | None
) -> tuple[pl.DataFrame, Output]:
    """The rows that are in time, and the others as late ones, as they stand in the frame that came."""
    if late is None or not late.any():
        return rows, NOTHING
    missed = frame.filter(late)
    return rows.filter(~late), Output(late=(visible(missed),), refused=places(missed))


def with_places(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their places; results of joins and windows have none, they come in their order."""
    return rows if ROW_ORDER in rows.columns else rows.with_columns(pl.lit(0, pl.Int64).alias(ROW_ORDER))


def places(frame: pl.DataFrame) -> tuple[pl.Series, ...]:
    """Where these rows stand among all rows of their source; nothing for rows that no source knows."""
    return (frame[ROW_ORDER],) if frame.height and ROW_ORDER in frame.columns else ()
