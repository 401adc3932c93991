"""Results on their way into sinks that survive a crash: nothing missing, nothing twice, in order.

Results of one record of the journal are a *unit*, numbered by that record. A unit is handed to a sink once its
record is on the disk, so that after a crash the same unit comes again. It stays here until the sink has
committed it; what a sink has not committed at a checkpoint goes into the checkpoint (the outbox).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from riverrun.errors import RiverrunError, SinkError, SinkUnavailable
from riverrun.ports import DurableWriter, Remembered, Writer
from riverrun.world import World

#: Sinks commit, and become visible to readers, this often while something comes.
COMMIT_US = 100_000
#: A sink that cannot be reached is tried again after so long; the wait doubles up to the second one.
RETRY_US, RETRY_MAX_US = 200_000, 10_000_000
#: Who waits for room looks up this often.
WAIT_FOR_ROOM_S = 0.2


@dataclass(frozen=True, slots=True)
class Parcel:
    """Rows of one unit for one sink; a unit may come in several parcels, in order."""

    unit: int
    part: int
    frame: pl.DataFrame

    @property
    def bytes(self) -> int:
        return int(self.frame.estimated_size())


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the sinks were at one moment.

    Parameters
    ----------
    marks : by output, what its sink returned for its last commit.
    waiting : by output, the parcels up to that moment that its sink has not committed.
    """

    marks: Mapping[str, Remembered]
    waiting: Mapping[str, tuple[Parcel, ...]]


class PlainWriter:
    """A sink without tokens as a `DurableWriter`: every unit at least once."""

    def __init__(self, writer: Writer, mark: Remembered | None) -> None:
        self._writer = writer
        self._last = self._delivered = int(mark["unit"]) if mark is not None else -1

    @property
    def delivered(self) -> int:
        return self._delivered

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self._writer.write(frame)
        self._last = unit

    def flush(self) -> None:
        self._writer.flush()

    def commit(self) -> Remembered:
        self._writer.flush()
        return {"unit": self._last}

    def close(self) -> None:
        self._writer.close()


