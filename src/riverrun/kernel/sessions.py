"""Aggregates over session windows, with lateness, revisions and early results.

A session is a span of event time for one key, and its partials. Rows are first joined to spans, then spans
that touch are joined to each other. Rows in time, also those that are merely out of order, are taken together.

A row behind its partition's watermark may touch a session that is over already, and what becomes of it depends
on the rows before it. It waits until the watermark of the stream has come to the one that it came behind: then
all rows in time before that instant are there, from every partition. So what it finds depends on the order of
rows within partitions alone: neither on how they were cut, nor on how partitions took turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.key_limit import Instants, beyond_room, folded, known_until, rows_in
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.overdue_sessions import OverdueSessions
from riverrun.kernel.session_spans import (
    AT,
    BEHIND,
    CHANGED,
    CLOSED,
    FOLDS,
    LAST,
    REVISES,
    ROW,
    SEEN,
    SessionState,
)
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.assign import WINDOW
from riverrun.windows.watermark import BEFORE_TIME


class SessionWindows(OverdueSessions):
    """The operator for session windows."""

    def empty(self) -> SessionState:
        return SessionState()

    def rows(self, state: SessionState) -> int:
        waiting = sum(frame.height for frame in state.waiting)
        return waiting + (0 if state.spans is None else state.spans.height)

    def oldest_us(self, state: SessionState) -> int:
        """Before this instant begins no window that may still come out."""
        first = [frame[EVENT_TIME].min() for frame in state.waiting]
        first += [] if state.spans is None else [state.spans[WINDOW].min()]
        reached = state.watermark_us - self.gap_us - self.lateness_us
        return min([reached, *(at for at in first if isinstance(at, int))])

    def next_close_us(self, state: SessionState) -> int | None:
        found = [frame[BEHIND].min() for frame in state.waiting]
        if state.spans is not None:
            last = state.spans.filter(~pl.col(CLOSED))[LAST].min()
            found += [last + self.gap_us] if isinstance(last, int) else []
        soonest = min((at for at in found if isinstance(at, int)), default=None)
        return None if soonest is None else max(soonest, state.watermark_us)

    def step(self, state: SessionState, frame: pl.DataFrame) -> tuple[SessionState, Output]:
        rows = self.frame.ready(frame)
        number = pl.int_range(state.seen, state.seen + rows.height, dtype=pl.Int64).alias(SEEN)
        rows = rows.with_columns(number)
        state = replace(state, seen=state.seen + rows.height)
        if ROW_WATERMARK in rows.columns:
            behind = pl.max_horizontal(ROW_WATERMARK, pl.lit(state.watermark_us))
            rows = rows.with_columns(pl.when(pl.col(ROW_WATERMARK).is_not_null()).then(behind).alias(BEHIND))
        excess = self._excess(state, rows)
        newest = rows[EVENT_TIME].max()
        if isinstance(newest, int) and newest > state.newest_us:
            state = replace(state, newest_us=newest)
        if ROW_WATERMARK in rows.columns:
            marked = rows[BEHIND].is_not_null()
            waiting = rows.select(list(dict.fromkeys(self._kept)))
            waiting = waiting if excess is None else waiting.with_columns(excess.alias(FOLDS))
            waiting = waiting.filter(marked)
            if waiting.height:
                state = replace(state, waiting=(*state.waiting, waiting))
            rows, excess = rows.filter(~marked), None if excess is None else excess.filter(~marked)
        state = self._add(state, folded(rows, excess, self.frame.keys))
        return state, NOTHING if excess is None else Output(beyond=rows_in(excess))

    def _excess(self, state: SessionState, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit, as they came. A key is known as long as a session of it is."""
        keys = self.frame.keys
        if not keys or rows.height + (0 if state.spans is None else state.spans.height) <= self.max_keys:
            return None
        reach_us = self.gap_us + self.lateness_us
        held = None if state.spans is None else known_until(state.spans, keys, pl.col(LAST) + reach_us)
        until = pl.col(EVENT_TIME) + reach_us
        if BEHIND in rows.columns:
            # A row that can only be late makes no session.
            until = pl.when(pl.col(BEHIND) >= until).then(pl.lit(BEFORE_TIME)).otherwise(until)
        instants = Instants(self._reached(state, rows), rows.select(until.alias("until"))["until"])
        return beyond_room(held, rows, keys, self.max_keys, instants)

    def _reached(self, state: SessionState, rows: pl.DataFrame) -> pl.Series:
        """How far the watermark was before each row, by the rows that came here.

        Where partitions take turns, what they have come to together is not known for single rows: then keys
        make room between batches.
        """
        if self.delay_us is None:
            return pl.Series("now", [BEFORE_TIME], dtype=pl.Int64).new_from_index(0, rows.height)
        newest = pl.col(EVENT_TIME).cum_max().shift(1, fill_value=BEFORE_TIME)
        newest = pl.max_horizontal(newest, pl.lit(state.newest_us))
        return rows.select((newest - self.delay_us).alias("now"))["now"]

    def advance(self, state: SessionState, watermark_us: int) -> tuple[SessionState, Output]:
        watermark_us = max(watermark_us, state.watermark_us)
        state, due = self._due(state, watermark_us)
        if due is None and watermark_us == state.watermark_us:
            return state, NOTHING
        frames: list[pl.DataFrame] = []
        late, beyond = None, 0
        if due is not None:
            excess = due[FOLDS].fill_null(value=False) if FOLDS in due.columns else None
            known = folded(due, excess, self.frame.keys).drop(FOLDS, strict=False)
            state, frames, late = self._overdue(state, known)
            missed = due[ROW].is_in(late[ROW].implode())
            late = due.filter(missed)
            beyond = 0 if excess is None else rows_in(excess & ~missed)
        state = replace(state, watermark_us=watermark_us)
        if state.spans is not None:
            closing = ~pl.col(CLOSED) & (pl.col(LAST) + self.gap_us <= watermark_us)
            if state.spans.select(closing.any()).item():
                state, frame = self._put_out(state, closing, final=True)
                frames.append(frame)
            state = self._without_gone(state)
        return state, self._output(frames, late, beyond)

    def _output(self, frames: Sequence[pl.DataFrame], late: pl.DataFrame | None, beyond: int = 0) -> Output:
        """Results by the instant at which each was known, and late rows in the order in which they came."""
        out: tuple[pl.DataFrame, ...] = ()
        if frames:
            together = pl.concat(frames) if len(frames) > 1 else frames[0]
            out = (together.sort(AT, REVISES, SEEN, maintain_order=True).drop(AT, REVISES, SEEN),)
        if late is None or not late.height:
            return Output(out, beyond=beyond) if out or beyond else NOTHING
        told = self.frame.late(late, pl.col(EVENT_TIME), pl.col(EVENT_TIME) + self.gap_us)
        return Output(out, (told,), (late[ROW_ORDER],), beyond=beyond)

    def early(self, state: SessionState) -> tuple[SessionState, Output]:
        if state.spans is None:
            return state, NOTHING
        changed = pl.col(CHANGED) & (pl.col(LAST) + self.gap_us > state.watermark_us)
        if not state.spans.select(changed.any()).item():
            return state, NOTHING
        state, frame = self._put_out(state, changed, final=False)
        return state, self._output([frame], None)
