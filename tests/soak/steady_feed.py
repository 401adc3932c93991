"""Producers that send rows at an even pace, and know when each was acknowledged.

Rows follow from their numbers, so a producer keeps none, and what must come out can be worked out: row ``n``
has the time ``FIRST_MS + n`` and stands for the key ``n % KEYS`` of its producer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from tests.crash.engine_feeds import Producer
from tests.soak.measures import Point

#: Times have as many digits from the first row to the last, so that every line is as long.
FIRST_MS = 10_000_000_000
#: The last row of everybody, behind all windows.
SENTINEL = b"90000000000,0,end,0\n"
KEYS = 8
WINDOW_MS = 100_000
#: Rows sent at a time at most, and rows in flight at most: a producer has a buffer, too.
PIECE, IN_FLIGHT = 2_000, 200_000
#: Who is further behind its pace than this, say because the receiver was away, does not try to make up for it.
FORGIVE_S = 5.0

_BLOCK = 1_000


class SteadyLines:
    """The rows of one producer, without end until `close`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self._closed = False
        self._blocks = b"".join(
            b"########%03d,########%03d,%s%d,%03d\n" % (n, n, name.encode(), n % KEYS, n) for n in range(_BLOCK)
        )
        self._line_bytes = len(self._blocks) // _BLOCK

    @property
    def count(self) -> int:
        return self.rows + self._closed

    def piece(self, first: int, last: int) -> bytes:
        end = min(last, self.rows)
        blocks = range(first // _BLOCK, -(-end // _BLOCK)) if first < end else ()
        made = b"".join(self._blocks.replace(b"#" * 8, b"%08d" % (FIRST_MS // _BLOCK + n)) for n in blocks)
        begin = first % _BLOCK * self._line_bytes
        found = made[begin : begin + max(0, end - first) * self._line_bytes]
        return found + SENTINEL if first <= self.rows < last else found

    def close(self) -> None:
        self._closed = True

    def expected(self) -> Iterator[tuple[int, str, int, int]]:
        """What must be counted: the beginning of each window in ms, key, number of rows, sum of their times."""
        for window in range(-(-self.rows // WINDOW_MS)):
            end = min(self.rows, (window + 1) * WINDOW_MS)
            for key in range(KEYS):
                times = range(FIRST_MS + window * WINDOW_MS + key, FIRST_MS + end, KEYS)
                if times:
                    total = (times[0] + times[-1]) * len(times) // 2
                    yield FIRST_MS + window * WINDOW_MS, f"{self.name}{key}", len(times), total


class SteadyProducer(Producer):
    """Sends as many rows per second as `pace` says, and notes how long each piece waited to be acknowledged."""

    def __init__(self, name: str, port: int) -> None:
        self.steady = SteadyLines(name)
        super().__init__(self.steady, port)
        self.waits_s: list[Point] = []
        self.forgiven_s = 0.0
        self._waiting: deque[tuple[int, float]] = deque()
        self._per_s = 0.0
        self._paced_at, self._paced_rows = 0.0, 0

    @property
    def connection(self) -> int | None:
        """The descriptor of its socket."""
        return self._socket.fileno() if self._socket is not None else None

    def pace(self, rows_per_s: float) -> None:
        """From now on, send so many; ``inf``: as many as are taken."""
        self._per_s, self._paced_at, self._paced_rows = rows_per_s, time.monotonic(), self.steady.rows

    def go_on(self) -> None:
        """Make the rows that are due, send some, and hear what is safe."""
        self._grow(time.monotonic())
        sent = self.sent
        self.turn(PIECE)
        now = time.monotonic()
        if self.sent > sent and self._greeted:
            self._waiting.append((self.sent, now))
        while self._waiting and self._waiting[0][0] <= self.acknowledged:
            self.waits_s.append((now, now - self._waiting.popleft()[1]))

    def hang_up(self) -> None:
        super().hang_up()
        self._waiting.clear()

    def _grow(self, now: float) -> None:
        room = self.acknowledged + IN_FLIGHT
        if self._per_s == float("inf"):
            self.steady.rows = max(self.steady.rows, room)
            return
        due = self._paced_rows + int(self._per_s * (now - self._paced_at))
        self.steady.rows = max(self.steady.rows, min(due, room))
        behind_s = (due - self.steady.rows) / self._per_s if self._per_s else 0.0
        if behind_s > FORGIVE_S:
            self.forgiven_s += behind_s
            self.pace(self._per_s)
