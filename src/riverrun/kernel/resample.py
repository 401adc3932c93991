"""Rows on a regular grid of event time, key by key.

The grid cuts time into *cells* ``(instant − every, instant]``. What an instant gets is decided by the last row
of its cell, or, where that is empty, by the last row before; linear values also need the first row behind. So
the rows are brought down to the first and last of each cell, and each stands for the instants from its own cell
up to the next one that has rows.

An instant comes out when no row can change it any more. Which rows count for it depends on their event times
and on the order of rows alone, not on how these were cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import IMPUTED, ROW_ORDER
from riverrun.kernel.keyed import ALL, keyed
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import TIME, Timeline, seen_before, with_places, without_late
from riverrun.plan.cleaning import Fill
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME

#: The grid instant that a row is first seen at.
CELL = "__p_cell"
#: The instants that a row stands for.
INSTANT = "__p_instant"
NEXT = "__p_next_"


@dataclass(frozen=True, slots=True)
class ResampleState:
    """What is remembered.

    Parameters
    ----------
    rows : rows that instants to come may need, in pieces.
    newest_us : the largest event time among all rows.
    watermark_us : instants before this are done.
    """

    rows: tuple[pl.DataFrame, ...] = ()
    newest_us: int = BEFORE_TIME
    watermark_us: int = BEFORE_TIME


class Resample:
    """The operator that puts rows on a grid.

    Parameters
    ----------
    every_us : the distance of the instants, which are multiples of it since 1970.
    by : the key; without any, all rows have the same.
    columns : the columns that get values.
    after : the columns that come out, in their order, and their types.
    max_gap_us : how far a value reaches.
    ordered : whether rows carry their place, because several partitions may hold rows of one key.
    """

    def __init__(
        self,
        every_us: int,
        by: Sequence[str],
        columns: Sequence[str],
        after: Mapping[str, pl.DataType],
        timeline: Timeline,
        *,
        fill: Fill,
        max_gap_us: int,
        ordered: bool,
    ) -> None:
        self.every_us = every_us
        self.by = list(by)
        self.keys = list(by) or [ALL]
        self.columns = list(columns)
        self.after = dict(after)
        self.time = timeline.time
        self.shift_us = timeline.shift_us
        self.fill = fill
        self.max_gap_us = max_gap_us
        self.order = [ROW_ORDER] if ordered else []
        self._instants = Timeline(timeline.time)

    def empty(self) -> ResampleState:
        return ResampleState()

    def rows(self, state: ResampleState) -> int:
        return sum(frame.height for frame in state.rows)

    def next_close_us(self, state: ResampleState) -> int | None:
        cells: list[int] = [frame.select(self._cell().min()).item() for frame in state.rows if frame.height]
        if not cells:
            return None
        return max(min(cells), self._at_or_after(state.watermark_us)) + 1 + self.shift_us

    def early(self, state: ResampleState) -> tuple[ResampleState, Output]:
        return state, NOTHING

    # -- rows in ------------------------------------------------------------------------------------

    def step(self, state: ResampleState, frame: pl.DataFrame) -> tuple[ResampleState, Output]:
        rows = frame.with_columns(self._instants.of(frame))
        rows, output = without_late(rows, frame, self._late(rows, state))
        rows = with_places(rows) if self.order else rows
        kept = keyed(rows, self.by).select(*self.keys, *self.columns, TIME, *self.order)
        kept = kept.filter(pl.col(TIME).is_not_null())
        newest = kept[TIME].max()
        if not isinstance(newest, int):
            return state, output
        pieces = (*state.rows, kept)
        return replace(state, rows=pieces, newest_us=max(state.newest_us, newest)), output

    def _late(self, rows: pl.DataFrame, state: ResampleState) -> pl.Series | None:
        """Rows whose first instant was over when they came; for linear values, whose own time was."""
        seen = seen_before(rows, state.watermark_us + self.shift_us)
        if seen is None:
            return None
        decided_by = pl.col(TIME) if self.fill == "linear" else self._cell()
        first = rows.select(decided_by).to_series()
        return (first < seen - self.shift_us).fill_null(value=False)

    # -- instants out -------------------------------------------------------------------------------

    def advance(self, state: ResampleState, watermark_us: int) -> tuple[ResampleState, Output]:
        watermark_us -= self.shift_us
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        first_us, last_us = (
            self._at_or_after(state.watermark_us),
            self._at_or_after(watermark_us) - self.every_us,
        )
        if watermark_us > AFTER_TIME // 2:
            # At its end the input fills no instants behind its last row.
            last_us = min(last_us, self._at_or_after(state.newest_us))
        state = replace(state, watermark_us=watermark_us)
        if not state.rows or last_us < first_us:
            return state, NOTHING
        rows = self._in_order(state.rows).with_columns(self._cell())
        instants = self._filled(rows, first_us, last_us)
        kept = self._needed(rows, last_us + self.every_us)
        state = replace(state, rows=(kept,) if kept.height else ())
        return state, Output((instants,)) if instants.height else NOTHING

    def _in_order(self, pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """By event time; what came last behind what came before."""
        rows = pl.concat(pieces)
        if self.order or not rows[TIME].is_sorted():
            rows = rows.sort(TIME, *self.order, maintain_order=True)
        if self.fill != "linear":
            return rows
        # A line begins at the last row of its time and ends at the last row of the next one.
        return rows.unique([*self.keys, TIME], keep="last", maintain_order=True)

    def _at_or_after(self, instant_us: int) -> int:
        """The first instant of the grid that is not before a time."""
        return -(-instant_us // self.every_us) * self.every_us

    def _cell(self) -> pl.Expr:
        return (-((-pl.col(TIME)) // self.every_us) * self.every_us).alias(CELL)

    def _needed(self, rows: pl.DataFrame, next_us: int) -> pl.DataFrame:
        """The rows of cells to come, and of each key the last one before, as long as its value reaches."""
        over = pl.col(CELL) < next_us
        last = rows.filter(over & (pl.col(TIME) + self.max_gap_us >= next_us))
        last = last.unique(self.keys, keep="last", maintain_order=True)
        return pl.concat([last, rows.filter(~over)]).drop(CELL)

    def _filled(self, rows: pl.DataFrame, first_us: int, last_us: int) -> pl.DataFrame:
        """A row for each key and instant from `first_us` to `last_us` that some row reaches."""
        anchors = self._anchors(rows)
        following = pl.col(NEXT + CELL).fill_null(last_us + self.every_us) - self.every_us
        start = pl.max_horizontal(CELL, pl.lit(first_us))
        stop = pl.min_horizontal(following, self._reach(), pl.lit(last_us))
        anchors = anchors.filter(start <= stop)
        instants = pl.int_ranges(start, stop + self.every_us, self.every_us).alias(INSTANT)
        grid = anchors.with_columns(instants).explode(INSTANT)
        values, imputed = self._values()
        instant = pl.col(INSTANT)
        grid = grid.select(
            *self.by,
            instant.cast(pl.Datetime("us")).alias(TIME),
            *values,
            imputed.alias(IMPUTED),
        ).sort(TIME, *self.by, maintain_order=True)
        return grid.with_columns(_as(pl.col(TIME), self.after[self.time]).alias(self.time)).select(
            *self.after, IMPUTED
        )

    def _anchors(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The last row of each cell that has rows, with the next such cell of its key and its first row."""
        first = [pl.col(name).first().alias(NEXT + name) for name in (TIME, *self._beside())]
        cells = rows.group_by(*self.keys, CELL, maintain_order=True).agg(
            pl.col(TIME).last().alias(TIME), pl.col(self.columns).last(), *first
        )
        cells = cells.with_columns(pl.col(CELL).alias(NEXT + CELL))
        behind = pl.col(f"^{NEXT}.*$").shift(-1)
        return cells.with_columns(behind.over(self.keys) if self.by else behind)

    def _beside(self) -> Sequence[str]:
        return self.columns if self.fill == "linear" else ()

    def _reach(self) -> pl.Expr:
        """The last instant that a row has a say in."""
        if self.fill != "linear":
            return (pl.col(TIME) + self.max_gap_us) // self.every_us * self.every_us
        joined = (pl.col(NEXT + TIME) - pl.col(TIME) <= self.max_gap_us).fill_null(value=False)
        exact = pl.col(TIME) == pl.col(CELL)
        alone = pl.when(exact).then(pl.col(CELL)).otherwise(pl.col(CELL) - self.every_us)
        return pl.when(joined).then(pl.lit(AFTER_TIME)).otherwise(alone)

    def _values(self) -> tuple[list[pl.Expr], pl.Expr]:
        """The values at each instant, and how many of them are made up."""
        instant, time = pl.col(INSTANT), pl.col(TIME)
        count = pl.lit(len(self.columns), pl.UInt32)
        none = pl.lit(0, pl.UInt32)
        if self.fill == "forward":
            return [pl.col(name) for name in self.columns], pl.when(instant > pl.col(CELL)).then(
                count
            ).otherwise(none)
        if self.fill == "null":
            held = [pl.when(instant == pl.col(CELL)).then(pl.col(name)).alias(name) for name in self.columns]
            return held, none
        share = (instant - time) / (pl.col(NEXT + TIME) - time)
        between = [
            pl.when(instant == time)
            .then(pl.col(name).cast(pl.Float64))
            .otherwise(pl.col(name) + (pl.col(NEXT + name).cast(pl.Float64) - pl.col(name)) * share)
            .alias(name)
            for name in self.columns
        ]
        return between, pl.when(instant == time).then(none).otherwise(count)


def _as(instant: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Instants in UTC as the type of an event-time column."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return instant.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone).cast(dtype)
    return instant.cast(dtype)
