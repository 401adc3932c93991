"""Pairs of rows that fall into the same window.

Rows wait in their window until it closes. In fixed windows a row is late for those that were closed when it
came, by the watermark of its own partition. In sessions every row behind that watermark is late: it might touch
a session that is closed, or not, depending on the other side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.join_rows import ORDER, Side, behind, places, some_behind
from riverrun.kernel.operator import NOTHING, Output
from riverrun.schema import INSTANT
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.assign import first_window_end, window_ends, window_start
from riverrun.windows.describe import Fixed, Session
from riverrun.windows.watermark import BEFORE_TIME

#: The bounds of a row's window, microseconds.
OPENS = "__p_opens"
CLOSES = "__p_closes"
ROW = "__p_row"
SIDE = "__p_side"


@dataclass(frozen=True, slots=True)
class WindowJoinState:
    """What is remembered.

    Parameters
    ----------
    left, right : rows of windows that are open, as they arrived; those of fixed windows once for each window.
    rows : how many they are.
    due_us : no window closes before; ``None`` when there are no rows.
    watermark_us : all windows that end by then are closed.
    """

    left: tuple[pl.DataFrame, ...] = ()
    right: tuple[pl.DataFrame, ...] = ()
    rows: int = 0
    due_us: int | None = None
    watermark_us: int = BEFORE_TIME


class WindowPairs(ABC):
    """The operator for window joins.

    Parameters
    ----------
    right_names : the right columns that come along, with their names in the result.
    outer : whether left rows without a match are kept.
    """

    def __init__(self, left: Side, right: Side, right_names: Mapping[str, str], *, outer: bool) -> None:
        self.left = left
        self.right = right
        self.keys = left.keys
        self.outer = outer
        self._named = [pl.col(name).alias(called) for name, called in right_names.items()]

    def empty(self) -> WindowJoinState:
        return WindowJoinState()

    def rows(self, state: WindowJoinState) -> int:
        return state.rows

    def early(self, state: WindowJoinState) -> tuple[WindowJoinState, Output]:
        return state, NOTHING

    def next_close_us(self, state: WindowJoinState) -> int | None:
        return state.due_us

    def step_side(
        self, state: WindowJoinState, frame: pl.DataFrame, side: int
    ) -> tuple[WindowJoinState, Output]:
        from_side = self.right if side else self.left
        ready = from_side.ready(frame)
        if side:
            ready = from_side.with_keys(ready)
        rows, late, refused = self.sorted_out(ready, state.watermark_us)
        state = self._with(state, rows, side)
        if late is None:
            return state, NOTHING
        told = () if side else (self._late(late),)
        # In windows that overlap, a row may stand among the late ones several times.
        rows_late = late[ROW].n_unique() if not side and ROW in late.columns else None
        return state, Output(late=told, refused=() if refused is None else (refused,), late_rows=rows_late)

    def _with(self, state: WindowJoinState, rows: pl.DataFrame, side: int) -> WindowJoinState:
        if not rows.height:
            return state
        due_us = self.closes_first_us(rows)
        if state.due_us is not None:
            due_us = min(due_us, state.due_us)
        state = replace(state, rows=state.rows + rows.height, due_us=due_us)
        columns = (self.right if side else self.left).columns
        rows = rows.select(*columns, EVENT_TIME, ORDER, *self.marks)
        if side:
            return replace(state, right=(*state.right, rows))
        return replace(state, left=(*state.left, rows))

    def _late(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            *self.left.columns,
            pl.col(OPENS).cast(INSTANT).alias("window_start"),
            pl.col(CLOSES).cast(INSTANT).alias("window_end"),
        )

    def advance(self, state: WindowJoinState, watermark_us: int) -> tuple[WindowJoinState, Output]:
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        state = replace(state, watermark_us=watermark_us)
        if state.due_us is None or state.due_us > watermark_us:
            return state, NOTHING
        left, right = self.in_windows(_together(state.left), _together(state.right))
        rest = WindowJoinState(watermark_us=watermark_us)
        closed = pl.col(CLOSES) <= watermark_us
        frame = None
        if left is not None:
            due = left.filter(closed)
            frame = self._paired(due, None if right is None else right.filter(closed)) if due.height else None
            rest = self._with(rest, left.filter(~closed), 0)
        if right is not None:
            rest = self._with(rest, right.filter(~closed), 1)
        return rest, NOTHING if frame is None or not frame.height else Output(frames=(frame,))

    def _paired(self, left: pl.DataFrame, right: pl.DataFrame | None) -> pl.DataFrame | None:
        bounds = [
            pl.col(OPENS).cast(INSTANT).alias("window_start"),
            pl.col(CLOSES).cast(INSTANT).alias("window_end"),
        ]
        by = [CLOSES, *self.keys]
        others = (self.nothing() if right is None else right).sort(EVENT_TIME, ORDER, maintain_order=True)
        found = left.sort(CLOSES, EVENT_TIME, ORDER, maintain_order=True).join(
            others.select(*by, *self._named),
            on=by,
            how="left" if self.outer else "inner",
            maintain_order="left_right",
        )
        return found.select(*self.left.columns, *(e.meta.output_name() for e in self._named), *bounds)

    def nothing(self) -> pl.DataFrame:
        """No right rows."""
        return self.right.nothing().with_columns(pl.lit(None, pl.Int64).alias(CLOSES))

    #: The columns of this module that rows wait with.
    marks: tuple[str, ...] = ()

    @abstractmethod
    def sorted_out(
        self, rows: pl.DataFrame, watermark_us: int
    ) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.Series | None]:
        """Rows that count; late ones with `OPENS` and `CLOSES`; the places of those that count for nothing."""

    @abstractmethod
    def closes_first_us(self, rows: pl.DataFrame) -> int:
        """When the first of the rows' windows closes, at the earliest."""

    @abstractmethod
    def in_windows(
        self, left: pl.DataFrame | None, right: pl.DataFrame | None
    ) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
        """The rows with `OPENS` and `CLOSES`."""


