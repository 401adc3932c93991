"""No more keys than `max_keys`: which rows have a key that cannot be remembered any more.

The first keys are known, in the order of the rows that a step sees. A key of which nothing is remembered any
more makes room for another. So each row is asked how many keys are known at its instant, and the answer is
that of a loop over single rows, however these were cut into batches.

Keys make room at times of their own, so in general this is such a loop, over plain numbers. It is only entered
when there are too many keys and some make room between the first row of a batch and its last.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.kernel.keyed import first_of_keys, of_other_keys
from riverrun.kernel.runs import END, other_key

#: Until when a key is known: it makes room at this instant. Column of frames with one row for each key.
UNTIL = "__p_until"
_NUMBER = "__p_number"
_EXCESS = "__p_excess"


@dataclass(frozen=True, slots=True)
class Instants:
    """When rows come, and until when they keep their key known.

    Parameters
    ----------
    now : the instant of each row; it never goes back.
    until : a row that is over by its own instant keeps nothing known, and needs no room.
    """

    now: pl.Series
    until: pl.Series


def beyond_limit(
    held: pl.DataFrame | None, rows: pl.DataFrame, keys: Sequence[str], max_keys: int
) -> pl.Series | None:
    """Which rows have a key that cannot be remembered any more, when keys never make room; ``None``: no row.

    `held` has each key that is known once.
    """
    known = 0 if held is None else held.height
    if known + rows.height <= max_keys:
        return None
    new = first_of_keys(rows, keys)
    if held is not None:
        new = of_other_keys(new, held, keys)
    return rows_of(rows, new[max(0, max_keys - known) :], keys)


def beyond_room(
    held: pl.DataFrame | None,
    rows: pl.DataFrame,
    keys: Sequence[str],
    max_keys: int,
    instants: Instants,
    *,
    folds: bool = True,
) -> pl.Series | None:
    """Which rows have a key that cannot be remembered just then; ``None``: no row.

    `held` has each key that is known once, with `UNTIL`. Rows that have the key which others are folded into
    need no room, where they are folded.
    """
    if not rows.height or (0 if held is None else held.height) + rows.height <= max_keys:
        return None
    found = first_of_keys(rows, keys)
    alive = _nothing(rows, keys) if held is None else held
    if folds:
        found, alive = without_other(found, keys), without_other(alive, keys)
    first_us, last_us = instants.now[0], instants.now[-1]
    alive = alive.filter(pl.col(UNTIL) > first_us)
    new = of_other_keys(found, alive, keys)
    if alive.height + new.height <= max_keys:
        return None
    ends = [end for end in (alive[UNTIL].min(), instants.until.min()) if isinstance(end, int)]
    if min(ends) > last_us:
        return rows_of(rows, new[max(0, max_keys - alive.height) :], keys)
    return _one_by_one(alive, found, rows, keys, max_keys, instants)


def folded(rows: pl.DataFrame, excess: pl.Series | None, keys: Sequence[str]) -> pl.DataFrame:
    """The rows, some of them with one key in common, so that totals stay exact."""
    if excess is None:
        return rows
    others = [
        pl.when(excess).then(other_key(rows.schema[key])).otherwise(pl.col(key)).alias(key) for key in keys
    ]
    return rows.with_columns(others)


def rows_in(excess: pl.Series | None) -> int:
    """How many rows these are."""
    return 0 if excess is None else int(excess.sum())


def known_for_ever(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Each key of some rows once, with `UNTIL`, when keys never make room."""
    return first_of_keys(rows, keys).with_columns(pl.lit(END, pl.Int64).alias(UNTIL))


def known_until(rows: pl.DataFrame, keys: Sequence[str], until: pl.Expr) -> pl.DataFrame:
    """Each key of some rows once, with the latest instant until which a row of it keeps it known."""
    return rows.group_by(keys, maintain_order=True).agg(until.max().alias(UNTIL))


def _nothing(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    return rows[:0].select(*keys, pl.lit(0, pl.Int64).alias(UNTIL))


def without_other(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Without the key that others are folded into, which is no key of its own."""
    other = pl.all_horizontal(pl.col(key).eq_missing(other_key(frame.schema[key])) for key in keys)
    return frame.filter(~other)


def rows_of(rows: pl.DataFrame, excess: pl.DataFrame, keys: Sequence[str]) -> pl.Series | None:
    """Which rows have one of some keys; ``None``: no row, since there are no keys."""
    if not excess.height:
        return None
    marks = excess.select(keys).with_columns(pl.lit(value=True).alias(_EXCESS))
    found = rows.select(keys).join(marks, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return found[_EXCESS].fill_null(value=False)


def _one_by_one(
    alive: pl.DataFrame,
    found: pl.DataFrame,
    rows: pl.DataFrame,
    keys: Sequence[str],
    max_keys: int,
    instants: Instants,
) -> pl.Series | None:
    """As `beyond_room`, row after row. `found` are the keys of the rows."""
    found = found.with_row_index(_NUMBER)
    numbers = rows.select(keys).join(found, on=keys, how="left", nulls_equal=True, maintain_order="left")
    own = found.join(alive, on=keys, how="inner", nulls_equal=True, maintain_order="left")
    # Of keys that these rows do not have, it matters only when they make room.
    others = of_other_keys(alive, found, keys)[UNTIL]
    room = _Room(max_keys, dict(own.select(_NUMBER, UNTIL).iter_rows()), others.sort().to_list())
    triples = zip(numbers[_NUMBER], instants.now, instants.until, strict=True)
    excess = [number is not None and not room.takes(number, now, until) for number, now, until in triples]
    return pl.Series(_EXCESS, excess) if any(excess) else None


class _Room:
    """Room for so many keys.

    Parameters
    ----------
    until : by number, the keys that are known and of which rows may come.
    others : until when the other ones are known, in order.
    """

    def __init__(self, max_keys: int, until: dict[int, int], others: Sequence[int]) -> None:
        self._max_keys = max_keys
        self._until = until
        self._others = others
        self._gone = 0
        self._queue = [(end, number) for number, end in until.items()]
        heapq.heapify(self._queue)

    def takes(self, number: int, now: int, until: int) -> bool:
        """Whether there is room for a row of a key."""
        self._forget(now)
        if number in self._until:
            self._until[number] = max(self._until[number], until)
            return True
        if until <= now:
            return True
        if len(self._until) + len(self._others) - self._gone >= self._max_keys:
            return False
        self._until[number] = until
        heapq.heappush(self._queue, (until, number))
        return True

    def _forget(self, now: int) -> None:
        while self._gone < len(self._others) and self._others[self._gone] <= now:
            self._gone += 1
        while self._queue and self._queue[0][0] <= now:
            _, number = heapq.heappop(self._queue)
            if self._until[number] > now:
                # Rows have come since it was put here.
                heapq.heappush(self._queue, (self._until[number], number))
            else:
                del self._until[number]
