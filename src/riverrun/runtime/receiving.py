"""A source's thread: receive, write down, decode, and put into the queue, at once or at a pace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from riverrun.errors import PlanError
from riverrun.ports import Chunk
from riverrun.runtime.job import Job
from riverrun.runtime.log import note_of
from riverrun.runtime.metering import AnyChunk, Metered
from riverrun.runtime.overload import Shedding
from riverrun.runtime.pacing import Pacer
from riverrun.runtime.pump import BLOCK_BYTES, Arrival, Pump
from riverrun.runtime.queue import Item, Origin, Queue
from riverrun.runtime.stop import Stop
from riverrun.world import World

#: A waiting thread looks up at least this often, to see whether it shall stop.
STOP_CHECK_US = 200_000

RECEIVE_BYTES = 1024 * 1024

#: Of senders who wait for answers, less than this is put on the disk at once, by the thread that receives: what
#: they send when they have their answers comes together then. More of it goes on to be received meanwhile.
LITTLE_BYTES = 128 * 1024

#: Once asked to stop, a source that never falls silent is read for so long yet.
DRAIN_US = 1_000_000

#: While somebody behind is busy, so long passes before it is looked again whether more has come.
GATHER_US = 1_000

#: Where senders wait for answers, decoding rests so many times as long as it worked: many small blocks would
#: take the time that answers need, and what is safe in the journal can wait. But it never rests longer than
#: this, nor when a whole block has come.
REST_TIMES, REST_US = 15, 50_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """Chunks that are decoded in one go.

    Parameters
    ----------
    upto : the record of the journal that holds the last of them.
    bookmark : where the reader goes on behind them; ``None`` when nothing is kept.
    charged : bytes of them that are charged to the budget.
    """

    chunks: tuple[AnyChunk, ...]
    upto: int | None = None
    bookmark: Any = None
    charged: int = 0


@dataclass(frozen=True, slots=True)
class Intaking:
    """What one source's thread works with.

    Parameters
    ----------
    write_down : keeps chunks that cannot be read again, and tells the number of their record; ``None``:
        nothing is kept. With ``True``, they are on the disk when it returns, and their senders know it.
    left : chunks of an earlier run that are safe, and that nobody has applied yet.
    full : whether the disk has no space, so that nothing more can be kept.
    """

    at: int
    job: Job
    write_down: Callable[[Sequence[AnyChunk], bool], int | None] | None = None
    left: Gathered = field(default_factory=lambda: Gathered(()))
    full: Callable[[], bool] = lambda: False

    @property
    def pump(self) -> Pump:
        return self.job.pumps[self.at]

    @property
    def world(self) -> World:
        return self.job.world

    def quiet(self) -> None:
        self.job.quiet(self.at)

    def gathered(self, chunks: Sequence[AnyChunk], upto: int | None, charged: int) -> Gathered:
        """Chunks in one go, with the place behind them."""
        bookmark = None if self.write_down is None else self.pump.reader.bookmark()
        return Gathered(tuple(chunks), upto, bookmark, charged)


def run_source(intaking: Intaking, queue: Queue, stop: Stop) -> None:
    """Everything of one source, until it ends or the run is stopped; errors go into the queue, too."""
    at, job, pump = intaking.at, intaking.job, intaking.pump
    shedding = Shedding(pump.read.limits.overload)
    try:
        pacer = _pacer(intaking)
        intaking.quiet()
        for gathered in _gathered(intaking, queue, stop):
            arrivals = job.intakes[at].measured(pump.decode(gathered.chunks))
            if pacer is not None:
                # What waits for its time is not on the way yet; others shall not wait for it.
                queue.budget.release(gathered.charged)
                _put_paced(at, arrivals, pacer, job, queue, stop)
                continue
            if not arrivals:
                queue.budget.release(gathered.charged)
                continue
            job.received(at, arrivals)
            origin = origin_of_gathered(pump, gathered, arrivals)
            item = Item(at, tuple(arrivals), origin=origin, charged=gathered.charged)
            shedding, shed = queue.put(item, shedding)
            job.shed(at, shed)
        queue.put(Item(at, end=True, finished=pump.finished))
    except Exception as error:
        queue.put(Item(at, error=error))


def wait_for(pump: Pump, world: World, *, at_most_us: int = STOP_CHECK_US) -> None:
    """Wait until a source may have something, or it is time to look whether to stop."""
    wait = pump.wait()
    latest_us = world.clock.monotonic_us() + at_most_us
    until_us = latest_us if wait.until_us is None else min(wait.until_us, latest_us)
    world.wait(wait.ready, until_us)


def origin_of_gathered(pump: Pump, gathered: Gathered, arrivals: Sequence[Arrival]) -> Origin | None:
    """Where arrivals come from that were decoded just now; ``None`` when nothing is kept."""
    if gathered.bookmark is None:
        return None
    notes = () if gathered.upto is not None else tuple(note_of(chunk) for chunk in gathered.chunks)
    return Origin(gathered.upto, notes, gathered.bookmark, pump.memory_of(arrivals))


def _gathered(intaking: Intaking, queue: Queue, stop: Stop) -> Iterator[Gathered]:
    """What is decoded in one go, again and again."""
    if intaking.left.chunks:
        yield intaking.left
    if intaking.write_down is not None and intaking.pump.read.source.acknowledges:
        # Senders who wait for an answer shall not wait for decoding.
        yield from _Aside(intaking, queue, stop)
    else:
        metered = Metered(intaking.pump, intaking.at, queue.budget)
        yield from _received(intaking, metered, lambda: bool(queue.backlog), queue.wait_for_room, stop)


def _received(
    intaking: Intaking,
    metered: Metered,
    busy: Callable[[], bool],
    pause: Callable[[float], None],
    stop: Stop,
) -> Iterator[Gathered]:
    """Blocks of what arrives: at once when that is all and nobody behind is busy, larger ones otherwise.

    Parameters
    ----------
    pause : waits a moment for those behind.
    """
    pump, world = intaking.pump, intaking.world
    write_down = intaking.write_down or _forget
    waits_for_answers = pump.read.source.acknowledges
    block_bytes = metered.block(BLOCK_BYTES)
    piece_bytes = min(RECEIVE_BYTES, block_bytes)
    if pump.held:
        # Somebody has looked at the first bytes already.
        held = pump.let_go()
        yield intaking.gathered(held, write_down(held, False), metered.charge(held))
    gathered: list[AnyChunk] = []
    size, charged, upto = 0, 0, None
    drained_us: int | None = None
    while not pump.finished:
        if stop.asked and drained_us is None:
            drained_us = world.clock.monotonic_us() + (0 if _comes_again(intaking) else DRAIN_US)
        if intaking.full() and not gathered:
            # What cannot be kept is not read: senders see it, and nothing piles up in memory.
            if stop.asked:
                break
            world.wait((), world.clock.monotonic_us() + STOP_CHECK_US)
            continue
        chunks = [] if intaking.full() else metered.receive(piece_bytes)
        came = sum(_size(chunk) for chunk in chunks)
        if chunks:
            upto = write_down(chunks, waits_for_answers and came < LITTLE_BYTES)
        gathered += chunks
        charged += metered.charge(chunks)
        size += came
        # Nobody but us can make room if it is us who gather what takes it.
        more = (busy() or came >= piece_bytes) and not metered.full
        if gathered and (not more or size >= block_bytes or pump.finished or stop.asked):
            yield intaking.gathered(gathered, upto, charged)
            gathered, size, charged = [], 0, 0
        elif gathered and not chunks:
            pause(GATHER_US / 1e6)
            continue
        silent = not chunks and not metered.paused
        if drained_us is not None and (silent or world.clock.monotonic_us() >= drained_us):
            break
        if metered.paused and not gathered:
            metered.wait(STOP_CHECK_US / 1e6)
        elif not chunks and not gathered:
            if not busy():
                intaking.quiet()
            wait_for(pump, world)
    metered.end()
    if gathered:
        yield intaking.gathered(gathered, upto, charged)


def _comes_again(intaking: Intaking) -> bool:
    """Whether senders keep what is not acknowledged, so that nothing has to be read in haste."""
    return intaking.write_down is not None and intaking.pump.read.source.acknowledges


def _forget(_: Sequence[AnyChunk], __: bool) -> None:
    """Nothing is kept."""


def _size(chunk: AnyChunk) -> int:
    return len(chunk.data) if isinstance(chunk, Chunk) else BLOCK_BYTES


class _Aside:
    """Receives in a thread of its own, so that senders who wait for an answer never wait for decoding."""

    def __init__(self, intaking: Intaking, queue: Queue, stop: Stop) -> None:
        self._intaking = intaking
        self._queue = queue
        self._stop = stop
        self._changed = threading.Condition()
        self._slot: Gathered | None = None
        self._working = False
        self._taken_us = self._rest_until_us = 0
        self._over = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[Gathered]:
        thread = threading.Thread(target=self._receive, name="riverrun-receiver", daemon=True)
        thread.start()
        try:
            while (gathered := self._take()) is not None:
                yield gathered
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            thread.join(timeout=1)
        if self._failure is not None:
            raise self._failure

    def _take(self) -> Gathered | None:
        clock = self._intaking.world.clock
        now_us = clock.monotonic_us()
        with self._changed:
            if self._working:
                self._rest_until_us = now_us + min(REST_TIMES * (now_us - self._taken_us), REST_US)
            self._working = False
            self._changed.notify_all()
            while self._slot is None and not self._over:
                self._changed.wait()
            gathered, self._slot = self._slot, None
            self._working = gathered is not None
            self._taken_us = clock.monotonic_us()
            self._changed.notify_all()
            return gathered

    def _busy(self) -> bool:
        if self._working or self._slot is not None or self._queue.backlog:
            return True
        return self._intaking.world.clock.monotonic_us() < self._rest_until_us

    def _pause(self, _: float) -> None:
        """Wait until more has come, or those behind may be free."""
        world = self._intaking.world
        behind = self._working or self._slot is not None or self._queue.backlog
        rest_us = 0 if behind else self._rest_until_us - world.clock.monotonic_us()
        wait_for(self._intaking.pump, world, at_most_us=max(GATHER_US, rest_us))

    def _receive(self) -> None:
        try:
            received = _received(
                self._intaking,
                Metered(self._intaking.pump, self._intaking.at, self._queue.budget),
                self._busy,
                self._pause,
                self._stop,
            )
            for gathered in received:
                with self._changed:
                    while self._slot is not None and not self._over:
                        self._changed.wait()
                    if self._over:
                        return
                    self._slot = gathered
                    self._changed.notify_all()
        except Exception as error:
            self._failure = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()


def _pacer(intaking: Intaking) -> Pacer | None:
    pump = intaking.pump
    pace: float | None = getattr(pump.read.source, "pace", None)
    if pace is None:
        return None
    if pump.read.time is None:
        raise PlanError(
            "replaying needs to know which column is the event time",
            where=pump.read.label,
            hint='rr.read(..., replay=10, time="ts")',
        )
    return Pacer(pace, pump.read.time, intaking.world.clock.monotonic_us())


def _put_paced(at: int, arrivals: list[Arrival], pacer: Pacer, job: Job, queue: Queue, stop: Stop) -> None:
    """Put each piece when it is due. What is not due when the run is stopped has not arrived."""
    world = job.world
    for arrival in arrivals:
        for due_us, piece in pacer.pieces(arrival):
            while world.clock.monotonic_us() < due_us and not stop.asked:
                world.wait((), min(due_us, world.clock.monotonic_us() + STOP_CHECK_US))
                job.quiet(at)
            if stop.asked:
                return
            now = replace(piece, received_us=world.clock.now_us())
            job.received(at, [now])
            queue.put(Item(at, (now,)))
