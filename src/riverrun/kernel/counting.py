"""Aggregates over windows of a fixed number of rows for each key.

Rows are counted in the order of event time (`riverrun.kernel.in_order`). As with windows of time, a row goes
into one *pane* of gcd(size, every) rows, and panes are merged into the windows that they belong to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.in_order import KEY, NONE_WAITING, Waiting, in_time, numbered
from riverrun.kernel.key_limit import Instants, beyond_room, folded, known_for_ever, rows_in
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.runs import END
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES, References
from riverrun.windows.assign import PANE, WINDOW
from riverrun.windows.describe import Counting
from riverrun.windows.watermark import AFTER_TIME, BEFORE_TIME

#: How many rows of a key came before: a row's number, and a key's count.
COUNT = f"{PARTIAL_PREFIX}count"
FIRST = f"{PARTIAL_PREFIX}first"
LAST = f"{PARTIAL_PREFIX}last"


@dataclass(frozen=True, slots=True)
class CountingState:
    """What is remembered.

    Parameters
    ----------
    waiting : rows that the watermark has not passed.
    counts : by keys, how many rows came so far.
    spans : by window (the number of its first row) and keys, the event times of its first and last row.
    partials : the same windows' partials.
    """

    waiting: Waiting = NONE_WAITING
    counts: pl.DataFrame | None = None
    spans: pl.DataFrame | None = None
    partials: Partials | None = None
    references: References = NO_REFERENCES
    watermark_us: int = BEFORE_TIME


class CountingWindows:
    """The operator for counting windows."""

    def __init__(self, window: Counting, frame: WindowFrame, program: Program, *, max_keys: int) -> None:
        self.window = window
        self.frame = frame
        self.program = program
        self.max_keys = max_keys
        self._by_key = list(frame.keys) or [KEY]
        self._by = [WINDOW, *self._by_key]
        self._start, self._end = pl.col(FIRST), pl.col(LAST) + 1

    def empty(self) -> CountingState:
        return CountingState()

    def rows(self, state: CountingState) -> int:
        kept = [frame.height for frame in (state.counts, state.spans) if frame is not None]
        return state.waiting.rows + sum(kept)

    def oldest_us(self, state: CountingState) -> int:
        """Before this instant begins no window that may still come out."""
        first = None if state.spans is None else state.spans[FIRST].min()
        return min(first, state.watermark_us) if isinstance(first, int) else state.watermark_us

    def next_close_us(self, state: CountingState) -> int | None:
        first_us = state.waiting.first_us
        return None if first_us is None else max(first_us + 1, state.watermark_us)

    def step(self, state: CountingState, frame: pl.DataFrame) -> tuple[CountingState, Output]:
        rows, out = in_time(self.frame, self.frame.ready(frame), state.watermark_us)
        return replace(state, waiting=state.waiting.added(rows)), out

    def early(self, state: CountingState) -> tuple[CountingState, Output]:
        return state, NOTHING

    def advance(self, state: CountingState, watermark_us: int) -> tuple[CountingState, Output]:
        upto_us = max(state.watermark_us, watermark_us)
        rows, waiting = state.waiting.passed(upto_us)
        state = replace(state, waiting=waiting, watermark_us=upto_us)
        excess = None
        if rows is not None:
            excess = self._excess(state, rows)
            state = self._taken(state, folded(rows, excess, self.frame.keys))
        elif upto_us < AFTER_TIME:
            return state, NOTHING
        frames, state = self._put_out(state, everything=upto_us >= AFTER_TIME)
        return state, Output(frames, beyond=rows_in(excess)) if frames or excess is not None else NOTHING

    # -- rows in ------------------------------------------------------------------------------------

    def _excess(self, state: CountingState, rows: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit. What is counted of a key is never forgotten."""
        if not self.frame.keys:
            return None
        held = None if state.counts is None else known_for_ever(state.counts, self.frame.keys)
        times = rows[EVENT_TIME]
        instants = Instants(times, pl.Series([END], dtype=pl.Int64).new_from_index(0, rows.height))
        return beyond_room(held, rows, self.frame.keys, self.max_keys, instants)

    def _taken(self, state: CountingState, rows: pl.DataFrame) -> CountingState:
        rows, counts = self._counted(rows, state.counts)
        pane_rows = math.gcd(self.window.size, self.window.every)
        rows = rows.with_columns((pl.col(COUNT) // pane_rows * pane_rows).alias(PANE))
        by = [PANE, *self._by_key]
        partials, references = self.program.of_rows(rows, by, state.references)
        times = pl.col(EVENT_TIME)
        spans = rows.group_by(by, maintain_order=True).agg(times.first().alias(FIRST), times.last().alias(LAST))
        parts, bounds = partials.map(self._to_windows), self._to_windows(spans)
        if state.partials is not None and state.spans is not None:
            parts = Partials.concat([state.partials, parts])
            bounds = pl.concat([state.spans, bounds])
        return replace(
            state,
            counts=counts,
            spans=bounds.group_by(self._by, maintain_order=True).agg(
                pl.col(FIRST).first(), pl.col(LAST).last()
            ),
            partials=self.program.merge([parts], self._by),
            references=references,
        )

    def _counted(self, rows: pl.DataFrame, before: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows with their numbers in their keys, from 0, and how many rows each key has now."""
        rows, _ = numbered(rows, self.frame.keys)
        number = pl.int_range(pl.len(), dtype=pl.Int64).over(KEY)
        if before is None:
            rows = rows.with_columns(number.alias(COUNT))
        else:
            rows = rows.join(before, on=self._by_key, how="left", nulls_equal=True, maintain_order="left")
            rows = rows.with_columns(pl.col(COUNT).fill_null(0) + number)
        last = rows.group_by(self._by_key, maintain_order=True).agg(pl.col(COUNT).last() + 1)
        if before is None:
            return rows, last
        return rows, pl.concat([before, last]).unique(self._by_key, keep="last", maintain_order=True)

    def _to_windows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows of panes once for each window that they belong to."""
        size, every = self.window.size, self.window.every
        last = pl.col(PANE) // every * every
        first = last - (last - pl.col(PANE) + size - 1) // every * every
        starts = pl.int_ranges(first.clip(0), last + 1, every).alias(WINDOW)
        return frame.with_columns(starts).explode(WINDOW).select(WINDOW, pl.exclude(WINDOW, PANE))

    # -- results out --------------------------------------------------------------------------------

    def _put_out(
        self, state: CountingState, *, everything: bool
    ) -> tuple[tuple[pl.DataFrame, ...], CountingState]:
        """Windows that are full; at the end of the input all that have begun."""
        if state.spans is None or state.partials is None or state.counts is None:
            return (), state
        sized = state.spans.join(
            state.counts, on=self._by_key, how="left", nulls_equal=True, maintain_order="left"
        )
        full = sized[COUNT] >= sized[WINDOW] + self.window.size
        full = full | pl.Series([everything])
        if not full.any():
            return (), state
        done = state.spans.filter(full).sort(LAST, maintain_order=True)
        results = self._results(state.partials, done)
        if everything:
            return (results,), CountingState(watermark_us=state.watermark_us)
        left = state.spans.filter(~full)
        partials = state.partials.map(
            lambda f: f.join(left, on=self._by, how="semi", nulls_equal=True, maintain_order="left")
        )
        return (results,), replace(state, spans=left, partials=partials)

    def _results(self, partials: Partials, done: pl.DataFrame) -> pl.DataFrame:
        wide = done.join(partials.wide, on=self._by, how="left", nulls_equal=True, maintain_order="left")
        long = {
            name: table.join(done, on=self._by, how="semi", nulls_equal=True, maintain_order="left")
            for name, table in partials.long.items()
        }
        values = self.program.results(
            Partials(wide, long), self._by, self._start, self._end, keep=[FIRST, LAST]
        )
        return self.frame.results(values, values[FIRST], values[LAST] + 1)
