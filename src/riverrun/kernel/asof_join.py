"""For each left row the one right row that is nearest in time.

Right rows in order are found by Polars' own as-of join. The few that were behind their watermark count for
left rows from some instant on only (`SEEN`). Looking backward, such a row enters at that instant, if no newer
row is there by then. Looking forward, it competes with what the others give.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from riverrun.kernel.join_rows import (
    LEFT,
    RIGHT,
    SEEN,
    Side,
    by_key,
    named,
    nearest,
    pairs,
    picked,
    side_by_side,
)
from riverrun.kernel.joined import Joined, JoinState
from riverrun.kernel.keyed import first_of_keys
from riverrun.plan.joins import Direction, Span
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.watermark import BEFORE_TIME

#: The instant at which a right row becomes the newest, looking backward.
ENTERS = "__p_enters"
#: The position of a late right row among all.
PLACE = "__p_place"


class AsofMatches(Joined):
    """The operator for as-of joins.

    Parameters
    ----------
    exact : whether a right row of the very same time matches.
    max_keys : of so many keys the newest right row is kept for ever, where there is no tolerance.
    """

    def __init__(
        self,
        left: Side,
        right: Side,
        span: Span,
        right_names: Mapping[str, str],
        *,
        direction: Direction,
        exact: bool,
        max_keys: int,
    ) -> None:
        super().__init__(left, right, span, right_names)
        self.direction = direction
        self._apart_us = 0 if exact else 1
        self.max_keys = max_keys

    def _many(self, state: JoinState) -> bool:
        return super()._many(state) or (self._for_ever() and state.right.rows > self.max_keys)

    def _for_ever(self) -> bool:
        """Whether something is remembered of a key for good."""
        return self.span.lower_us is None and bool(self.keys)

    def known(self, right: pl.DataFrame, watermark_us: int) -> pl.DataFrame:
        """Without rows that left rows before the watermark might see, had their keys not come too late.

        Keys are known in the order in which their first rows come to count for left rows. What is kept of a
        known key stands before all that comes to count later, so that it stays known.
        """
        if not self._for_ever() or right.height <= self.max_keys:
            return right
        rows = right.with_row_index(RIGHT)
        enters = pl.max_horizontal(pl.col(EVENT_TIME), pl.col(SEEN) - self._apart_us)
        counting = rows.with_columns(enters.alias(ENTERS)).filter(
            pl.col(ENTERS) + self._apart_us < watermark_us
        )
        excess = first_of_keys(counting.sort(ENTERS, RIGHT), self.keys)[self.max_keys :]
        if not excess.height:
            return right
        gone = counting.join(excess, on=self.keys, how="semi")
        return rows.join(gone, on=RIGHT, how="anti", maintain_order="left").drop(RIGHT)

    def matched(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        right = right.with_row_index(RIGHT)
        at = self._positions(due, right)
        return side_by_side(named(due, self.left.columns), picked(named(right, self._named), at))

    def _positions(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.Series:
        if self.direction == "forward":
            return self._after(due, right)
        before = self._before(due, right)
        return before if self.direction == "backward" else self._closer(due, right, before)

    def _closer(self, due: pl.DataFrame, right: pl.DataFrame, before: pl.Series) -> pl.Series:
        after = self._after(due, right)
        time, times = due[EVENT_TIME], right[EVENT_TIME]
        closer = (times.gather(after) - time) < (time - times.gather(before))
        return after.zip_with(before.is_null() | closer.fill_null(value=False), before)

    def _before(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.Series:
        entering = self._entering(right)
        at = nearest(due, pl.col(EVENT_TIME) - self._apart_us, entering, pl.col(ENTERS), self.keys, "backward")
        if self.span.lower_us is None:
            return at
        return _only(at, right[EVENT_TIME].gather(at) >= due[EVENT_TIME] + self.span.lower_us)

    def _entering(self, right: pl.DataFrame) -> pl.DataFrame:
        """Right rows in the order in which they become the newest of their key, without those that never do."""
        if not _some_late(right):
            return right.with_columns(pl.col(EVENT_TIME).alias(ENTERS))
        enters = pl.max_horizontal(pl.col(EVENT_TIME), pl.col(SEEN) - self._apart_us)
        right = right.with_columns(enters.alias(ENTERS)).sort(ENTERS, RIGHT)
        newest = pl.col(RIGHT).cum_max()
        return right.filter(pl.col(RIGHT) == (newest.over(self.keys) if self.keys else newest))

    def _after(self, due: pl.DataFrame, right: pl.DataFrame) -> pl.Series:
        late = right.filter(pl.col(SEEN) != BEFORE_TIME) if _some_late(right) else right.clear()
        in_time = right.filter(pl.col(SEEN) == BEFORE_TIME) if late.height else right
        time = pl.col(EVENT_TIME)
        at = nearest(due, time + self._apart_us, in_time, time, self.keys, "forward")
        at = _only(at, right[EVENT_TIME].gather(at) <= due[EVENT_TIME] + self.span.upper_us)
        return at if not late.height else self._or_late(at, due, late)

    def _or_late(self, at: pl.Series, due: pl.DataFrame, late: pl.DataFrame) -> pl.Series:
        """The matches, or late rows where these come first."""
        late = by_key(late.rename({RIGHT: PLACE}), self.keys)
        found = pairs(due, late, Span(self._apart_us, self.span.upper_us), self.keys)
        found = found.unique(LEFT, keep="first", maintain_order=True)
        places = found.select(LEFT, late[PLACE].gather(found[RIGHT]).alias(PLACE))
        both = pl.DataFrame({LEFT: pl.int_range(len(at), dtype=pl.Int64, eager=True), RIGHT: at})
        both = both.join(places, on=LEFT, how="left", maintain_order="left")
        return both.select(pl.min_horizontal(RIGHT, PLACE).alias(RIGHT)).to_series()

    def needed(self, right: pl.DataFrame, watermark_us: int) -> pl.DataFrame:
        if self.span.lower_us is not None:
            return super().needed(right, watermark_us)
        entering = self._entering(right.with_row_index(RIGHT))
        there = pl.col(ENTERS) <= watermark_us - self._apart_us
        settled = entering.filter(there)
        newest = settled.unique(self.keys, keep="last", maintain_order=True) if self.keys else settled.tail(1)
        kept = pl.concat([newest, entering.filter(~there)]).sort(RIGHT)
        return kept.select(right.columns)


def _some_late(right: pl.DataFrame) -> bool:
    return bool(right.height) and right[SEEN].max() != BEFORE_TIME


def _only(at: pl.Series, good: pl.Series) -> pl.Series:
    """The positions that are good; null for the others."""
    return at.zip_with(good.fill_null(value=False), at.clear(len(at)))
