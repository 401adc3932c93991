"""Rolling aggregates that are told from the rows of each window: quantiles, decayed means, distinct values.

What is remembered are the rows of the last period. By key and time, a window is a stretch of them; the
stretches of many windows are laid one behind the other, and each is a group of its own, as the windows of a
tumbling aggregate are. So it costs one pass over as many rows as all windows hold. Where these are too many,
all is merged row by row (`riverrun.kernel.trailing`), which costs the same however long a window is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.each_row import PIECE_ROWS, EachRow, EachRowState, changes
from riverrun.kernel.held_rows import appended, cut, series_of
from riverrun.kernel.in_order import KEY
from riverrun.kernel.key_numbers import OLD, renumbered, with_new_numbers, with_numbers
from riverrun.kernel.trailing import PLACE, TrailingState, TrailingWindows
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME, PARTIAL_PREFIX
from riverrun.stats.program import Program
from riverrun.stats.windowed import FIRST, LAST, LENGTH
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing

#: Windows of more rows than this, on average, are merged.
LONG_WINDOW_ROWS = 500
#: The rows of so many windows are laid out at once as have about this many together.
CHUNK_ROWS = 262_144

#: The number of a window among those that are laid out at once.
NUMBER = f"{PARTIAL_PREFIX}of_window"
AT = f"{PARTIAL_PREFIX}at"


@dataclass(frozen=True, slots=True)
class StretchState(EachRowState):
    """What is remembered.

    Parameters
    ----------
    keys : the number (`KEY`) of each key.
    held : the rows of the last period in the order of time: `KEY`, `EVENT_TIME`, and what aggregates read.
    merged : while windows are merged row by row, the state of that.
    merged_rows : so many rows will be merged before it is seen whether windows are short again.
    """

    keys: pl.DataFrame | None = None
    held: tuple[pl.DataFrame, ...] = ()
    merged: TrailingState | None = None
    merged_rows: int = 0


class StretchWindows(EachRow[StretchState]):
    """The operator for rolling aggregates that are not told by sums.

    Parameters
    ----------
    long_window_rows, chunk_rows : see `LONG_WINDOW_ROWS` and `CHUNK_ROWS`.
    """

    def __init__(
        self,
        window: Trailing,
        frame: WindowFrame,
        program: Program,
        *,
        max_keys: int,
        long_window_rows: int = LONG_WINDOW_ROWS,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        super().__init__(window, frame, program, PIECE_ROWS, max_keys)
        assert window.period_us is not None
        self.merging = TrailingWindows(window, frame, program, max_keys=max_keys)
        self.long_window_rows = long_window_rows
        self.chunk_rows = chunk_rows
        self._period_us = window.period_us
        self._kept = list(dict.fromkeys([KEY, EVENT_TIME, *program.roots]))

    def empty(self) -> StretchState:
        return StretchState()

    def rows(self, state: StretchState) -> int:
        held = sum(frame.height for frame in state.held)
        return state.waiting.rows + held + (0 if state.merged is None else self.merging.rows(state.merged))

    def _keys_at_most(self, state: StretchState) -> int:
        return 0 if state.keys is None else state.keys.height

    def _known(self, state: StretchState) -> pl.DataFrame | None:
        if state.keys is None or not state.held:
            return None
        rows = pl.concat([frame.select(KEY, EVENT_TIME) for frame in state.held])
        return self._until(rows, [KEY]).join(state.keys, on=KEY, how="inner").drop(KEY)

    def _put_out(self, state: StretchState, piece: pl.DataFrame) -> tuple[StretchState, pl.DataFrame]:
        state = _without_old_keys(state)
        rows, keys = with_numbers(piece, self.frame.keys, state.keys)
        fresh = rows.with_row_index(PLACE).select(PLACE, *self._kept)
        values = self._told(state, fresh) if state.merged_rows <= 0 else None
        if values is None:
            state, values = self._merged(state, piece)
        else:
            state = replace(state, merged=None)
        gone_us = piece[EVENT_TIME][-1] - self._period_us
        held = appended(cut(state.held, gone_us)[1], cut([fresh.select(self._kept)], gone_us)[1])
        return replace(state, keys=keys, held=held), self._results(piece, values)

    # -- from the rows of windows -------------------------------------------------------------------

    def _told(self, state: StretchState, fresh: pl.DataFrame) -> pl.DataFrame | None:
        """The results of new rows' windows, in the order of these; ``None`` if windows are too long."""
        held = state.held
        if self.frame.keys and sum(frame.height for frame in held) > fresh.height:
            own = pl.col(KEY).is_in(fresh[KEY].unique().implode())
            held = tuple(frame.filter(own) for frame in held)
        series = series_of(held, fresh, self._period_us, keyed=bool(self.frame.keys))
        if series is None:
            return None
        ends = series.select(PLACE, EVENT_TIME, FIRST, LAST, LENGTH).filter(pl.col(PLACE).is_not_null())
        # Rows of one instant have the same window.
        windows = ends.filter(changes(LAST))
        if windows[LENGTH].sum() > self.long_window_rows * fresh.height:
            return None
        rows = series.select(self._kept)
        found = pl.concat([self._results_of(rows, some) for some in self._chunks(windows)])
        numbers = ends.select(PLACE, (changes(LAST).cum_sum().cast(pl.Int64) - 1).alias(NUMBER)).sort(PLACE)
        return found[numbers[NUMBER]]

    def _chunks(self, windows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Some windows at a time, so that their rows are not many more than `chunk_rows`."""
        chunk = (windows[LENGTH].cum_sum() - 1) // self.chunk_rows
        begin = 0
        while begin < windows.height:
            end = int(chunk.search_sorted(chunk[begin], side="right"))
            yield windows[begin:end]
            begin = end

    def _results_of(self, series: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
        places = pl.int_ranges(pl.col(FIRST), pl.col(LAST) + 1, dtype=pl.Int64).alias(AT)
        laid = windows.with_row_index(NUMBER).select(NUMBER, places).explode(AT)
        rows = laid.select(pl.col(NUMBER).set_sorted()).hstack(series[laid[AT]])
        partials = self.program.of_stretches(rows, NUMBER)
        wide = partials.wide.with_columns(windows[EVENT_TIME].alias(WINDOW))
        found = self.program.results(Partials(wide, partials.long), [NUMBER], self._start, self._end)
        return found.select(list(self.program.aggregates))

    # -- by merging ---------------------------------------------------------------------------------

    def _merged(self, state: StretchState, piece: pl.DataFrame) -> tuple[StretchState, pl.DataFrame]:
        """The results of the new rows' windows, merged row by row.

        To begin with it the held rows are merged, too, so it goes on for as many rows.
        """
        merged, left = state.merged, state.merged_rows
        if merged is None:
            merged, held = self.merging.empty(), self._with_keys(state)
            left = 0 if held is None else held.height
            if held is not None:
                merged, _ = self.merging.told(merged, held)
        merged, values = self.merging.told(merged, piece)
        return replace(state, merged=merged, merged_rows=left - piece.height), values

    def _with_keys(self, state: StretchState) -> pl.DataFrame | None:
        """The held rows with their keys."""
        if not state.held:
            return None
        rows = pl.concat(state.held)
        if state.keys is None:
            return rows.drop(KEY)
        own = rows.select(pl.exclude(*self.frame.keys))
        return own.join(state.keys, on=KEY, how="left", maintain_order="left").drop(KEY)


def _without_old_keys(state: StretchState) -> StretchState:
    """Without the numbers of keys that have no rows any more, once these are many."""
    if state.keys is None or not state.held:
        return state
    kept = renumbered(state.keys, state.held)
    if kept is None:
        return state
    held = tuple(with_new_numbers(frame, kept) for frame in state.held)
    return replace(state, keys=kept.drop(OLD), held=held)
