"""What windows of every row have in common: rows wait, and come out with the aggregates of their window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import polars as pl

from riverrun.kernel.in_order import NONE_WAITING, Waiting, in_time
from riverrun.kernel.key_limit import Instants, beyond_room, folded, known_for_ever, known_until, rows_in
from riverrun.kernel.keyed import first_of_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.runs import END
from riverrun.kernel.window_frame import WindowFrame
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import Program
from riverrun.windows.assign import WINDOW
from riverrun.windows.describe import Trailing
from riverrun.windows.watermark import BEFORE_TIME

#: So many rows are worked through at once.
PIECE_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class EachRowState:
    """The rows that the watermark has not passed."""

    waiting: Waiting = NONE_WAITING
    watermark_us: int = BEFORE_TIME


S = TypeVar("S", bound=EachRowState)


class EachRow(ABC, Generic[S]):
    """An operator that puts out every row, once the watermark has passed it.

    Parameters
    ----------
    frame : how keys, event time and result columns are made.
    piece_rows : so many rows are worked through at once.
    max_keys : rows of further keys are folded into one.
    """

    def __init__(
        self, window: Trailing, frame: WindowFrame, program: Program, piece_rows: int, max_keys: int
    ) -> None:
        self.period_us = window.period_us
        self.frame = frame
        self.program = program
        self.piece_rows = piece_rows
        self.max_keys = max_keys
        self._end = pl.col(WINDOW)
        self._start = pl.lit(None, pl.Int64) if self.period_us is None else self._end - self.period_us

    def next_close_us(self, state: S) -> int | None:
        first_us = state.waiting.first_us
        return None if first_us is None else max(first_us + 1, state.watermark_us)

    def step(self, state: S, frame: pl.DataFrame) -> tuple[S, Output]:
        rows, out = in_time(self.frame, self.frame.ready(frame), state.watermark_us, self.period_us or 0)
        return replace(state, waiting=state.waiting.added(rows)), out

    def early(self, state: S) -> tuple[S, Output]:
        return state, NOTHING

    def advance(self, state: S, watermark_us: int) -> tuple[S, Output]:
        upto_us = max(state.watermark_us, watermark_us)
        rows, waiting = state.waiting.passed(upto_us)
        state = replace(state, waiting=waiting, watermark_us=upto_us)
        if rows is None:
            return state, NOTHING
        frames, beyond = [], 0
        for piece in self._pieces(rows):
            excess = self._excess(state, piece)
            state, frame = self._put_out(state, folded(piece, excess, self.frame.keys))
            frames.append(frame)
            beyond += rows_in(excess)
        return state, Output(frames=tuple(frames), beyond=beyond)

    def _pieces(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Some rows at a time; those of one instant stay together."""
        begin = 0
        while begin < rows.height:
            last = rows[EVENT_TIME][min(begin + self.piece_rows, rows.height) - 1]
            end = int(rows[EVENT_TIME].search_sorted(last, side="right"))
            yield rows[begin:end]
            begin = end

    def _excess(self, state: S, piece: pl.DataFrame) -> pl.Series | None:
        """The rows of keys beyond the limit. A key is known as long as a window may hold a row of it."""
        keys = self.frame.keys
        known = self._keys_at_most(state)
        if not keys or known + piece.height <= self.max_keys:
            return None
        if known + first_of_keys(piece, keys).height <= self.max_keys:
            return None
        times = piece[EVENT_TIME]
        if self.period_us is None:
            until = pl.Series([END], dtype=pl.Int64).new_from_index(0, piece.height)
        else:
            until = times + self.period_us
        return beyond_room(self._known(state), piece, keys, self.max_keys, Instants(times, until))

    @abstractmethod
    def _keys_at_most(self, state: S) -> int:
        """At least as many as the keys of which something is remembered; costs nothing."""

    @abstractmethod
    def _known(self, state: S) -> pl.DataFrame | None:
        """The keys of which something is remembered, with `UNTIL`."""

    def _until(self, rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """The keys of some rows, and when the last window ends that may hold one of them."""
        if self.period_us is None:
            return known_for_ever(rows, keys)
        return known_until(rows, keys, pl.col(EVENT_TIME) + self.period_us)

    @abstractmethod
    def _put_out(self, state: S, piece: pl.DataFrame) -> tuple[S, pl.DataFrame]:
        """The rows of a piece with the aggregates of their windows."""

    def _results(self, piece: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
        """Keys, event time, the other columns of the row, aggregates: what users see."""
        own = [*self.frame.keys, self.frame.time, *self.frame.columns]
        return piece.select(list(dict.fromkeys(own))).hstack(values.select(list(self.program.aggregates)))


def changes(column: str) -> pl.Expr:
    """Where a column differs from the row before; true for the first row."""
    return (pl.col(column) != pl.col(column).shift(1)).fill_null(value=True)
