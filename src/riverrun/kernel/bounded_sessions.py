"""Aggregates over sessions of limited length.

Rows are taken in the order of event time (`riverrun.kernel.in_order`), so that a session only ever grows at
its end. One that goes on is cut every `maximum` from its first row on. What is remembered of a key is its
last session, until the gap after it is over: the next row may be part of the same chain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.in_order import KEY, NONE_WAITING, Waiting, in_time, numbered
from riverrun.kernel.key_limit import Instants, beyond_room, folded, known_until, rows_in
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES, References
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Session
from riverrun.windows.watermark import BEFORE_TIME

#: The first event time of the chain that a session is cut from, the last of the session, its end.
ORIGIN = f"{PARTIAL_PREFIX}origin"
LAST = f"{PARTIAL_PREFIX}last"
ENDS = f"{PARTIAL_PREFIX}ends"
#: The session that the chain of a key is in, before the rows of a turn.
OPEN = f"{PARTIAL_PREFIX}open"
CHAIN = f"{PARTIAL_PREFIX}chain"
PIECE = f"{PARTIAL_PREFIX}piece"


@dataclass(frozen=True, slots=True)
class BoundedState:
    """What is remembered.

    Parameters
    ----------
    waiting : rows that the watermark has not passed.
    spans : start (`WINDOW`), keys, `ORIGIN` and `LAST` of the last session of each key whose gap is not over.
    partials : by start and keys, those of the sessions that are not put out.
    """

    waiting: Waiting = NONE_WAITING
    spans: pl.DataFrame | None = None
    partials: Partials | None = None
    references: References = NO_REFERENCES
    watermark_us: int = BEFORE_TIME


class BoundedSessions:
    """The operator for session windows with a maximum."""

    def __init__(self, window: Session, frame: WindowFrame, program: Program, *, max_keys: int) -> None:
        assert window.maximum_us is not None
        self.gap_us, self.maximum_us = window.gap_us, window.maximum_us
        self.frame = frame
        self.program = program
        self.max_keys = max_keys
        self._by_key = list(frame.keys) or [KEY]
        self._by = [WINDOW, *self._by_key]
        self._start, self._end = pl.col(WINDOW), pl.col(ENDS)

    def empty(self) -> BoundedState:
        return BoundedState()

    def rows(self, state: BoundedState) -> int:
        return state.waiting.rows + (0 if state.spans is None else state.spans.height)

    def oldest_us(self, state: BoundedState) -> int:
        """Before this instant begins no window that may still come out."""
        first = None if state.spans is None else state.spans[WINDOW].min()
        return min(first, state.watermark_us) if isinstance(first, int) else state.watermark_us

    def next_close_us(self, state: BoundedState) -> int | None:
        first_us = state.waiting.first_us
        found = [] if first_us is None else [max(first_us + 1, state.watermark_us)]
        if state.spans is not None:
            ends = state.spans.select(self._ends())[ENDS]
            soonest = ends.filter(ends > state.watermark_us).min()
            found += [soonest] if isinstance(soonest, int) else []
        return min(found, default=None)

    def step(self, state: BoundedState, frame: pl.DataFrame) -> tuple[BoundedState, Output]:
        rows, out = in_time(self.frame, self.frame.ready(frame), state.watermark_us)
        return replace(state, waiting=state.waiting.added(rows)), out

    def early(self, state: BoundedState) -> tuple[BoundedState, Output]:
        return state, NOTHING

    def advance(self, state: BoundedState, watermark_us: int) -> tuple[BoundedState, Output]:
        before_us, upto_us = state.watermark_us, max(state.watermark_us, watermark_us)
        rows, waiting = state.waiting.passed(upto_us)
        state = replace(state, waiting=waiting, watermark_us=upto_us)
        excess = None
        if rows is not None:
            excess = self._excess(state, rows)
            state = self._taken(state, folded(rows, excess, self.frame.keys))
        if state.spans is None or state.partials is None:
            return state, NOTHING
        spans = state.spans.with_columns(self._ends())
        due = spans.filter((pl.col(ENDS) > before_us) & (pl.col(ENDS) <= upto_us))
        frames = (self._results(state.partials, due),) if due.height else ()
        out = Output(frames, beyond=rows_in(excess)) if frames or excess is not None else NOTHING
        return self._remembering(state, spans), out

    # -- rows in ------------------------------------------------------------------------------------

    def _ends(self) -> pl.Expr:
        """The end of a session: after the gap, and where it is cut at the latest."""
        cut = self._cut(pl.col(WINDOW)) + self.maximum_us
        return pl.min_horizontal(pl.col(LAST) + self.gap_us, cut).alias(ENDS)

    def _cut(self, time: pl.Expr) -> pl.Expr:
        """Where the piece of a chain begins that holds an instant."""
        return time - (time - pl.col(ORIGIN)) % self.maximum_us

    def _excess(self, state: BoundedState, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit. A key is known until the gap behind its last row is over."""
        keys = self.frame.keys
        if not keys:
            return None
        held = None if state.spans is None else known_until(state.spans, keys, pl.col(LAST) + self.gap_us)
        times = rows[EVENT_TIME]
        return beyond_room(held, rows, keys, self.max_keys, Instants(times, times + self.gap_us))

    def _taken(self, state: BoundedState, rows: pl.DataFrame) -> BoundedState:
        rows = self._in_sessions(state, rows)
        partials, references = self.program.of_rows(rows, self._by, state.references)
        spans = rows.select(*self._by, ORIGIN, pl.col(EVENT_TIME).alias(LAST))
        if state.spans is not None and state.partials is not None:
            spans = pl.concat([state.spans, spans])
            partials = Partials.concat([state.partials, partials])
        spans = spans.group_by(self._by, maintain_order=True).agg(pl.col(ORIGIN).first(), pl.col(LAST).max())
        merged = self.program.merge([partials], self._by)
        return replace(state, spans=spans, partials=merged, references=references)

    def _in_sessions(self, state: BoundedState, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the start of their session (`WINDOW`) and the `ORIGIN` of its chain."""
        rows, _ = numbered(rows, self.frame.keys)
        if state.spans is None:
            unknown = pl.lit(None, pl.Int64)
            rows = rows.with_columns(unknown.alias(ORIGIN), unknown.alias(LAST), unknown.alias(OPEN))
        else:
            known = state.spans.unique(self._by_key, keep="last", maintain_order=True)
            known = known.select(*self._by_key, ORIGIN, LAST, pl.col(WINDOW).alias(OPEN))
            rows = rows.join(known, on=self._by_key, how="left", nulls_equal=True, maintain_order="left")
        time = pl.col(EVENT_TIME)
        before = time.shift(1).over(KEY).fill_null(pl.col(LAST))
        begins = (time - before >= self.gap_us).fill_null(value=True)
        rows = rows.with_columns(begins.cast(pl.Int64).cum_sum().over(KEY).alias(CHAIN))
        origin = pl.when(pl.col(CHAIN) > 0).then(time.first().over(KEY, CHAIN)).otherwise(pl.col(ORIGIN))
        rows = rows.with_columns(origin.alias(ORIGIN)).with_columns(self._cut(time).alias(PIECE))
        goes_on = (pl.col(CHAIN) == 0) & (self._cut(pl.col(OPEN)) == pl.col(PIECE))
        first = time.first().over(KEY, CHAIN, PIECE)
        return rows.with_columns(pl.when(goes_on).then(pl.col(OPEN)).otherwise(first).alias(WINDOW))

    # -- results out --------------------------------------------------------------------------------

    def _results(self, partials: Partials, due: pl.DataFrame) -> pl.DataFrame:
        due = due.sort(ENDS, maintain_order=True)
        wide = due.join(partials.wide, on=self._by, how="left", nulls_equal=True, maintain_order="left")
        values = self.program.results(
            Partials(wide, {name: self._of(table, due) for name, table in partials.long.items()}),
            self._by,
            self._start,
            self._end,
            keep=[ENDS],
        )
        return self.frame.results(values, values[WINDOW], values[ENDS])

    def _remembering(self, state: BoundedState, spans: pl.DataFrame) -> BoundedState:
        """Without sessions that are put out, but for the last of a chain that may go on."""
        alive = spans.filter(pl.col(LAST) + self.gap_us > state.watermark_us)
        alive = alive.unique(self._by_key, keep="last", maintain_order=True)
        still_open = alive.filter(pl.col(ENDS) > state.watermark_us)
        assert state.partials is not None
        partials = state.partials.map(lambda f: self._of(f, still_open))
        return replace(state, spans=alive.drop(ENDS), partials=partials)

    def _of(self, frame: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
        return frame.join(spans, on=self._by, how="semi", nulls_equal=True, maintain_order="left")
