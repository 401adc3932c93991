"""What joins by event time have in common: rows of a side in order, lateness, and matches by position.

**Lateness.** A left row is late if it is behind the watermark of its own partition when it comes: left rows are
answered in the order of their time, and those before the watermark may have been answered. A right row that is
behind its partition's watermark counts for all left rows that cannot have been answered yet: those at or after
that watermark, less how far the join looks ahead. From there on it is *seen*. So a match depends on the order
of rows in each partition alone, and not on which side was quicker.

**Order.** Rows of a side stand in the order of event time, then of their place in their source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import polars as pl

from riverrun.batch import IMPUTED, ROW_ORDER, ROW_WATERMARK
from riverrun.kernel.window_frame import event_times
from riverrun.plan.joins import Span
from riverrun.plan.typed import Typed
from riverrun.stats.partials import EVENT_TIME
from riverrun.windows.watermark import BEFORE_TIME

#: Columns of joins' own frames: the place of a row among those of the same time, the left time from which on
#: a right row counts, and positions in frames.
ORDER = "__p_order"
SEEN = "__p_seen"
LEFT, RIGHT = "__p_left", "__p_right"
FIRST, LAST = "__p_first", "__p_last"


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows of a side that have just come.

    Parameters
    ----------
    rows : those that count, with `EVENT_TIME` and `ORDER`.
    late : those that do not, as they came.
    refused : the places of the late ones among the rows of their source.
    """

    rows: pl.DataFrame
    late: pl.DataFrame | None = None
    refused: pl.Series | None = None


