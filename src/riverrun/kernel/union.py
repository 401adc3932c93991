"""Rows of several streams as one: nothing is remembered, rows are only brought into one shape."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.batch import HIDDEN_PREFIX, ROW_ORDER
from riverrun.kernel.operator import NOTHING, Output

#: More than the steps of a plan.
STEPS = 1 << 20


class UnionRows:
    """The operator for unions.

    Rows of sources carry their place among all rows (`ROW_ORDER`). Results of earlier steps do not; they get
    a place before all of these, by the number of their step, so that rows of one event time have an order
    behind the union, whatever arrived first. Within one step, results come in a fixed order anyway.

    Parameters
    ----------
    columns : in the order of the first input.
    places : a number for each input that no other step has.
    """

    def __init__(self, columns: Sequence[str], places: Sequence[int]) -> None:
        self.columns = list(columns)
        self.places = tuple(places)

    def empty(self) -> tuple[()]:
        return ()

    def step_side(self, state: tuple[()], frame: pl.DataFrame, side: int) -> tuple[tuple[()], Output]:
        hidden = [name for name in frame.columns if name.startswith(HIDDEN_PREFIX)]
        rows = frame.select(*self.columns, *hidden)
        if ROW_ORDER not in hidden:
            place = pl.Series(ROW_ORDER, [self.places[side] - STEPS], dtype=pl.Int64)
            rows = rows.hstack([place.new_from_index(0, rows.height)])
        return state, Output(frames=(rows,))

    def advance(self, state: tuple[()], watermark_us: int) -> tuple[tuple[()], Output]:
        del watermark_us
        return state, NOTHING

    def early(self, state: tuple[()]) -> tuple[tuple[()], Output]:
        return state, NOTHING

    def next_close_us(self, state: tuple[()]) -> int | None:
        del state
        return None

    def rows(self, state: tuple[()]) -> int:
        del state
        return 0
