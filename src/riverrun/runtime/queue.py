"""What waits between the sources' threads and the engine: bounded in bytes, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from riverrun.ports import ChunkNote, Remembered
from riverrun.runtime.pump import Arrival, PartitionMemory

#: A full queue takes no more arrivals, however small: the engine is behind, and blocks should grow.
ARRIVALS = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the arrivals of one item come from, and how to go on behind them after a restart.

    Parameters
    ----------
    upto : the last record of the journal that holds their bytes; ``None`` where the source is read again.
    notes : their chunks, where the source is read again.
    bookmark : where the reader goes on.
    partitions : where decoding goes on.
    """

    upto: int | None
    notes: tuple[ChunkNote, ...]
    bookmark: Remembered
    partitions: Mapping[str, PartitionMemory | None]


@dataclass(frozen=True, slots=True)
class Item:
    """Arrivals of one source, its end, or the error that ended it.

    Parameters
    ----------
    end : the source gives nothing more in this run.
    finished : with `end`: nor will it ever.
    origin : for runs that keep their state.
    """

    source: int
    arrivals: tuple[Arrival, ...] = ()
    end: bool = False
    finished: bool = False
    error: Exception | None = None
    origin: Origin | None = None

    @property
    def bytes(self) -> int:
        return sum(arrival.bytes for arrival in self.arrivals)


class Queue:
    """Many source threads put, one engine thread takes.

    Parameters
    ----------
    budget_bytes : a source waits while more than this is in the queue.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, item: Item) -> None:
        """Add an item; waits while the queue is full."""
        with self._changed:
            while self._full() and not self._stopped:
                self._changed.wait()
            self._items.append(item)
            self._bytes += item.bytes
            self._changed.notify_all()

    def take(self, timeout_s: float | None) -> Item | None:
        """The next item; ``None`` when none came in time, or when the queue was woken."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= item.bytes
            self._changed.notify_all()
            return item

    @property
    def backlog(self) -> int:
        """How many items wait."""
        return len(self._items)

    def wait_for_room(self, timeout_s: float) -> None:
        """Return when an item has been taken, or after a while."""
        with self._changed:
            if self._items:
                self._changed.wait(timeout_s)

    def stop(self) -> None:
        """Nobody waits for room any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Let `take` return."""
        with self._changed:
            self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._items) >= ARRIVALS or self._bytes > self._budget_bytes
