"""A source's thread: receive, decode, and put into the queue, at once or at a pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from riverrun.errors import PlanError
from riverrun.runtime.job import Job
from riverrun.runtime.pacing import Pacer
from riverrun.runtime.pump import BLOCK_BYTES, Arrival, Pump
from riverrun.runtime.queue import Item, Queue
from riverrun.runtime.stop import Stop
from riverrun.world import World

#: A waiting thread looks up at least this often, to see whether it shall stop.
STOP_CHECK_US = 200_000

RECEIVE_BYTES = 1024 * 1024

#: Once asked to stop, a source that never falls silent is read for so long yet.
DRAIN_US = 1_000_000


def run_source(at: int, job: Job, queue: Queue, stop: Stop) -> None:
    """Everything of one source, until it ends or the run is stopped; errors go into the queue, too."""
    pump, world = job.pumps[at], job.world
    try:
        pacer = _pacer(pump, world)
        job.quiet(at)
        for chunks in _received(pump, world, queue, stop, lambda: job.quiet(at)):
            arrivals = [job.intakes[at].measured(arrival) for arrival in pump.decode(chunks)]
            if pacer is not None:
                _put_paced(at, arrivals, pacer, job, queue, stop)
                continue
            for arrival in arrivals:
                job.received(at, arrival)
            if arrivals:
                queue.put(Item(at, tuple(arrivals)))
        queue.put(Item(at, end=True))
    except Exception as error:
        queue.put(Item(at, error=error))


def wait_for(pump: Pump, world: World) -> None:
    """Wait until a source may have something, or it is time to look whether to stop."""
    wait = pump.wait()
    latest_us = world.clock.monotonic_us() + STOP_CHECK_US
    until_us = latest_us if wait.until_us is None else min(wait.until_us, latest_us)
    world.wait(wait.ready, until_us)


def _received(
    pump: Pump, world: World, queue: Queue, stop: Stop, quiet: Callable[[], None]
) -> Iterator[list[Any]]:
    """Blocks of what arrives: at once when that is all and the engine is idle, larger ones otherwise."""
    if pump.held:
        # Somebody has looked at the first bytes already; `decode` begins with them.
        yield []
    gathered: list[Any] = []
    size = 0
    drained_us: int | None = None
    while not pump.finished:
        if stop.asked and drained_us is None:
            drained_us = world.clock.monotonic_us() + DRAIN_US
        chunks = pump.receive(RECEIVE_BYTES)
        gathered += chunks
        came = sum(_size(chunk) for chunk in chunks)
        size += came
        more = bool(queue.backlog) or came >= RECEIVE_BYTES
        if gathered and (not more or size >= BLOCK_BYTES or pump.finished or stop.asked):
            yield gathered
            gathered, size = [], 0
        elif gathered and not chunks:
            queue.wait_for_room(0.001)
            continue
        if drained_us is not None and (not chunks or world.clock.monotonic_us() >= drained_us):
            break
        if not chunks and not gathered:
            if not queue.backlog:
                quiet()
            wait_for(pump, world)
    if gathered:
        yield gathered


def _size(chunk: Any) -> int:
    data = getattr(chunk, "data", None)
    return len(data) if data is not None else BLOCK_BYTES


def _pacer(pump: Pump, world: World) -> Pacer | None:
    pace: float | None = getattr(pump.read.source, "pace", None)
    if pace is None:
        return None
    if pump.read.time is None:
        raise PlanError(
            "replaying needs to know which column is the event time",
            where=pump.read.label,
            hint='rr.read(..., replay=10, time="ts")',
        )
    return Pacer(pace, pump.read.time, world.clock.monotonic_us())


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
            job.received(at, now)
            queue.put(Item(at, (now,)))
