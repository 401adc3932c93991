"""What waits between the sources' threads and the engine: a few blocks of each source, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from riverrun.ports import ChunkNote, Remembered
from riverrun.runtime.budget import Budget
from riverrun.runtime.overload import Shedding, Verdict
from riverrun.runtime.pump import Arrival, PartitionMemory

#: A source that has so many items here finds the queue full, however small they are: the engine is behind, and
#: blocks should grow.
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
    charged : bytes to give back to the budget once it is applied.
    """

    source: int
    arrivals: tuple[Arrival, ...] = ()
    end: bool = False
    finished: bool = False
    error: Exception | None = None
    origin: Origin | None = None
    charged: int = 0

    @property
    def records(self) -> int:
        return sum(arrival.records for arrival in self.arrivals)

    @property
    def ends(self) -> tuple[Arrival, ...]:
        """What has to be said even when all rows are left out: which partitions are over."""
        return tuple(arrival.emptied() for arrival in self.arrivals if arrival.end)


class Queue:
    """Many source threads put, one engine thread takes.

    Each source has its own places in it, so that a fast one does not keep the others out. How many bytes may
    wait is up to the budget of the run, which is charged before they come here.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, item: Item, shedding: Shedding | None = None) -> tuple[Shedding, tuple[Arrival, ...]]:
        """Add an item; while there is no room, do what the policy of its source says.

        Returns how the policy stands behind it, and the arrivals that were left out, of this item or an earlier
        one. Of those that end a partition, that end stays; it goes with another item of the source.
        """
        with self._changed:
            policy = Shedding() if shedding is None else shedding
            full = self._full(item.source, policy)
            if full and policy.sheds and not item.records:
                # The mere end of a partition shall not cost others their rows.
                return policy, self._leave_out(item)
            policy, verdict = policy.judge(full=full)
            shed: tuple[Arrival, ...] = ()
            match verdict:
                case Verdict.PUT:
                    self._items.append(item)
                case Verdict.WAIT:
                    self._changed.wait_for(lambda: not self._full(item.source, policy))
                    self._items.append(item)
                case Verdict.SHED:
                    shed = self._leave_out(item)
                case Verdict.SHED_OLDEST:
                    shed = self._replace_oldest(item)
            self._changed.notify_all()
            return policy, shed

    def take(self, timeout_s: float | None) -> Item | None:
        """The next item; ``None`` when none came in time, or when the queue was woken."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
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

    def _full(self, source: int, policy: Shedding) -> bool:
        if self._stopped:
            return False
        if policy.sheds and self.budget.paused:
            return True
        return len(self._places(source)) >= ARRIVALS

    def _places(self, source: int) -> list[int]:
        return [place for place, item in enumerate(self._items) if item.source == source]

    def _leave_out(self, item: Item) -> tuple[Arrival, ...]:
        self.budget.release(item.charged)
        if item.ends:
            places = self._places(item.source)
            if places:
                last = self._items[places[-1]]
                self._items[places[-1]] = replace(last, arrivals=(*last.arrivals, *item.ends))
            else:
                self._items.append(Item(item.source, item.ends))
        return item.arrivals

    def _replace_oldest(self, item: Item) -> tuple[Arrival, ...]:
        places = self._places(item.source)
        if not places:
            # The budget is used up, and not by this source.
            return self._leave_out(item)
        oldest = self._items[places[0]]
        del self._items[places[0]]
        self.budget.release(oldest.charged)
        self._items.append(replace(item, arrivals=(*oldest.ends, *item.arrivals)))
        return oldest.arrivals
