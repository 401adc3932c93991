"""The threads of a run that keeps its state: syncing the journal, handing results over, writing checkpoints.

The one that writes checkpoints also makes the savepoints that others ask for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from riverrun.clock import Clock
from riverrun.errors import StateFullError
from riverrun.ports import Chunk, Reader
from riverrun.runtime.checkpoint import Checkpoint
from riverrun.runtime.durable import Durable
from riverrun.runtime.stop import Stop
from riverrun.state.group_commit import GroupCommit

#: A waiting thread looks up at least this often.
LOOK_UP_S = 0.1
#: A full disk is asked for space this often.
FULL_S = 0.5
#: A run that ends waits so long for space on a full disk.
FULL_AT_END_US = 2_000_000


class Keeper:
    """Runs the threads, and knows the first thing that failed in one of them."""

    def __init__(self, durable: Durable, stop: Stop) -> None:
        self.durable = durable
        self._stop = stop
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._checkpoints: deque[Checkpoint] = deque()
        self._writing = False
        self._told = 0
        self._delivered = -1
        self._ended = False
        self._give_up_us: int | None = None
        self._acks = [Promises(pump.reader) for pump in durable.job.pumps]
        self._group_commit = GroupCommit(durable.store, [self._synced], self._failed)
        self._threads = [
            threading.Thread(target=self._deliver, name="riverrun-delivery", daemon=True),
            threading.Thread(target=self._write, name="riverrun-checkpoint", daemon=True),
        ]

    def start(self) -> None:
        self._group_commit.start()
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Raise what has failed in one of the threads."""
        if self._failure is not None:
            raise self._failure

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def promise(self, source: int, record: int, ends: Mapping[str, int]) -> None:
        """Once a record is on the disk, tell the senders of a source that everything before `ends` is safe."""
        self._acks[source].promise(record, ends)
        if self.durable.store.synced >= record:
            self._acks[source].keep(self.durable.store.synced)

    def sync(self) -> None:
        """Put what was written down on the disk and tell its senders, in the thread of the caller."""
        self._group_commit.sync()

    def between_records(self) -> None:
        """Called by the thread that applies records, after each: take a checkpoint when it is time."""
        if self._delivered < self.durable.position <= self.durable.store.synced:
            # The record was on the disk before its results were complete: no sync wakes who delivers them.
            self._wake()
        if self.durable.due and not self._writing and not self._checkpoints:
            self._enqueue(self.durable.take())

    def close(self, *, complete: bool) -> None:
        """End the threads.

        Parameters
        ----------
        complete : whether to write a last checkpoint with everything that was applied.

        Raises `StateFullError` when the disk is full and stays so for a while: nobody would know when there is
        space again. What is not on it was not acknowledged either.
        """
        self._give_up_us = self._clock.monotonic_us() + FULL_AT_END_US
        try:
            if complete and self._failure is None:
                self._enqueue(self.durable.take())
                with self._changed:
                    while (self._checkpoints or self._writing) and self._failure is None:
                        self._changed.wait(LOOK_UP_S)
        finally:
            self.abandon()
        self.check()

    def abandon(self) -> None:
        """End the threads, whatever has happened; may be called after `close`."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)
        self._group_commit.stop()

    @property
    def _clock(self) -> Clock:
        return self.durable.job.world.clock

    def _enqueue(self, checkpoint: Checkpoint) -> None:
        with self._changed:
            self._checkpoints.append(checkpoint)
            self._changed.notify_all()

    def _synced(self, record: int) -> None:
        for acks in self._acks:
            acks.keep(record)
        told, self._told = self._told, record
        if told < self.durable.unit:
            # With the other ones just bytes have become safe, which no thread here waits for.
            self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop.now("error")
        self._wake()

    def _deliver(self) -> None:
        durable = self.durable
        clock = self._clock
        try:
            while True:
                with self._changed:
                    if self._ended or self._failure is not None:
                        return
                    ready = min(durable.store.synced, durable.position)
                    due_us = durable.delivery.next_us()
                    if ready <= self._delivered and (due_us is None or due_us > clock.monotonic_us()):
                        wait_s = LOOK_UP_S if due_us is None else (due_us - clock.monotonic_us()) / 1e6
                        self._changed.wait(max(0.0, min(LOOK_UP_S, wait_s)))
                        ready = min(durable.store.synced, durable.position)
                durable.delivery.step(ready)
                self._delivered = ready
        except Exception as error:
            self._failed(error)

    def _write(self) -> None:
        look_us = 0
        try:
            while True:
                if (now_us := self._clock.monotonic_us()) >= look_us:
                    self.durable.store.answer_requests()
                    look_us = now_us + int(LOOK_UP_S * 1e6)
                with self._changed:
                    if not self._checkpoints:
                        if self._ended or self._failure is not None:
                            return
                        self._changed.wait(LOOK_UP_S)
                    if not self._checkpoints:
                        continue
                    self._writing = True
                    checkpoint = self._checkpoints.popleft()
                self._wait_synced(checkpoint.run.position)
                self._write_one(checkpoint)
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()
        except Exception as error:
            self._failed(error)

    def _write_one(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; while the disk is full, wait for space."""
        while not self._ended and self._failure is None:
            try:
                self.durable.write(checkpoint)
                return
            except StateFullError as error:
                if self._give_up_us is not None and self._clock.monotonic_us() >= self._give_up_us:
                    raise _ended_full(error) from None
                with self._changed:
                    self._changed.wait(FULL_S if self._give_up_us is None else LOOK_UP_S)

    def _wait_synced(self, record: int) -> None:
        with self._changed:
            while self.durable.store.synced < record and self._failure is None:
                if self._give_up_us is not None and self.durable.store.full:
                    return  # the one who writes asks for space himself
                self._changed.wait(LOOK_UP_S)
        self.check()


def _ended_full(error: StateFullError) -> StateFullError:
    return StateFullError(
        "the disk is full, so the run ends without its last checkpoint; all that was acknowledged is in the "
        "journal, and nothing else was",
        where=error.where,
        hint="remove something from this disk, then start again: it goes on where it stood",
    )


class Promises:
    """What the senders of one source are told once records are on the disk."""

    def __init__(self, reader: Reader) -> None:
        self._tell = getattr(reader, "acknowledge", None)
        self._promised: deque[tuple[int, Mapping[str, int]]] = deque()
        self._lock = threading.Lock()

    def promise(self, record: int, ends: Mapping[str, int]) -> None:
        if self._tell is not None:
            with self._lock:
                self._promised.append((record, ends))

    def keep(self, synced: int) -> None:
        if self._tell is None:
            return
        safe: dict[str, int] = {}
        with self._lock:
            while self._promised and self._promised[0][0] <= synced:
                safe.update(self._promised.popleft()[1])
        if safe:
            self._tell(safe)


def ends_of(chunks: Sequence[object]) -> dict[str, int]:
    """How far each partition has come behind some chunks."""
    return {c.partition: c.position + len(c.data) for c in chunks if isinstance(c, Chunk)}
