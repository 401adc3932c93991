"""Rolling aggregates that are told by sums of whole numbers: counts, sums, moments, extremes, first and last.

What is remembered are the rows of the last period. All windows of a batch are told at once from running sums
over these and the new rows (`riverrun.kernel.window_sums`). Whatever cannot be told to the last digits in this
way is computed again: a few windows from their rows; when they are many, all by merging row by row for a while
(`riverrun.kernel.paired_trailing`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.each_row import PIECE_ROWS, EachRow, EachRowState
from riverrun.kernel.in_order import KEY
from riverrun.kernel.key_numbers import OLD, renumbered, with_numbers
from riverrun.kernel.paired_trailing import AT, PLACE, PairedState, PairedTrailing
from riverrun.kernel.window_frame import WindowFrame
from riverrun.kernel.window_sums import window_parts, with_stretches
from riverrun.stats.paired import can_be_paired
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Partials, Program, References
from riverrun.stats.windowed import FIRST, INDEX, LAST, LENGTH
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing

#: Windows that need it are computed again from their rows as long as these are at most so many times all rows.
AGAIN_TIMES = 2
#: Times of different keys are put one behind the other up to here.
LARGEST_INDEX = 2**62

#: The number of a window that is computed again.
GROUP = f"{PARTIAL_PREFIX}group"
ABOUT_MEANS = References({}, by_group=True)


@dataclass(frozen=True, slots=True)
class RollingState(EachRowState):
    """What is remembered.

    Parameters
    ----------
    keys : the number (`KEY`) of each key.
    held : the rows of the last period by key and time: `KEY`, `EVENT_TIME`, and what aggregates read.
    merged : while windows are merged row by row, the state of that.
    merged_rows : so many rows will be merged before sums are tried again.
    """

    keys: pl.DataFrame | None = None
    held: pl.DataFrame | None = None
    merged: PairedState | None = None
    merged_rows: int = 0


class RollingWindows(EachRow[RollingState]):
    """The operator for rolling aggregates all of whose partials say what they need (`Program.windowed`)."""

    def __init__(self, window: Trailing, frame: WindowFrame, program: Program) -> None:
        super().__init__(window, frame, program, PIECE_ROWS)
        assert window.period_us is not None
        self.merging = PairedTrailing(window, frame, program)
        self._period_us = window.period_us
        self._period = f"{window.period_us}i"
        self._kept = list(dict.fromkeys([KEY, EVENT_TIME, *program.roots]))

    def empty(self) -> RollingState:
        return RollingState()

    def rows(self, state: RollingState) -> int:
        held = 0 if state.held is None else state.held.height
        return state.waiting.rows + held + (0 if state.merged is None else self.merging.held(state.merged))

    def _put_out(self, state: RollingState, piece: pl.DataFrame) -> tuple[RollingState, pl.DataFrame]:
        state = _without_old_keys(state)
        rows, keys = with_numbers(piece, self.frame.keys, state.keys)
        fresh = rows.with_row_index(PLACE).select(PLACE, *self._kept)
        series = self._series(state.held, fresh)
        wide = self._told(series, fresh.height) if state.merged_rows <= 0 else None
        if wide is None:
            state, wide = self._merged(state, fresh)
        else:
            state = replace(state, merged=None)
        wide = wide.select(*self.merging.paired.columns, piece[EVENT_TIME].alias(WINDOW), fresh[PLACE])
        values = self.program.results(Partials(wide, {}), [PLACE], self._start, self._end)
        newest = piece[EVENT_TIME][-1]
        held = series.filter(pl.col(EVENT_TIME) > newest - self._period_us).select(self._kept)
        return replace(state, keys=keys, held=held), self._results(piece, values)

    def _series(self, held: pl.DataFrame | None, fresh: pl.DataFrame) -> pl.DataFrame:
        """Old and new rows by key and time; with `INDEX`, if there is room for it."""
        rows = fresh if held is None else pl.concat([held, fresh], how="diagonal").select(fresh.columns)
        if not self.frame.keys:
            return rows.with_columns(pl.col(EVENT_TIME).set_sorted().alias(INDEX))
        first, last, keys = rows.select(
            pl.col(EVENT_TIME).min().alias("first"), pl.col(EVENT_TIME).max().alias("last"), pl.col(KEY).max()
        ).row(0)
        apart = last - first + self._period_us + 1
        if (keys + 1) * apart > LARGEST_INDEX:
            return rows.sort(KEY, EVENT_TIME, maintain_order=True)
        index = (pl.col(EVENT_TIME) - first) + pl.col(KEY) * apart
        return rows.with_columns(index.alias(INDEX)).sort(INDEX, maintain_order=True)

    def _told(self, series: pl.DataFrame, count: int) -> pl.DataFrame | None:
        """The partials of the windows that end with the new rows, in their order, if sums can tell them."""
        if INDEX not in series.columns:
            return None
        ready = series.with_columns(self.program.computed) if self.program.computed else series
        needs = self.program.windowed(ready, self._period)
        assert needs is not None
        places = self._places(series, count)
        ready = with_stretches(ready, self._period)
        wide, doubtful = window_parts(needs, ready, places)
        wide = wide.select(pl.col(name).cast(dtype) for name, dtype in self.merging.paired.schema.items())
        return self._again(wide, doubtful, ready, places) if doubtful.any() else wide

    def _places(self, series: pl.DataFrame, count: int) -> pl.Series:
        """Where the new rows stand."""
        if not self.frame.keys:
            return pl.int_range(series.height - count, series.height, eager=True)
        at = series.select(pl.int_range(pl.len()).filter(pl.col(PLACE).is_not_null())).to_series()
        return pl.zeros(count, pl.Int64, eager=True).scatter(series[PLACE].drop_nulls(), at)

    def _again(
        self, wide: pl.DataFrame, doubtful: pl.Series, series: pl.DataFrame, places: pl.Series
    ) -> pl.DataFrame | None:
        """With doubtful windows computed again from their rows, unless these are too many."""
        spans = series.select(FIRST, LAST, LENGTH)[places.filter(doubtful)]
        if spans[LENGTH].sum() > AGAIN_TIMES * series.height:
            return None
        rows = spans.with_row_index(GROUP).select(
            GROUP, pl.int_ranges(pl.col(FIRST), pl.col(LAST) + 1, dtype=pl.Int64).alias(AT)
        )
        rows = rows.explode(AT)
        rows = rows.select(GROUP).hstack(series.select(self._kept)[rows[AT]])
        again, _ = self.program.of_rows(rows, [GROUP], ABOUT_MEANS)
        both = pl.concat([wide, again.wide.select(wide.columns)])
        instead = wide.height - 1 + doubtful.cum_sum().cast(pl.Int64)
        own = pl.int_range(wide.height, eager=True)
        return both[pl.select(pl.when(doubtful).then(instead).otherwise(own)).to_series()]

    def _merged(self, state: RollingState, fresh: pl.DataFrame) -> tuple[RollingState, pl.DataFrame]:
        """The partials of the new rows' windows, merged row by row."""
        merged, left = state.merged, state.merged_rows
        if merged is None or left <= 0:
            merged, left = self.merging.empty(), fresh.height
            if state.held is not None and state.held.height:
                held = state.held.sort(EVENT_TIME, maintain_order=True).with_row_index(PLACE)
                merged, _ = self.merging.merged(merged, held)
                left = max(left, held.height)
        merged, wide = self.merging.merged(merged, fresh)
        return replace(state, merged=merged, merged_rows=left - fresh.height), wide


def can_be_summed(program: Program) -> bool:
    """Whether all partials of trailing windows can be told by sums."""
    ready = program.empty.with_columns(program.computed) if program.computed else program.empty
    return program.windowed(ready, "1i") is not None and can_be_paired(program)


def _without_old_keys(state: RollingState) -> RollingState:
    """Without the numbers of keys that have no rows any more, once these are many."""
    if state.keys is None or state.held is None or state.merged_rows > 0:
        return state
    kept = renumbered(state.keys, state.held[KEY])
    if kept is None:
        return state
    held = state.held.rename({KEY: OLD}).join(kept.select(OLD, KEY), on=OLD, how="left", maintain_order="left")
    return replace(state, keys=kept.drop(OLD), held=held.select(state.held.columns), merged=None)