class FixedWindowPairs(WindowPairs):
    """Pairs in windows of fixed bounds."""

    marks = (OPENS, CLOSES)

    def __init__(
        self, window: Fixed, left: Side, right: Side, right_names: Mapping[str, str], *, outer: bool
    ) -> None:
        super().__init__(left, right, right_names, outer=outer)
        self.window = window

    def sorted_out(
        self, rows: pl.DataFrame, watermark_us: int
    ) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.Series | None]:
        rows = rows.with_row_index(ROW)
        if self.window.tumbling:
            each = rows.with_columns(first_window_end(pl.col(EVENT_TIME), self.window).alias(CLOSES))
        else:
            ends = window_ends(pl.col(EVENT_TIME), self.window)
            each = rows.with_columns(ends.alias(CLOSES)).explode(CLOSES).drop_nulls(CLOSES)
        each = each.with_columns(window_start(pl.col(CLOSES), self.window).alias(OPENS))
        if not some_behind(rows, watermark_us):
            return each, None, None
        gone = pl.col(CLOSES) <= behind(rows, watermark_us)
        late, kept = each.filter(gone), each.filter(~gone)
        lost = late.filter(~pl.col(ROW).is_in(kept[ROW].implode())).unique(ROW, maintain_order=True)
        return (kept, late, places(lost)) if late.height else (kept, None, None)

    def closes_first_us(self, rows: pl.DataFrame) -> int:
        first = rows[CLOSES].min()
        assert isinstance(first, int)
        return first

    def in_windows(
        self, left: pl.DataFrame | None, right: pl.DataFrame | None
    ) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
        return left, right


class SessionPairs(WindowPairs):
    """Pairs in sessions, which the rows of both sides make together."""

    def __init__(
        self, window: Session, left: Side, right: Side, right_names: Mapping[str, str], *, outer: bool
    ) -> None:
        super().__init__(left, right, right_names, outer=outer)
        self.gap_us = window.gap_us

    def sorted_out(
        self, rows: pl.DataFrame, watermark_us: int
    ) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.Series | None]:
        if not some_behind(rows, watermark_us):
            return rows, None, None
        gone = pl.col(EVENT_TIME) < behind(rows, watermark_us)
        late = rows.filter(gone).with_columns(
            pl.col(EVENT_TIME).alias(OPENS), (pl.col(EVENT_TIME) + self.gap_us).alias(CLOSES)
        )
        return (rows.filter(~gone), late, places(late)) if late.height else (rows, None, None)

    def closes_first_us(self, rows: pl.DataFrame) -> int:
        closes = rows[CLOSES] if CLOSES in rows.columns else rows[EVENT_TIME] + self.gap_us
        first = closes.min()
        assert isinstance(first, int)
        return first

    def in_windows(
        self, left: pl.DataFrame | None, right: pl.DataFrame | None
    ) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
        sides = [frame for frame in (left, right) if frame is not None]
        spans = self._sessions(pl.concat([frame.select(*self.keys, EVENT_TIME) for frame in sides]))
        made = []
        for frame in sides:
            own, spans = spans[: frame.height], spans[frame.height :]
            made.append(frame.with_columns(own[OPENS], own[CLOSES]))
        first, *others = made
        if left is None:
            return None, first
        return first, others[0] if others else None

    def _sessions(self, rows: pl.DataFrame) -> pl.DataFrame:
        """For each row, in the order given, the bounds of the session that it is part of."""
        ordered = rows.with_row_index(ROW).sort(EVENT_TIME, maintain_order=True)
        apart = pl.col(EVENT_TIME).diff()
        begins = (self._within(apart) >= self.gap_us).fill_null(value=True)
        ordered = ordered.with_columns(begins.alias(SIDE))
        ordered = ordered.with_columns(self._within(pl.col(SIDE).cast(pl.Int64).cum_sum()).alias(SIDE))
        by = [*self.keys, SIDE]
        first, last = pl.col(EVENT_TIME).min().over(by), pl.col(EVENT_TIME).max().over(by)
        spans = ordered.select(ROW, first.alias(OPENS), (last + self.gap_us).alias(CLOSES))
        return spans.sort(ROW)

    def _within(self, expr: pl.Expr) -> pl.Expr:
        return expr.over(self.keys) if self.keys else expr


def _together(frames: tuple[pl.DataFrame, ...]) -> pl.DataFrame | None:
    if not frames:
        return None
    return frames[0] if len(frames) == 1 else pl.concat(frames)
