"""Joins of two streams, slow and obvious: every left row is compared with every right row, in plain Python.

What the engine does with batches, watermarks and state is nothing but saving this work. The reference knows a
watermark only to tell which rows are late: that of the row's own partition, before the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NEVER = -(10**18)


@dataclass(frozen=True)
class Row:
    """A row of one of the two sources; `place` is its place among all rows of both, as they arrive."""

    side: int
    t: int
    key: str | None
    partition: str = "p"
    place: int = -1


@dataclass(frozen=True)
class Placed:
    """A row with the watermark of its partition just before it."""

    row: Row
    behind: int

    @property
    def late(self) -> bool:
        return self.row.t < self.behind

    @property
    def order(self) -> tuple[int, str, int]:
        return (self.row.t, self.row.partition, self.row.place)


def placed(rows: Sequence[Row], side: int, delay: int | None) -> list[Placed]:
    newest: dict[str, int] = {}
    found = []
    for place, row in enumerate(rows):
        if row.side != side:
            continue
        before = newest.get(row.partition, NEVER)
        known = NEVER if delay is None or before == NEVER else before - delay
        found.append(Placed(Row(row.side, row.t, row.key, row.partition, place), known))
        newest[row.partition] = max(before, row.t)
    return found


@dataclass
class Reference:
    """The two sides, with what is late.

    Parameters
    ----------
    lower, upper : which right rows a left row looks at; `lower` may be ``None``.
    """

    rows: Sequence[Row]
    delays: tuple[int | None, int | None]
    lower: int | None
    upper: int

    def __post_init__(self) -> None:
        left, self.right = (placed(self.rows, side, self.delays[side]) for side in (0, 1))
        self.left = sorted((item for item in left if not item.late), key=lambda item: item.order)
        self._of_key: dict[str | None, list[Placed]] = {}
        for item in sorted(self.right, key=lambda item: item.order):
            self._of_key.setdefault(item.row.key, []).append(item)
        self.late = [item.row.place for item in left if item.late]

    @property
    def refused(self) -> int:
        """Right rows that came too late for every left row."""
        if self.lower is None:
            return 0
        keyed = [item for item in self.right if item.row.key is not None and item.late]
        return sum(item.row.t - self.lower < item.behind - self.upper for item in keyed)

    def matches(self, left: Placed) -> list[Placed]:
        """In the order of their time."""
        return [item for item in self._of_key.get(left.row.key, []) if self._matches(left.row, item)]

    def _matches(self, left: Row, right: Placed) -> bool:
        if left.key is None or left.key != right.row.key:
            return False
        apart = right.row.t - left.t
        if apart > self.upper or (self.lower is not None and apart < self.lower):
            return False
        return not right.late or left.t >= right.behind - self.upper

    def pairs(self, *, outer: bool) -> list[tuple[int, int | None]]:
        made: list[tuple[int, int | None]] = []
        for left in self.left:
            found = [match.row.place for match in self.matches(left)]
            made += [(left.row.place, place) for place in found]
            if outer and not found:
                made.append((left.row.place, None))
        return made

    def asof(self, direction: str, *, exact: bool) -> list[tuple[int, int | None]]:
        return [(left.row.place, self._one(left, direction, exact)) for left in self.left]

    def _one(self, left: Placed, direction: str, exact: bool) -> int | None:
        found = [item for item in self.matches(left) if exact or item.row.t != left.row.t]
        before = [item for item in found if item.row.t <= left.row.t]
        after = [item for item in found if item.row.t >= left.row.t]
        last = before[-1] if before else None
        first = after[0] if after else None
        chosen = last if direction == "backward" else first
        if direction == "nearest":
            chosen = last or first
            if last and first and first.row.t - left.row.t < left.row.t - last.row.t:
                chosen = first
        return chosen.row.place if chosen else None


def windows_of(t: int, size: int, every: int) -> list[int]:
    start = t // every * every
    starts = []
    while start > t - size:
        starts.append(start)
        start -= every
    return starts


def window_pairs(
    rows: Sequence[Row], delays: tuple[int | None, int | None], size: int, every: int, *, outer: bool
) -> list[tuple[int, int, int | None]]:
    """Window start, left and right place: by window end, left order, right order."""
    left, right = (placed(rows, side, delays[side]) for side in (0, 1))
    starts = sorted({start for item in left for start in windows_of(item.row.t, size, every)})
    made: list[tuple[int, int, int | None]] = []
    for start in starts:
        inside = [
            sorted((i for i in side if start <= i.row.t < start + size and i.behind < start + size),
                   key=lambda item: item.order)
            for side in (left, right)
        ]  # fmt: skip
        for one in inside[0]:
            found = [other.row.place for other in inside[1] if other.row.key == one.row.key is not None]
            made += [(start, one.row.place, place) for place in found]
            if outer and not found:
                made.append((start, one.row.place, None))
    return made


def session_pairs(
    rows: Sequence[Row], delays: tuple[int | None, int | None], gap: int, *, outer: bool
) -> list[tuple[int, int, int | None]]:
    """Session start, left and right place: by session end, left order, right order."""
    sides = [[item for item in placed(rows, side, delays[side]) if not item.late] for side in (0, 1)]
    sessions: list[tuple[int, int, str | None, list[Placed]]] = []
    for key in dict.fromkeys(item.row.key for side in sides for item in side):
        if key is None:
            continue
        of_key = sorted((i for side in sides for i in side if i.row.key == key), key=lambda i: i.row.t)
        for item in of_key:
            if sessions and sessions[-1][2] == key and item.row.t - sessions[-1][3][-1].row.t < gap:
                sessions[-1][3].append(item)
            else:
                sessions.append((item.row.t, 0, key, [item]))
    made = []
    for start, _, _, items in sessions:
        end = items[-1].row.t + gap
        rights = sorted((i for i in items if i.row.side == 1), key=lambda i: i.order)
        for left in (i for i in items if i.row.side == 0):
            found: list[int | None] = [i.row.place for i in rights]
            if outer and not found:
                found = [None]
            made += [(end, left.order, n, (start, left.row.place, place)) for n, place in enumerate(found)]
    return [pair for *_, pair in sorted(made, key=lambda item: item[:3])]
