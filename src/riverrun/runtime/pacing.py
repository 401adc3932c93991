"""Replaying at a multiple of the pace of event time: which rows go when. Pure; somebody else waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from riverrun.kernel.window_frame import event_times
from riverrun.runtime.pump import Arrival

#: Rows that are due within so long go together.
TICK_US = 20_000


@dataclass(slots=True)
class Pacer:
    """Cuts arrivals into pieces that are due at the same time.

    Parameters
    ----------
    pace : how many times faster than event time.
    time : the column of event time.
    began_us : when the first row goes (monotonic).
    """

    pace: float
    time: str
    began_us: int
    _first_us: int | None = None
    _newest_us: int | None = None

    def pieces(self, arrival: Arrival) -> Iterator[tuple[int, Arrival]]:
        """When to hand out which piece, in order; a row is never due before one that stands before it."""
        times = event_times(arrival.frame, self.time).fill_null(strategy="forward")
        first = times.drop_nulls().head(1).to_list()
        if self._first_us is None and first:
            self._first_us = self._newest_us = first[0]
        if self._first_us is None or not first:
            yield self.began_us, arrival
            return
        ticks = self._ticks(times)
        at = 0
        for length, tick in zip(ticks.struct.field("len"), ticks.struct.field("value"), strict=True):
            yield self.began_us + tick * TICK_US, _piece(arrival, at, length)
            at += length

    def _ticks(self, times: pl.Series) -> pl.Series:
        """How many rows in a row are due in the same tick, as run lengths."""
        assert self._first_us is not None
        reached = times.cum_max().fill_null(self._first_us).clip(lower_bound=self._newest_us)
        newest = reached.max()
        assert isinstance(newest, int)
        self._newest_us = newest
        return ((reached - self._first_us) / (self.pace * TICK_US)).floor().cast(pl.Int64).rle()


def _piece(arrival: Arrival, at: int, length: int) -> Arrival:
    """Some rows; what belongs to no row goes with the first piece, the end with the last."""
    last = at + length == arrival.frame.height
    piece = replace(
        arrival,
        frame=arrival.frame[at : at + length],
        first_row=arrival.first_row + at,
        end=arrival.end and last,
    )
    return piece if at == 0 else replace(piece, rejected=(), blank=0, bytes=0, counters={})
