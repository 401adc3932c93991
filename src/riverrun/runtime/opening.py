"""The start of a run that keeps its state: the job comes to stand where that of the last run stood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from riverrun.errors import PlanError
from riverrun.plan.nodes import Output, Read
from riverrun.ports import Chunk, DurableWriter, Remembered
from riverrun.runtime.checkpoint import Writing
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.delivery import Delivery, Destination, PlainWriter
from riverrun.runtime.durable import Durable, output_ids
from riverrun.runtime.ends import Page
from riverrun.runtime.job import Job, distinct_names
from riverrun.runtime.keeping import Keeper, ends_of
from riverrun.runtime.loop import Kept
from riverrun.runtime.metering import AnyChunk
from riverrun.runtime.pump import Pump, PumpMemory
from riverrun.runtime.receiving import Gathered, Intaking
from riverrun.runtime.recovery import (
    Left,
    Past,
    parcels_of,
    past_of,
    progress_of,
    pump_memory,
    replay,
    restore_job,
)
from riverrun.runtime.stop import Stop
from riverrun.state.describe import State
from riverrun.state.settings import StoreSettings
from riverrun.state.snapshot import FrameNumbers
from riverrun.state.store import Store
from riverrun.world import World


@dataclass(slots=True)
class OpenState:
    """An open state folder, before the pipeline stands.

    Parameters
    ----------
    past : what the last run left; ``None`` in a new folder.
    bookmarks : of every source, before it was asked for anything.
    """

    state: State
    store: Store
    past: Past | None
    bookmarks: list[Remembered] = field(default_factory=list)

    @staticmethod
    def open(state: State, world: World, settings: StoreSettings | None = None) -> OpenState:
        """Open or make the folder. Raises `StateError` when it is in use, damaged or not ours."""
        return OpenState.of(state, Store.open_for_run(state, world, settings))

    @staticmethod
    def of(state: State, store: Store) -> OpenState:
        """What is in an open folder; it is closed when that cannot be read."""
        try:
            return OpenState(state, store, past_of(store))
        except BaseException:
            store.close()
            raise

    def memories(self, reads: Sequence[Read]) -> list[PumpMemory | None]:
        """What the pumps of these sources need to go on."""
        names = distinct_names(read.name for read in reads)
        return [pump_memory(self.past, name, read) for name, read in zip(names, reads, strict=True)]

    def resume(self, pumps: Sequence[Pump]) -> None:
        """Let every reader go on where the last run stood."""
        names = distinct_names(pump.read.name for pump in pumps)
        for name, pump in zip(names, pumps, strict=True):
            memory = self.past.sources.get(name) if self.past is not None else None
            if memory is not None:
                pump.reader.resume(memory.bookmark)
            self.bookmarks.append(pump.reader.bookmark())

    def close(self) -> None:
        self.store.close()


def start_kept(
    outputs: Sequence[Output],
    name: str,
    pumps: Sequence[Pump],
    world: World,
    letters: DeadLetters,
    page: Page,
    opened: OpenState,
    stop: Stop,
    stack: ExitStack,
) -> tuple[Job, Kept, list[Intaking]]:
    """A job that stands where the last run stood, and the threads that keep it from now on."""
    durable, left = recovered(outputs, name, pumps, world, letters, page, opened)
    stack.callback(durable.delivery.close)
    keeper = Keeper(durable, stop)
    keeper.start()
    stack.callback(keeper.abandon)
    return durable.job, Kept(keeper, stop), [_intaking(at, keeper, left[at]) for at in range(len(pumps))]


def recovered(
    outputs: Sequence[Output],
    name: str,
    pumps: Sequence[Pump],
    world: World,
    letters: DeadLetters,
    page: Page,
    opened: OpenState,
    kind: type[Durable] = Durable,
) -> tuple[Durable, list[Left]]:
    """The record of a run, with all that the last run left; and what its sources had not finished.

    Parameters
    ----------
    kind : another class of records, for tests that plant a mistake in one.
    """
    _check(pumps)
    made: list[Durable] = []

    def deliver(output: int, frame: pl.DataFrame) -> None:
        made[0].put(output, frame)
        page.publish(output, frame)

    job = Job(name, outputs, pumps, world, letters, deliver)
    store, past = opened.store, opened.past
    numbers = restore_job(job, past, store, opened.state.drop) if past is not None else None
    outbox_bytes = opened.state.outbox_bytes
    delivery = Delivery(_destinations(job, store, past, world), world, outbox_bytes=outbox_bytes)
    parcels = parcels_of(store)
    for output, waiting in parcels.items():
        delivery.restore(output, waiting)
    delivery.open()
    newest = store.dead_letters.list(limit=1)
    writing = Writing(
        numbers if numbers is not None else FrameNumbers(),
        {(n, p.unit, p.part): p for n, waiting in parcels.items() for p in waiting},
        frozenset(past.steps) if past is not None else frozenset(),
        newest[0].id if newest else 0,
    )
    progress = progress_of(past, job, opened.bookmarks)
    durable = kind(store, job, delivery, progress, writing, every_us=opened.state.every_us)
    made.append(durable)
    left = [Left() for _ in pumps]
    if past is not None:
        durable.replayed(past.run.position)
        left = replay(durable, past)
    # Results are kept before they are handed over: what was read here may live in the page cache only.
    durable.write(durable.take(), deliver=False)
    store.begin()
    return durable, [_with_ends(durable, at, left[at]) for at in range(len(pumps))]


def _with_ends(durable: Durable, at: int, left: Left) -> Left:
    """Partitions that cannot go on, because their connections are gone, end here."""
    pump, progress = durable.job.pumps[at], durable.progress[at]
    if progress.replayable or progress.ended:
        return left
    open_ones = dict.fromkeys(progress.partitions)
    for chunk in left.chunks:
        open_ones[chunk.partition] = None
        if chunk.end:
            del open_ones[chunk.partition]
    lasting = set(getattr(pump.reader, "lasting", ()))
    now_us = durable.job.world.clock.now_us()
    ends = [Chunk(name, b"", 0, now_us, end=True, truncated=True) for name in open_ones if name not in lasting]
    if ends:
        left.upto = durable.received(at, ends)
        left.chunks += ends
    return left


def _intaking(at: int, keeper: Keeper, left: Left) -> Intaking:
    job = keeper.durable.job

    def write_down(chunks: Sequence[AnyChunk], at_once: bool) -> int | None:
        record = keeper.durable.received(at, chunks, notify=not at_once)
        if record is not None:
            keeper.promise(at, record, ends_of(chunks))
            if at_once:
                keeper.sync()
        return record

    bookmark = job.pumps[at].reader.bookmark()
    rest = Gathered(tuple(left.chunks), left.upto, bookmark)
    store = keeper.durable.store
    return Intaking(at, job, write_down, rest, lambda: store.full or store.crowded)


def _check(pumps: Sequence[Pump]) -> None:
    for pump in pumps:
        if getattr(pump.read.source, "pace", None) is not None:
            raise PlanError(
                "a replay at the pace of event time keeps no state",
                where=pump.read.label,
                hint="leave out replay= (the results are the same), or leave out state=",
            )


def _destinations(job: Job, store: Store, past: Past | None, world: World) -> dict[int, Destination]:
    made = {}
    for number, name in enumerate(output_ids(job.flow)):
        output, at = job.flow.outputs[number]
        if output.sink is None:
            continue
        typed = job.flow.steps[at].typed
        mark = past.marks.get(name) if past is not None else None
        opener = _opener(output, dict(typed.columns), typed.keys, f"{store.id}/{name}", world)
        made[number] = Destination(name, output.sink.url, opener, mark, known=mark is not None)
    return made


def _opener(
    output: Output, columns: dict[str, pl.DataType], keys: Sequence[str], stream: str, world: World
) -> Callable[[Remembered | None], DurableWriter]:
    sink = output.sink
    assert sink is not None
    open_durable = getattr(sink, "open_durable", None)

    def connect(mark: Remembered | None) -> DurableWriter:
        if open_durable is None:
            return PlainWriter(sink.open(world, columns, keys), mark)
        writer: DurableWriter = open_durable(world, columns, keys, stream=stream, mark=mark)
        return writer

    return connect