class Side:
    """One input of a join: how its rows get ready."""

    def __init__(self, rows: Typed, keys: Sequence[str]) -> None:
        assert rows.time is not None
        self.columns = list(rows.columns)
        self._types = dict(rows.columns)
        self.keys = list(keys)
        self._time = rows.time
        self._shift_us = rows.time_shift_us

    def nothing(self) -> pl.DataFrame:
        """No rows, as of `right`."""
        own = dict.fromkeys((EVENT_TIME, ORDER, SEEN), pl.Int64)
        return pl.DataFrame(schema={**self._types, **own})

    def ready(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with `EVENT_TIME` and `ORDER`; rows whose event time is null take no part."""
        times = event_times(frame, self._time)
        if self._shift_us:
            times = times + self._shift_us
        if ROW_ORDER in frame.columns:
            order = frame[ROW_ORDER].alias(ORDER)
        else:
            order = pl.Series(ORDER, [0], dtype=pl.Int64).new_from_index(0, frame.height)
        rows = frame.hstack([times.alias(EVENT_TIME), order])
        return rows.filter(pl.col(EVENT_TIME).is_not_null()) if times.null_count() else rows

    def with_keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Without the rows that have a null key, which equals nothing."""
        for key in self.keys:
            if rows[key].null_count():
                rows = rows.filter(pl.col(key).is_not_null())
        return rows

    def left(self, frame: pl.DataFrame, watermark_us: int) -> Taken:
        """Rows of the left side, without those that are late."""
        rows = self.ready(frame)
        bare = [*self.columns, EVENT_TIME, ORDER, *_counts(rows)]
        if not some_behind(rows, watermark_us):
            return Taken(rows.select(bare))
        late = pl.col(EVENT_TIME) < behind(rows, watermark_us)
        gone = rows.filter(late)
        return Taken(rows.filter(~late).select(bare), gone.select(self.columns), places(gone))

    def right(self, frame: pl.DataFrame, watermark_us: int, span: Span) -> Taken:
        """Rows of the right side with `SEEN`, without those that can match no left row that may still come."""
        rows = self.ready(frame)
        bare = [*self.columns, EVENT_TIME, ORDER, SEEN, *_counts(rows)]
        rows = self.with_keys(rows)
        floor_us = watermark_us + span.upper_us
        if not some_behind(rows, floor_us):
            always = pl.Series(SEEN, [BEFORE_TIME], dtype=pl.Int64)
            return Taken(rows.hstack([always.new_from_index(0, rows.height)]).select(bare))
        mark = behind(rows, floor_us)
        seen = pl.when(pl.col(EVENT_TIME) < mark).then(mark - span.upper_us).otherwise(BEFORE_TIME)
        rows = rows.with_columns(seen.alias(SEEN))
        if span.lower_us is None:
            return Taken(rows.select(bare))
        late = pl.col(EVENT_TIME) - span.lower_us < pl.col(SEEN)
        return Taken(rows.filter(~late).select(bare), refused=places(rows.filter(late)))


def some_behind(rows: pl.DataFrame, watermark_us: int) -> bool:
    if ROW_WATERMARK in rows.columns:
        return True
    first = rows[EVENT_TIME].min()
    return isinstance(first, int) and first < watermark_us


def behind(rows: pl.DataFrame, watermark_us: int) -> pl.Expr:
    """The watermark that counts for each row: of its partition, or of the join where that was ahead."""
    if ROW_WATERMARK not in rows.columns:
        return pl.lit(watermark_us)
    return pl.max_horizontal(pl.col(ROW_WATERMARK), pl.lit(watermark_us))


def places(rows: pl.DataFrame) -> pl.Series | None:
    return rows[ROW_ORDER] if rows.height and ROW_ORDER in rows.columns else None


def in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of a side in their order; rows that have one place stay as they arrived."""
    rows = together(frames)
    if rows[EVENT_TIME].is_sorted() and rows[ORDER].is_sorted():
        return rows
    return rows.sort(EVENT_TIME, ORDER, maintain_order=True)


def together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames one under the other; only some may tell how many values were filled in."""
    if len(frames) == 1:
        return frames[0]
    alike = all(frame.width == frames[0].width for frame in frames)
    return pl.concat(frames, how="vertical" if alike else "diagonal")


def _counts(rows: pl.DataFrame) -> list[str]:
    return [IMPUTED] if IMPUTED in rows.columns else []


def first_time_us(rows: pl.DataFrame) -> int | None:
    first = rows[EVENT_TIME].min()
    return first if isinstance(first, int) else None


def split(rows: pl.DataFrame, before_us: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows in order, cut at an instant."""
    count = rows[EVENT_TIME].search_sorted(before_us, "left")
    return rows[:count], rows[count:]


def between(rows: pl.DataFrame, from_us: int, before_us: int) -> pl.DataFrame:
    """Rows in order, those from one instant to before another."""
    return split(split(rows, before_us)[0], from_us)[1]


def nearest(
    left: pl.DataFrame, left_at: pl.Expr, right: pl.DataFrame, right_at: pl.Expr, keys: Sequence[str], way: str
) -> pl.Series:
    """For each left row the position (`RIGHT`) of the last right row at or before it, or the first at or after.

    Parameters
    ----------
    left : in the order of `left_at`.
    right : rows of one key in the order of `right_at`, with their positions in `RIGHT`.
    way : ``"backward"`` or ``"forward"``.
    """
    assert way in ("backward", "forward")
    found = left.select(*keys, left_at.alias(LEFT)).join_asof(
        right.select(*keys, right_at.alias(FIRST), RIGHT),
        left_on=LEFT,
        right_on=FIRST,
        by=list(keys) or None,
        strategy="backward" if way == "backward" else "forward",
        check_sortedness=False,
    )
    return found[RIGHT]


def by_key(right: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Right rows with those of one key together, in their order; positions in `RIGHT`."""
    if keys:
        places = right.select(*keys, pl.int_range(pl.len(), dtype=pl.UInt32).alias(RIGHT))
        together = places.group_by(keys, maintain_order=True).agg(RIGHT).explode(RIGHT)
        right = right[together[RIGHT]]
    return right.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(RIGHT))


def pairs(left: pl.DataFrame, right: pl.DataFrame, span: Span, keys: Sequence[str]) -> pl.DataFrame:
    """Positions (`LEFT`, `RIGHT`) of all pairs within a span, in the order of the left rows, then the right.

    Parameters
    ----------
    left : in order.
    right : as of `by_key`.
    """
    assert span.lower_us is not None
    at = pl.col(EVENT_TIME)
    first = nearest(left, at + span.lower_us, right, at, keys, "forward").alias(FIRST)
    last = nearest(left, at + span.upper_us, right, at, keys, "backward").alias(LAST)
    ranges = pl.DataFrame([first, last]).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(LEFT))
    found = ranges.filter(pl.col(FIRST) <= pl.col(LAST)).select(
        LEFT, pl.int_ranges(FIRST, pl.col(LAST) + 1, dtype=pl.Int64).alias(RIGHT)
    )
    found = found.explode(RIGHT)
    seen = right[SEEN]
    if found.height and seen.max() != BEFORE_TIME:
        in_time = left[EVENT_TIME].gather(found[LEFT]) >= seen.gather(found[RIGHT])
        found = found.filter(in_time)
    return found


def with_unmatched(found: pl.DataFrame, left: pl.DataFrame) -> pl.DataFrame:
    """Pairs, and for each left row without one a pair with nothing, in the order of the left rows."""
    everyone = pl.DataFrame({LEFT: pl.int_range(left.height, dtype=pl.Int64, eager=True)})
    return everyone.join(found, on=LEFT, how="left", maintain_order="left_right")


def side_by_side(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Rows of both sides as one, with how many values were filled in on either."""
    counts = [side[IMPUTED].fill_null(0) for side in (left, right) if IMPUTED in side.columns]
    if not counts:
        return left.hstack(right.get_columns())
    both = left.drop(IMPUTED, strict=False).hstack(right.drop(IMPUTED, strict=False).get_columns())
    return both.with_columns(reduce(add, counts).alias(IMPUTED))


def named(rows: pl.DataFrame, columns: Sequence[str | pl.Expr]) -> pl.DataFrame:
    """Some columns of rows, and how many values were filled in, where that is told."""
    return rows.select(*columns, *_counts(rows))


def picked(rows: pl.DataFrame, positions: pl.Series) -> pl.DataFrame:
    """Rows by their positions; a null position makes a row of nulls."""
    return rows.select(pl.all().gather(positions))
