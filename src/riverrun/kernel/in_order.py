"""Rows in the order of event time: they wait until the watermark has passed them.

Windows that depend on the order of rows (rolling, running, counting, sessions of limited length) take their
rows from here. So their results depend neither on how rows were cut into batches nor on how partitions took
turns. A row that comes when its own partition's watermark has passed it has no place any more: it is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partials import EVENT_TIME

#: A whole number for each key.
KEY = "__p_key"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows that the watermark has not passed, in the order in which they came."""

    frames: tuple[pl.DataFrame, ...] = ()
    first_us: int | None = None
    rows: int = 0

    def added(self, rows: pl.DataFrame) -> Waiting:
        first = rows[EVENT_TIME].min()
        if not isinstance(first, int):
            return self
        first_us = first if self.first_us is None else min(first, self.first_us)
        return Waiting((*self.frames, rows), first_us, self.rows + rows.height)

    def passed(self, watermark_us: int) -> tuple[pl.DataFrame | None, Waiting]:
        """The rows before an instant by event time, then by their place, and those that wait on."""
        if self.first_us is None or self.first_us >= watermark_us:
            return None, self
        rows = self._together()
        by = [EVENT_TIME, ROW_ORDER] if ROW_ORDER in rows.columns else [EVENT_TIME]
        due = rows.filter(pl.col(EVENT_TIME) < watermark_us)
        if not due[EVENT_TIME].is_sorted() or len(by) > 1:
            due = due.sort(by, maintain_order=True)
        return due, NONE_WAITING.added(rows.filter(pl.col(EVENT_TIME) >= watermark_us))

    def _together(self) -> pl.DataFrame:
        """In one frame. Rows of a single partition carry their place only where some were late."""
        ordered = all(ROW_ORDER in frame.columns for frame in self.frames)
        frames = [f if ordered else f.drop(ROW_ORDER, strict=False) for f in self.frames]
        # Only frames with filled-in values say how many these are.
        alike = all(frame.width == frames[0].width for frame in frames)
        return pl.concat(frames, how="vertical" if alike else "diagonal")


NONE_WAITING = Waiting()


def in_time(
    frame: WindowFrame, rows: pl.DataFrame, watermark_us: int, before_us: int = 0
) -> tuple[pl.DataFrame, Output]:
    """The rows that are not late, and the others as late rows.

    The bounds of a late row are ``[its event time − before_us, its event time]``: the window that it
    would have been put out for, where there is one.
    """
    marked = ROW_WATERMARK in rows.columns
    low = rows[EVENT_TIME].min()
    if not marked and (not isinstance(low, int) or low >= watermark_us):
        return rows, NOTHING
    seen = pl.max_horizontal(ROW_WATERMARK, pl.lit(watermark_us)) if marked else pl.lit(watermark_us)
    late = rows.filter(pl.col(EVENT_TIME) < seen)
    kept = rows.filter(pl.col(EVENT_TIME) >= seen)
    kept = kept.drop(ROW_WATERMARK) if marked else kept
    if not late.height:
        return kept, NOTHING
    out = frame.late(late, pl.col(EVENT_TIME) - before_us, pl.col(EVENT_TIME))
    return kept, Output(late=(out,), refused=(late[ROW_ORDER],) if ROW_ORDER in late.columns else ())


def numbered(rows: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with `KEY`, and the keys with it, in the order in which they first appear."""
    if not keys:
        return rows.with_columns(pl.lit(0, pl.Int64).alias(KEY)), pl.DataFrame({KEY: [0]})
    table = rows.select(keys).unique(maintain_order=True).with_row_index(KEY)
    table = table.with_columns(pl.col(KEY).cast(pl.Int64))
    return rows.join(table, on=keys, how="left", nulls_equal=True, maintain_order="left"), table
