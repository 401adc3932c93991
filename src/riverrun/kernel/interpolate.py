"""Nulls filled on the line between the values before and behind, key by key, in the order of event time.

The watermark of the step lags by the longest gap. So when a row is due, whatever can be joined with the value
before it has come, and rows come out in the order of event time, then of their places, whatever the batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import IMPUTED, ROW_ORDER
from riverrun.kernel.keyed import ALL, keyed
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import TIME, Timeline, seen_before, with_places, without_late
from riverrun.windows.watermark import BEFORE_TIME

#: For each column: the values before and behind, and when they were.
LEFT, LEFT_TIME, RIGHT, RIGHT_TIME = "__p_left_", "__p_left_time_", "__p_right_", "__p_right_time_"


@dataclass(frozen=True, slots=True)
class InterpolateState:
    """What is remembered.

    Parameters
    ----------
    rows : rows that wait, in pieces.
    held : for each key the last value of every column before those rows, and when that was.
    watermark_us : rows before this are late.
    """

    rows: tuple[pl.DataFrame, ...] = ()
    held: pl.DataFrame | None = None
    watermark_us: int = BEFORE_TIME


class Interpolate:
    """The operator that fills nulls on the line between two values.

    Parameters
    ----------
    columns : the columns that are filled.
    by : the key; without any, all rows have the same.
    after : the columns that come out, in their order, and their types.
    within_us : how far apart two values may be that are joined.
    ordered : whether rows carry their place, because several partitions may hold rows of one key.
    """

    def __init__(
        self,
        columns: Sequence[str],
        by: Sequence[str],
        after: Mapping[str, pl.DataType],
        timeline: Timeline,
        *,
        within_us: int,
        ordered: bool,
    ) -> None:
        self.columns = list(columns)
        self.by = list(by)
        self.keys = list(by) or [ALL]
        self.after = list(after)
        self.shift_us = timeline.shift_us
        self.within_us = within_us
        self.order = [ROW_ORDER] if ordered else []
        self._instants = Timeline(timeline.time)
        self._before = [f"{side}{at}" for at in range(len(columns)) for side in (LEFT, LEFT_TIME)]

    def empty(self) -> InterpolateState:
        return InterpolateState()

    def rows(self, state: InterpolateState) -> int:
        held = 0 if state.held is None else state.held.height
        return held + sum(frame.height for frame in state.rows)

    def next_close_us(self, state: InterpolateState) -> int | None:
        first = [frame[TIME].min() for frame in state.rows]
        times = [time for time in first if isinstance(time, int)]
        return min(times) + 1 + self.shift_us if times else None

    def early(self, state: InterpolateState) -> tuple[InterpolateState, Output]:
        return state, NOTHING

    # -- rows in ------------------------------------------------------------------------------------

    def step(self, state: InterpolateState, frame: pl.DataFrame) -> tuple[InterpolateState, Output]:
        rows = frame.with_columns(self._instants.of(frame))
        seen = seen_before(rows, state.watermark_us + self.shift_us)
        late = None if seen is None else (rows[TIME] < seen - self.shift_us).fill_null(value=False)
        rows, output = without_late(rows, frame, late)
        kept = self._ready(rows.filter(pl.col(TIME).is_not_null()))
        return (replace(state, rows=(*state.rows, kept)) if kept.height else state), output

    def _ready(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The columns that come out, the key, the time and place, and how many values are made up."""
        rows = with_places(rows) if self.order else rows
        made_up = pl.col(IMPUTED).fill_null(0) if IMPUTED in rows.columns else pl.lit(0, pl.UInt32)
        rows = rows.with_columns(pl.col(self.columns).cast(pl.Float64), made_up.cast(pl.UInt32).alias(IMPUTED))
        extra = [ALL] if not self.by else []
        return keyed(rows, self.by).select(*self.after, *extra, TIME, *self.order, IMPUTED)

    # -- rows out -----------------------------------------------------------------------------------

    def advance(self, state: InterpolateState, watermark_us: int) -> tuple[InterpolateState, Output]:
        watermark_us -= self.shift_us
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        state = replace(state, watermark_us=watermark_us)
        due_us = self.next_close_us(state)
        if due_us is None or due_us > watermark_us + self.shift_us:
            return replace(state, held=self._young(state.held, watermark_us)), NOTHING
        rows = pl.concat(state.rows).sort(TIME, *self.order, maintain_order=True)
        out = self._between(rows, state.held).filter(pl.col(TIME) < watermark_us)
        waiting = rows.filter(pl.col(TIME) >= watermark_us)
        held = self._young(self._last(out, state.held), watermark_us)
        state = replace(state, rows=(waiting,) if waiting.height else (), held=held)
        return state, Output((self._filled(out),))

    def _between(self, rows: pl.DataFrame, held: pl.DataFrame | None) -> pl.DataFrame:
        """The rows with the values before and behind each of them."""
        if held is not None:
            # What is held of a key comes before its rows.
            rows = pl.concat([held.with_columns(pl.lit(value=True).alias(_HELD)), rows], how="diagonal")
        made: list[pl.Expr] = []
        for at, column in enumerate(self.columns):
            own: pl.Expr = pl.col(column)
            time: pl.Expr = pl.when(own.is_not_null()).then(TIME)
            if held is not None:
                own, time = pl.coalesce(own, f"{LEFT}{at}"), pl.coalesce(time, f"{LEFT_TIME}{at}")
            made += [
                own.forward_fill().alias(f"{LEFT}{at}"),
                time.forward_fill().alias(f"{LEFT_TIME}{at}"),
                own.backward_fill().alias(f"{RIGHT}{at}"),
                time.backward_fill().alias(f"{RIGHT_TIME}{at}"),
            ]
        rows = rows.with_columns(expr.over(self.keys) if self.by else expr for expr in made)
        return rows if held is None else rows.filter(pl.col(_HELD).is_null()).drop(_HELD)

    def _filled(self, rows: pl.DataFrame) -> pl.DataFrame:
        values, counts = [], [pl.col(IMPUTED)]
        for at, column in enumerate(self.columns):
            left, since = pl.col(f"{LEFT}{at}"), pl.col(f"{LEFT_TIME}{at}")
            right, until = pl.col(f"{RIGHT}{at}"), pl.col(f"{RIGHT_TIME}{at}")
            lacks = pl.col(column).is_null() & (until - since <= self.within_us)
            share = pl.when(until > since).then((pl.col(TIME) - since) / (until - since)).otherwise(0.0)
            # Each end times its share: exact at both, and no difference that could be too large for a float.
            line = left * (1 - share) + right * share
            values.append(pl.when(lacks).then(line).otherwise(column).alias(column))
            counts.append(lacks.fill_null(value=False).cast(pl.UInt32))
        made_up = pl.sum_horizontal(counts).cast(pl.UInt32).alias(IMPUTED)
        return rows.with_columns(*values, made_up).select(*self.after, IMPUTED)

    def _last(self, out: pl.DataFrame, held: pl.DataFrame | None) -> pl.DataFrame | None:
        """What is known of each key behind the rows that came out."""
        last = out.unique(self.keys, keep="last", maintain_order=True).select(*self.keys, *self._before)
        if held is None:
            return last
        return pl.concat([held.join(last, on=self.keys, how="anti", nulls_equal=True), last])

    def _young(self, held: pl.DataFrame | None, from_us: int) -> pl.DataFrame | None:
        """Without keys none of whose values can be joined with one that comes."""
        if held is None:
            return None
        newest = pl.max_horizontal(f"{LEFT_TIME}{at}" for at in range(len(self.columns)))
        kept = held.filter(newest + self.within_us >= from_us)
        return kept if kept.height else None


_HELD = "__p_held"
