"""A run that keeps its state: every step of the engine is a record of the journal, and checkpoints follow.

There are no threads here. Threads (`riverrun.runtime.keeping`) or a simulation call `received` when bytes
come, `apply`, `tick` and `end` when the engine goes on, and `take` and `write` for a checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from riverrun.kernel.flow import Flow, Step
from riverrun.ports import Chunk, FrameChunk, Remembered
from riverrun.runtime.checkpoint import Checkpoint, RunMemory, SourceMemory, StepMemory, Writing
from riverrun.runtime.dead_letters import DeadLetter
from riverrun.runtime.delivery import Delivery
from riverrun.runtime.health import StateHealth
from riverrun.runtime.job import Job
from riverrun.runtime.log import Applied, Ended, Received, Record, Ticked, to_parts
from riverrun.runtime.pump import Arrival, PartitionMemory
from riverrun.runtime.queue import Item, Origin
from riverrun.runtime.said import Said
from riverrun.state.store import Store

#: A checkpoint is taken earlier after so many bytes of journal.
CHECKPOINT_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Progress:
    """How far one source has been applied.

    Parameters
    ----------
    replayable : whether its bytes can be read again, so that the journal need not hold them.
    """

    replayable: bool
    upto: int = 0
    bookmark: Remembered = field(default_factory=dict)
    partitions: dict[str, PartitionMemory] = field(default_factory=dict)
    ended: bool = False
    #: Records with bytes that have been received and not applied, oldest first.
    pending: list[int] = field(default_factory=list)

    def follow(self, origin: Origin) -> None:
        """Some chunks have been applied."""
        if origin.upto is not None:
            self.upto = origin.upto
        self.bookmark = origin.bookmark
        for name, memory in origin.partitions.items():
            if memory is None:
                self.partitions.pop(name, None)
            else:
                self.partitions[name] = memory


@dataclass(frozen=True, slots=True)
class Written:
    """The newest checkpoint on the disk, for those who look on.

    Parameters
    ----------
    count : of those that this run has written.
    input_bytes : what this run had put into the journal when it was taken.
    """

    count: int = 0
    position: int = 0
    at_us: int | None = None
    seconds: float = 0.0
    bytes: int = 0
    input_bytes: int = 0


class Durable:
    """The record of one run.

    Parameters
    ----------
    store : the open state folder; recovery is over.
    every_us : a checkpoint is due so long after the last, when something has happened.
    """

    def __init__(
        self,
        store: Store,
        job: Job,
        delivery: Delivery,
        progress: Sequence[Progress],
        writing: Writing,
        *,
        every_us: int,
    ) -> None:
        self.store = store
        self.job = job
        self.delivery = delivery
        self.progress = list(progress)
        self.position = 0
        self.unit = 0
        self.written = Written()
        self._writing = writing
        self._every_us = every_us
        self._letters: list[DeadLetter] = []
        self._lock = threading.Lock()
        self._input_bytes = self._taken_bytes = 0
        self._taken_us = job.world.clock.monotonic_us()
        self._dirty = False
        self._held: list[tuple[int, pl.DataFrame]] | None = None
        job.dead_letters.listener = self._letters.append
        job.state_health = self.health

    # -- what happens ---------------------------------------------------------------------------------

    def received(self, source: int, chunks: Sequence[Chunk | FrameChunk], *, notify: bool = True) -> int | None:
        """Write down chunks that cannot be read again; returns the number of the record.

        May be called from the source's thread. They are safe once the store has synced that record.

        Parameters
        ----------
        notify : as for `Store.append`.
        """
        progress = self.progress[source]
        if progress.replayable or not chunks:
            return None
        return self.keep(source, chunks, notify=notify)

    def keep(self, source: int, chunks: Sequence[Chunk | FrameChunk], *, notify: bool = True) -> int:
        """Write down chunks, whether or not they could be read again; the number of the record."""
        progress = self.progress[source]
        record = Received(self.job.source_ids[source], tuple(chunks))
        # In one go: a checkpoint in between would let go of the record before it is known to be needed.
        with self._lock:
            number = self.store.append(to_parts(record), notify=notify)
            progress.pending.append(number)
            self._input_bytes += sum(len(chunk.data) for chunk in chunks if isinstance(chunk, Chunk))
        return number

    def apply(self, item: Item) -> None:
        """Take in the arrivals of an item."""
        assert item.origin is not None
        now_us = self.job.world.clock.now_us()
        origin = item.origin
        record = Applied(self.job.source_ids[item.source], now_us, origin.upto, origin.notes)
        self._happen(record, lambda: self.take_in(item.source, item.arrivals, now_us, origin))

    def take_in(self, source: int, arrivals: Sequence[Arrival], now_us: int, origin: Origin) -> None:
        """What `Applied` stands for, now or in a replay."""
        self.job.take(source, arrivals, now_us)
        progress = self.progress[source]
        progress.follow(origin)
        with self._lock:
            while progress.pending and origin.upto is not None and progress.pending[0] <= origin.upto:
                progress.pending.pop(0)

    def tick(self) -> None:
        """Let happen what time alone has brought."""
        ticked = self.job.due()
        if ticked is not None:
            self._happen(ticked, lambda: self.job.pass_time(ticked))

    def end(self, source: int) -> None:
        """A source is over for good: all of its windows close."""
        if self.progress[source].ended:
            return
        self._happen(Ended(self.job.source_ids[source]), lambda: self.finish(source))

    def finish(self, source: int) -> None:
        """What `Ended` stands for, now or in a replay."""
        self.progress[source].ended = True
        self.job.end(source)

    def put(self, output: int, frame: pl.DataFrame) -> None:
        """Results that the engine has made just now."""
        if self._held is not None:
            self._held.append((output, frame))
        else:
            self.delivery.put(output, self.unit, frame)

    def _happen(self, record: Applied | Ticked | Ended, action: Callable[[], None]) -> None:
        """Write down what happens, and let it happen."""
        tables = self.job.tables
        tables.begin()
        if not tables.any:
            self.unit = self._append(record)
            action()
        else:
            # What tables say belongs into the record, and only then its number, and that of results, is known.
            held: list[tuple[int, pl.DataFrame]] = []
            self._held = held
            action()
            self._held = None
            self.unit = self._append(replace(record, said=tuple(tables.said or ())))
            for output, frame in held:
                self.put(output, frame)
        self._done()

    def begin_again(self, position: int, said: Sequence[Said]) -> None:
        """A record of an earlier run is about to happen again."""
        self.unit = position
        self.job.tables.begin(said)

    def replayed(self, position: int) -> None:
        """A record of an earlier run has happened again."""
        self.position = position
        self.delivery.complete(position)
        self._dirty = True

    def _append(self, record: Record) -> int:
        return self.store.append(to_parts(record))

    def _done(self) -> None:
        self.delivery.complete(self.unit)
        self.position = self.unit
        self._dirty = True

    # -- checkpoints ----------------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if self.store.crowded:
            return True
        if not self._dirty:
            return False
        elapsed_us = self.job.world.clock.monotonic_us() - self._taken_us
        return elapsed_us >= self._every_us or self._input_bytes - self._taken_bytes >= CHECKPOINT_BYTES

    def take(self, dropped_letters: Sequence[int] = ()) -> Checkpoint:
        """A checkpoint of this moment, by reference. Called between two records by whoever applies them."""
        job = self.job
        with self._lock:
            oldest = [progress.pending[0] for progress in self.progress if progress.pending]
            self._taken_bytes = self._input_bytes
        letters, self._letters[:] = tuple(self._letters), []
        self._taken_us = job.world.clock.monotonic_us()
        self._dirty = False
        run = RunMemory(
            job.name,
            self.position,
            min([self.position + 1, *oldest]),
            job.results,
            job.started_us,
            job.world.clock.now_us(),
        )
        sources = {job.source_ids[at]: self._source_memory(at) for at in range(len(job.pumps))}
        formats = {job.source_ids[at]: pump.format for at, pump in enumerate(job.pumps)}
        steps, states = {}, {}
        for at, step in enumerate(job.flow.steps):
            if step.operator is not None:
                counts = job.engine.counts[at]
                steps[step.id] = StepMemory(
                    step.signature, counts.rows_in, counts.rows_out, counts.late, counts.beyond
                )
                states[step.id] = job.engine.states[at]
        return Checkpoint(
            run, sources, formats, steps, states, letters, tuple(dropped_letters), self._taken_bytes
        )

    def write(self, checkpoint: Checkpoint, *, deliver: bool = True) -> None:
        """Put a checkpoint on the disk. May be called from another thread; one at a time.

        Parameters
        ----------
        deliver : whether results are handed over to the sinks first; otherwise all of them are kept with it.

        Raises `StateError` when it cannot be written, `SinkError` when a sink fails for good.
        """
        clock = self.job.world.clock
        began_us = clock.monotonic_us()
        position = checkpoint.run.position
        settled = self.delivery.settle(position, deliver=deliver)
        commit, writing = self._writing.commit_of(checkpoint, settled)
        self.store.checkpoint(commit)
        self._writing = writing
        self.delivery.kept(settled)
        seconds = (clock.monotonic_us() - began_us) / 1e6
        self.written = Written(
            self.written.count + 1, position, clock.now_us(), seconds, commit.bytes, checkpoint.input_bytes
        )

    # -- what can be seen -----------------------------------------------------------------------------

    def health(self) -> StateHealth:
        """How it is at this moment; may be called from any thread, and waits for none."""
        store, delivery, written = self.store, self.delivery, self.written
        return StateHealth(
            folder=store.path,
            appended=store.appended,
            synced=store.synced,
            applied=self.position,
            checkpoints=written.count,
            checkpoint_applied=written.position,
            checkpoint_us=written.at_us,
            checkpoint_s=written.seconds,
            checkpoint_bytes=written.bytes,
            uncovered_bytes=self._input_bytes - written.input_bytes,
            full=store.full,
            waiting_bytes=delivery.waiting_bytes,
            troubles=delivery.troubles,
            recovery=store.recovery.text,
            recovery_s=store.recovery.seconds,
        )

    def _source_memory(self, at: int) -> SourceMemory:
        job, progress = self.job, self.progress[at]
        pump, intake = job.pumps[at], job.intakes[at]
        assert pump.schema is not None
        with job.lock:
            remembered = intake.remember()
            reasons = dict(job.dead_letters.reasons(intake.read.name))
        return SourceMemory(
            schema=pump.schema,
            format_name=pump.format.name if pump.format is not None else None,
            intake=remembered,
            upto=progress.upto,
            bookmark=progress.bookmark,
            partitions=dict(progress.partitions),
            ended=progress.ended,
            reasons=reasons,
        )


def output_ids(flow: Flow) -> list[str]:
    """A name for every output that stays the same when the plan around it changes."""
    made: list[str] = []
    for output, at in flow.outputs:
        step: Step = flow.steps[at]
        name = f"{step.id} -> {output.sink.url}" if output.sink is not None else f"{step.id} -> dashboard"
        count = sum(other == name or other.startswith(f"{name} #") for other in made)
        made.append(name if not count else f"{name} #{count + 1}")
    return made
