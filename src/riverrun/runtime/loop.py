"""The engine's thread: takes what the sources put, lets time pass, and keeps what is to be kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from riverrun.runtime.budget import Budget
from riverrun.runtime.ends import FLUSH_US, Ends
from riverrun.runtime.health import Health
from riverrun.runtime.job import Job
from riverrun.runtime.keeping import Keeper
from riverrun.runtime.queue import Item, Queue
from riverrun.runtime.receiving import Intaking, run_source
from riverrun.runtime.stop import Stop

#: Once asked to stop, a run that keeps its state works so long on what it has received. The rest is safe in the
#: journal, or stands in its source, and the next run goes on with it.
WORK_THROUGH_US = 1_500_000


@dataclass(slots=True)
class Watcher:
    """What looks on while a pipeline runs: called with health about every quarter second."""

    look: Callable[[Health], None]
    every_us: int = 250_000
    _due_us: int = 0

    def tick(self, job: Job, *, force: bool = False) -> None:
        now_us = job.world.clock.monotonic_us()
        if force or now_us >= self._due_us:
            self._due_us = now_us + self.every_us
            self.look(job.health())


class InMemory:
    """A run that keeps no state."""

    #: What is left undone at the end is lost.
    keeps = False

    def __init__(self, job: Job, ends: Ends) -> None:
        self._job = job
        self._ends = ends

    def apply(self, item: Item, meanwhile: Callable[[], None]) -> None:
        del meanwhile
        self._job.take(item.source, item.arrivals)

    def end(self, item: Item) -> None:
        """However it ended, nobody will go on from here: windows that are open are put out."""
        self._job.end(item.source)

    def tick(self) -> None:
        self._job.tick()
        self._ends.flush_if_due()

    def close(self) -> None:
        self._ends.flush()


class Kept:
    """A run that keeps its state."""

    keeps = True

    def __init__(self, keeper: Keeper, stop: Stop) -> None:
        self._keeper = keeper
        self._durable = keeper.durable
        self._stop = stop

    def apply(self, item: Item, meanwhile: Callable[[], None]) -> None:
        """Once there is room for results. Until then `meanwhile` is called now and then."""
        self._keeper.check()
        self._durable.delivery.wait_for_room(lambda: self._stop.asked or self._keeper.failed, meanwhile)
        self._durable.apply(item)
        self._keeper.between_records()

    def end(self, item: Item) -> None:
        """Windows close only when nothing will ever come; otherwise the next run goes on."""
        self._keeper.check()
        if item.finished:
            self._durable.end(item.source)

    def tick(self) -> None:
        self._keeper.check()
        self._durable.tick()
        self._keeper.between_records()

    def close(self) -> None:
        self._keeper.close(complete=True)


class Loop:
    """Takes items until every source has ended."""

    def __init__(
        self, job: Job, engaged: InMemory | Kept, intakings: list[Intaking], stop: Stop, watch: Watcher | None
    ) -> None:
        self._job = job
        self._engaged = engaged
        self._intakings = intakings
        self._stop = stop
        self._watch = watch
        self._deadline_us: int | None = None
        self._leave_us: int | None = None
        self._look_up_us = 0
        self._threads: list[threading.Thread] = []
        self._queue = Queue(Budget(min(pump.read.limits.budget_bytes for pump in job.pumps)))
        self._open = set(range(len(job.pumps)))

    def start(self) -> None:
        """Let the sources begin."""
        self._stop.on_stop(self._queue.wake)
        for at in sorted(self._open):
            thread = threading.Thread(
                target=run_source,
                args=(self._intakings[at], self._queue, self._stop),
                name=f"riverrun-source-{at}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def run(self, deadline_us: int | None) -> None:
        """Until every source has ended, or enough was done after a stop."""
        self._deadline_us = deadline_us
        while self._open and not self._enough():
            item = self._queue.take(self._timeout_s())
            if item is not None:
                self._work(item)
            if item is None or not self._queue.backlog or self._clock_us() >= self._look_up_us:
                self._pass_time()

    def close(self) -> None:
        """Let the threads of the sources end."""
        self._stop.now("error" if self._open else "end of input")
        self._queue.stop()
        for thread in self._threads:
            thread.join(timeout=5)

    def _enough(self) -> bool:
        if not self._stop.asked or not self._engaged.keeps:
            return False
        now_us = self._clock_us()
        self._leave_us = now_us + WORK_THROUGH_US if self._leave_us is None else self._leave_us
        return now_us >= self._leave_us

    def _work(self, item: Item) -> None:
        if item.error is not None:
            raise item.error
        if item.arrivals:
            self._engaged.apply(item, self._look_up)
        self._queue.budget.release(item.charged)
        if item.end:
            self._open.discard(item.source)
            self._engaged.end(item)

    def _clock_us(self) -> int:
        return self._job.world.clock.monotonic_us()

    def _pass_time(self) -> None:
        self._look_up_us = self._clock_us() + FLUSH_US
        self._engaged.tick()
        self._look_up()

    def _look_up(self) -> None:
        """What goes on even while rows have to wait."""
        if self._watch is not None:
            self._watch.tick(self._job)
        if self._deadline_us is not None and self._clock_us() >= self._deadline_us:
            self._stop.now("until")

    def _timeout_s(self) -> float:
        now_us = self._clock_us()
        due = [now_us + FLUSH_US, self._job.next_tick_us(), self._deadline_us]
        return max(0.0, (min(at for at in due if at is not None) - now_us) / 1e6)
