"""Rows without repetitions: of the rows of a key that lie close together in event time, the first passes.

A row is a duplicate when a row of its key that was accepted before it lies within so much event time of it,
to either side. So the rows that pass are those that a loop over the rows would let pass: each is asked
whether it is near to one that passed.

There is no loop. Time is cut into buckets of ``within``, so that a key has at most one accepted row in each
and a row has to be compared with three. What is new in a batch depends on other rows of the batch: a row
further than ``within`` after the last accepted one is accepted, whatever lies behind, so that each row has
one successor; the chain of successors is found by doubling (Wyllie 1979, list ranking). Rows that came out of
order and are near to none of the chain are a smaller problem of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from riverrun.batch import visible
from riverrun.kernel.operator import NOTHING, Output
from riverrun.kernel.timed import ROW, TIME, Timeline, places, seen_before
from riverrun.windows.watermark import BEFORE_TIME

#: The stretch of time that a row lies in.
BUCKET = "__p_bucket"
#: The time of an accepted row beside that of a row.
NEAR = "__p_near"
GROUP = "__p_group"
TARGET = "__p_target"


@dataclass(frozen=True, slots=True)
class UniqueState:
    """What is remembered.

    Parameters
    ----------
    accepted : keys, `BUCKET` and `TIME` of the rows that have passed and may still be near to others.
    """

    accepted: pl.DataFrame | None = None
    watermark_us: int = BEFORE_TIME


class Unique:
    """The operator that drops repeated rows.

    Parameters
    ----------
    keys : columns that are equal in repetitions.
    within_us : how far apart in event time two rows may be for the later one to be a repetition.
    """

    def __init__(self, keys: Sequence[str], within_us: int, timeline: Timeline) -> None:
        self.keys = list(keys)
        self.within_us = within_us
        self.timeline = timeline

    def empty(self) -> UniqueState:
        return UniqueState()

    def rows(self, state: UniqueState) -> int:
        return 0 if state.accepted is None else state.accepted.height

    def next_close_us(self, state: UniqueState) -> int | None:  # noqa: ARG002
        return None

    def early(self, state: UniqueState) -> tuple[UniqueState, Output]:
        return state, NOTHING

    def step(self, state: UniqueState, frame: pl.DataFrame) -> tuple[UniqueState, Output]:
        kept, refused = self._in_time(state, frame)
        rows = self._ready(kept)
        timeless = rows[TIME].is_null()
        if timeless.any():
            # Without a time a row repeats nothing.
            rows = rows.filter(~timeless)
        fresh = rows if state.accepted is None else rows.filter(~self._near(rows, state.accepted))
        accepted = self._greedy(fresh)
        state = self._remember(state, accepted)
        late = (visible(refused),) if refused.height else ()
        if accepted.height == rows.height:
            return state, Output((kept,), late, places(refused))
        passes = timeless.scatter(accepted[ROW], True)
        repeated = kept.filter(~passes)
        return state, Output((kept.filter(passes),), late, places(refused), places(repeated), (repeated,))

    def advance(self, state: UniqueState, watermark_us: int) -> tuple[UniqueState, Output]:
        """Forget what no row in time can be near to."""
        if watermark_us <= state.watermark_us:
            return state, NOTHING
        accepted = state.accepted
        if accepted is not None:
            oldest_us = watermark_us - 2 * self.within_us
            first = accepted[TIME].min()
            if isinstance(first, int) and first < oldest_us:
                accepted = accepted.filter(pl.col(TIME) >= oldest_us)
        return replace(state, accepted=accepted, watermark_us=watermark_us), NOTHING

    def _in_time(self, state: UniqueState, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Part with rows so far behind that what they might repeat has been forgotten."""
        seen = seen_before(frame, state.watermark_us)
        if seen is None:
            return frame, frame.clear()
        late = (self.timeline.of(frame) + self.within_us < seen).fill_null(value=False)
        return frame.filter(~late), frame.filter(late)

    def _ready(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Keys, time, bucket and place of the rows."""
        time = self.timeline.of(frame)
        bucket = (time // (self.within_us + 1)).alias(BUCKET)
        row = pl.int_range(frame.height, dtype=pl.UInt32, eager=True).alias(ROW)
        return frame.select(self.keys).hstack([bucket, time, row])

    def _remember(self, state: UniqueState, accepted: pl.DataFrame) -> UniqueState:
        if not accepted.height:
            return state
        more = accepted.drop(ROW)
        both = more if state.accepted is None else pl.concat([state.accepted, more])
        return replace(state, accepted=both.rechunk() if both.n_chunks() > 8 else both)

    def _near(self, rows: pl.DataFrame, accepted: pl.DataFrame) -> pl.Series:
        """Whether each row is within reach of an accepted one of its key."""
        near = pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
        first, last = rows[BUCKET].min(), rows[BUCKET].max()
        if not isinstance(first, int) or not isinstance(last, int):
            return near
        at = pl.col(BUCKET)
        for offset in (0, -1, 1):
            others = accepted.filter((at >= first + offset) & (at <= last + offset))
            if not others.height:
                continue
            on = self.keys if first == last else [*self.keys, BUCKET]
            others = others.select(*self.keys, at - offset, pl.col(TIME).alias(NEAR))
            met = rows.select(*self.keys, BUCKET, TIME).join(
                others, on=on, how="left", nulls_equal=True, maintain_order="left"
            )
            near |= met.select(((pl.col(NEAR) - pl.col(TIME)).abs() <= self.within_us).fill_null(value=False))[
                NEAR
            ]
        return near

    def _greedy(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Of rows that are near to no accepted one, those that pass."""
        first, last = rows[TIME].min(), rows[TIME].max()
        if not isinstance(first, int) or not isinstance(last, int):
            return rows
        if last - first <= self.within_us:
            return rows.unique(self.keys, keep="first", maintain_order=True)
        accepted = []
        while rows.height:
            chain = self._chain(rows)
            accepted.append(chain)
            rows = rows.filter(~self._near(rows, chain))
            if not rows.height:
                break
            alone = self._alone(rows)
            accepted.append(rows.filter(alone))
            rows = rows.filter(~alone)
        return pl.concat(accepted)

    def _chain(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are accepted going by the newest accepted one alone."""
        newest = self._newest(rows)
        after = newest.select(GROUP, pl.col(TIME), pl.int_range(pl.len(), dtype=pl.Int64).alias(TARGET))
        wanted = newest.select(GROUP, pl.col(TIME) + (self.within_us + 1))
        found = wanted.join_asof(after, on=TIME, by=GROUP, strategy="forward", check_sortedness=False)
        reached = _reached(newest[GROUP], found[TARGET])
        return newest.filter(reached).select(rows.columns)

    def _newest(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are newer than all of their key before them, key by key, with a number of the key."""
        grouped = rows.group_by(self.keys, maintain_order=True).agg(BUCKET, TIME, ROW).with_row_index(GROUP)
        flat = grouped.explode(BUCKET, TIME, ROW)
        if not rows[TIME].is_sorted():
            upto = pl.col(TIME).cum_max().shift(1).over(GROUP)
            return flat.filter((pl.col(TIME) > upto).fill_null(value=True))
        same = (pl.col(TIME) == pl.col(TIME).shift(1)) & (pl.col(GROUP) == pl.col(GROUP).shift(1))
        return flat.filter(~same.fill_null(value=False))

    def _alone(self, rows: pl.DataFrame) -> pl.Series:
        """Whether each row has no other row of its key within reach."""
        ordered = rows.with_row_index(GROUP).sort(*self.keys, TIME)
        same = pl.all_horizontal(pl.col(key).eq_missing(pl.col(key).shift(1)) for key in self.keys)
        close = same & (pl.col(TIME) - pl.col(TIME).shift(1) <= self.within_us)
        before = close.fill_null(value=False)
        alone = ~(before | before.shift(-1, fill_value=False))
        return ordered.select(GROUP, alone.alias(NEAR)).sort(GROUP)[NEAR]


def _reached(groups: pl.Series, following: pl.Series) -> pl.Series:
    """The places that are reached from the first of each group by going on to the following one."""
    end = len(groups)
    reached = (groups != groups.shift(1)).fill_null(value=True).extend(pl.Series([False]))
    jump = following.fill_null(end).extend(pl.Series([end], dtype=following.dtype))
    count = -1
    while count != (count := int(reached.sum())):
        reached = reached.scatter(jump.filter(reached), True)
        reached[end] = False
        jump = jump.gather(jump)
    return reached[:end]
