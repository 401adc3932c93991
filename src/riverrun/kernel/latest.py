"""The newest row of each key by event time; what changes in a batch comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import ROW_ORDER
from riverrun.kernel.key_limit import beyond_limit, rows_in
from riverrun.kernel.keyed import of_other_keys
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW, TIME, Timeline

HELD = "__p_held_"


@dataclass(frozen=True, slots=True)
class LatestState:
    """What is remembered: for each key, when its newest row was (and its place, to settle ties)."""

    held: pl.DataFrame | None = None


class Latest:
    """The operator behind `Stream.latest`.

    Parameters
    ----------
    ordered : whether rows carry their place, because several partitions may hold rows of one key; of rows
        of one time the one with the larger place is the newer, else the one that came later.
    max_keys : so many keys are remembered; rows of further ones do not come out.
    """

    def __init__(self, by: Sequence[str], timeline: Timeline, *, ordered: bool, max_keys: int) -> None:
        self.by = list(by)
        self.timeline = timeline
        self.age = [TIME, ROW_ORDER] if ordered else [TIME]
        self.max_keys = max_keys

    def empty(self) -> LatestState:
        return LatestState()

    def rows(self, state: LatestState) -> int:
        return 0 if state.held is None else state.held.height

    def next_close_us(self, state: LatestState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: LatestState) -> tuple[LatestState, Output]:
        return state, NOTHING

    def advance(self, state: LatestState, watermark_us: int) -> tuple[LatestState, Output]:  # noqa: ARG002
        return state, NOTHING

    def step(self, state: LatestState, frame: pl.DataFrame) -> tuple[LatestState, Output]:
        rows = frame.with_columns(self.timeline.of(frame)).select(*self.by, *self.age).with_row_index(ROW)
        excess = beyond_limit(state.held, rows, self.by, self.max_keys)
        if excess is not None:
            rows = rows.filter(~excess)
        newest = rows.filter(pl.col(TIME).is_not_null()).sort(self.age, maintain_order=True)
        newest = newest.unique(self.by, keep="last", maintain_order=True)
        if state.held is not None:
            newest = self._newer(newest, state.held)
        if not newest.height:
            return state, Output(beyond=rows_in(excess)) if excess is not None else NOTHING
        held = newest.select(*self.by, *self.age)
        if state.held is not None:
            held = pl.concat([of_other_keys(state.held, held, self.by), held])
        return replace(state, held=held), Output((frame[newest[ROW].sort()],), beyond=rows_in(excess))

    def _newer(self, rows: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
        """The rows that are not older than what is held of their key."""
        known = held.rename({name: HELD + name for name in self.age})
        both = rows.join(known, on=self.by, how="left", nulls_equal=True, maintain_order="left")
        newer = pl.lit(value=True)
        for name in reversed(self.age):
            mine, other = pl.col(name), pl.col(HELD + name)
            newer = (mine > other) | ((mine == other) & newer)
        return both.filter(newer.fill_null(value=True)).select(rows.columns)