@dataclass(slots=True)
class Destination:
    """One sink, and what waits for it.

    Parameters
    ----------
    open : connects to the target, going back to a mark.
    mark : of the last commit.
    known : whether a checkpoint holds a mark. Before that nothing may be handed over: after a crash nobody
        could tell our rows from those that were in the target already.
    queued : parcels that were not handed over since the target was opened.
    sent : parcels that were handed over and are not committed.
    """

    name: str
    url: str
    open: Callable[[Remembered | None], DurableWriter]
    mark: Remembered | None = None
    known: bool = False
    writer: DurableWriter | None = None
    queued: deque[Parcel] = field(default_factory=deque)
    sent: deque[Parcel] = field(default_factory=deque)
    failures: int = 0
    retry_us: int = 0
    commit_due_us: int = 0
    trouble: str = ""

    def begin_with(self, writer: DurableWriter) -> int:
        """The target is open. Returns the bytes of parcels that it holds already, which are not sent again."""
        self.writer = writer
        self.queued.extendleft(reversed(self.sent))
        self.sent.clear()
        held = 0
        while self.queued and self.queued[0].unit <= writer.delivered:
            held += self.queued.popleft().bytes
        return held

    def disconnect(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()


class Delivery:
    """Hands units over to their sinks. `put` belongs to the engine; the rest may come from any thread.

    Parameters
    ----------
    outbox_bytes : results that may wait for their sinks; beyond, the engine waits.
    """

    def __init__(self, destinations: Mapping[int, Destination], world: World, *, outbox_bytes: int) -> None:
        self._outbox_bytes = outbox_bytes
        self._destinations = dict(destinations)
        self._world = world
        self._work = threading.RLock()
        self._changed = threading.Condition()
        self._bytes = 0
        self._complete = -1

    @property
    def waiting_bytes(self) -> int:
        """Results that no sink has committed yet."""
        return self._bytes

    @property
    def troubles(self) -> Mapping[str, str]:
        """By URL, why a sink takes nothing just now."""
        return {d.url: d.trouble for d in self._destinations.values() if d.trouble}

    def open(self) -> None:
        """Connect to every target. One that cannot be reached just now is tried again later."""
        for destination in self._destinations.values():
            self._serve(destination, -1, force=True)

    def put(self, output: int, unit: int, frame: pl.DataFrame) -> None:
        """Rows of a unit that was put out just now."""
        destination = self._destinations.get(output)
        if destination is None:
            return
        with self._changed:
            last = destination.queued[-1] if destination.queued else None
            part = last.part + 1 if last is not None and last.unit == unit else 0
            parcel = Parcel(unit, part, frame)
            if destination.writer is not None and unit <= destination.writer.delivered:
                return
            destination.queued.append(parcel)
            self._bytes += parcel.bytes

    def complete(self, unit: int) -> None:
        """Nothing more will be put for units up to this one."""
        with self._changed:
            self._complete = unit

    def wait_for_room(self, stopped: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
        """Return when results that wait are few enough, or the run is stopped.

        Parameters
        ----------
        meanwhile : called now and then, without the lock: who waits may have something else to do.
        """
        while not stopped():
            with self._changed:
                if self._bytes <= self._outbox_bytes:
                    return
                self._changed.wait(WAIT_FOR_ROOM_S)
                if self._bytes <= self._outbox_bytes:
                    return
            meanwhile()

    def step(self, synced: int, *, force: bool = False) -> None:
        """Hand over all complete units up to `synced`, and commit where it is time, or everywhere.

        Raises `SinkError` when a sink fails for good.
        """
        with self._work:
            synced = min(synced, self._complete)
            for destination in self._destinations.values():
                self._serve(destination, synced, force=force)

    def settle(self, unit: int, *, deliver: bool = True) -> Settled:
        """Hand over and commit everything up to a unit; what no sink takes now is in `Settled.waiting`.

        Parameters
        ----------
        deliver : whether to hand over anything.
        """
        with self._work:
            if deliver:
                self.step(unit, force=True)
            with self._changed:
                waiting = {
                    d.name: tuple(parcel for parcel in (*d.sent, *d.queued) if parcel.unit <= unit)
                    for d in self._destinations.values()
                }
            marks = {d.name: d.mark for d in self._destinations.values() if d.mark is not None}
        return Settled(marks, {name: parcels for name, parcels in waiting.items() if parcels})

    def kept(self, settled: Settled) -> None:
        """A checkpoint with these marks is on the disk."""
        for destination in self._destinations.values():
            destination.known |= destination.name in settled.marks

    def restore(self, name: str, parcels: Iterable[Parcel]) -> None:
        """Parcels of the outbox of an earlier run, before anything is put."""
        for destination in self._destinations.values():
            if destination.name == name:
                for parcel in parcels:
                    destination.queued.append(parcel)
                    self._bytes += parcel.bytes

    def next_us(self) -> int | None:
        """When `step` has something to do without anything new (monotonic)."""
        times = [d.retry_us for d in self._destinations.values() if d.retry_us]
        times += [d.commit_due_us for d in self._destinations.values() if d.sent and not d.retry_us]
        return min(times, default=None)

    def close(self) -> None:
        with self._work:
            for destination in self._destinations.values():
                destination.disconnect()

    def _serve(self, destination: Destination, synced: int, *, force: bool) -> None:
        now_us = self._world.clock.monotonic_us()
        if destination.retry_us > now_us and not force:
            return
        try:
            self._hand_over(destination, synced, now_us)
            if destination.sent and (force or now_us >= destination.commit_due_us):
                self._commit(destination)
            destination.failures, destination.retry_us, destination.trouble = 0, 0, ""
        except SinkUnavailable as error:
            self._failed(destination, error, now_us)
        except OSError as error:
            raise SinkError(f"cannot write: {error}", where=destination.url) from error

    def _hand_over(self, destination: Destination, synced: int, now_us: int) -> None:
        writer = destination.writer or self._connect(destination)
        while destination.known:
            with self._changed:
                if not destination.queued or destination.queued[0].unit > synced:
                    return
                parcel = destination.queued[0]
            writer.write(parcel.unit, parcel.frame)
            with self._changed:
                destination.queued.popleft()
                if not destination.sent:
                    destination.commit_due_us = now_us + getattr(writer, "commit_every_us", COMMIT_US)
                destination.sent.append(parcel)

    def _connect(self, destination: Destination) -> DurableWriter:
        writer = destination.open(destination.mark)
        if destination.mark is None:
            destination.mark = writer.commit()
        with self._changed:
            self._bytes -= destination.begin_with(writer)
            self._changed.notify_all()
        return writer

    def _commit(self, destination: Destination) -> None:
        assert destination.writer is not None
        destination.mark = destination.writer.commit()
        with self._changed:
            self._bytes -= sum(parcel.bytes for parcel in destination.sent)
            destination.sent.clear()
            self._changed.notify_all()

    def _failed(self, destination: Destination, error: RiverrunError, now_us: int) -> None:
        destination.disconnect()
        destination.failures += 1
        destination.trouble = error.problem
        wait_us = min(RETRY_MAX_US, RETRY_US * 2 ** (destination.failures - 1))
        destination.retry_us = now_us + wait_us
