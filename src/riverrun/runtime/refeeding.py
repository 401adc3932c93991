"""Dead letters that are fed again, after a pipeline was mended: each is a partition of its own.

What is fed becomes part of the journal like anything that a source receives, so that a crash in between neither
loses nor doubles it. What is refused again becomes a new dead letter; the old ones are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
import polars as pl

from riverrun.errors import StateError
from riverrun.plan.nodes import Output, sources_of
from riverrun.ports import Chunk, FrameChunk
from riverrun.runtime.conform import conform
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.durable import Durable
from riverrun.runtime.ends import Page
from riverrun.runtime.log import REFED
from riverrun.runtime.opening import OpenState, recovered
from riverrun.runtime.pump import Pump
from riverrun.runtime.queue import Item, Origin
from riverrun.state.dead_letters import DeadLetterRow
from riverrun.state.describe import State
from riverrun.world import World

#: Dead letters that are read from the store, and fed, in one go.
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Refed:
    """What came of it.

    Parameters
    ----------
    fed : how many were fed.
    applied : of those, how many became rows that count, or were late.
    refused : how many became dead letters again.
    left : how many were left as they are: the record was too long to be kept, or its source is gone.
    """

    fed: int
    applied: int
    refused: int
    left: int


def refeed(
    outputs: Sequence[Output],
    name: str,
    state: State,
    world: World,
    *,
    source: str | None = None,
    reason: str | None = None,
) -> Refed:
    """Feed the dead letters of a state folder into the pipeline that it belongs to.

    Parameters
    ----------
    source, reason : only those of this source, with this reason.

    Raises
    ------
    StateError : when the folder is in use, or does not fit the pipeline.
    """
    with ExitStack() as stack:
        opened = OpenState.open(state, world)
        stack.callback(opened.close)
        if opened.past is None:
            raise StateError("there is no state yet, so there are no dead letters", where=state.path)
        reads = sources_of(*(output.node for output in outputs))
        pumps = []
        for read, memory in zip(reads, opened.memories(reads), strict=True):
            pump = Pump(read, world, memory)
            stack.callback(pump.close)
            pumps.append(pump)
        opened.resume(pumps)
        letters = list(_letters(opened, source, reason))
        durable, _ = recovered(outputs, name, pumps, world, DeadLetters(world), Page(), opened)
        stack.callback(durable.delivery.close)
        return _fed(durable, letters)


def _letters(opened: OpenState, source: str | None, reason: str | None) -> Iterator[DeadLetterRow]:
    before: int | None = None
    while page := opened.store.dead_letters.list(source=source, reason=reason, before=before, limit=PAGE):
        yield from page
        before = page[-1].id


def _fed(durable: Durable, letters: Sequence[DeadLetterRow]) -> Refed:
    job = durable.job
    refused_before = sum(job.dead_letters.counts.values())
    places = {intake.read.name: at for at, intake in enumerate(job.intakes)}
    usable = [letter for letter in reversed(letters) if letter.record is not None and letter.source in places]
    for first in range(0, len(usable), PAGE):
        for at in range(len(job.pumps)):
            some = [letter for letter in usable[first : first + PAGE] if places[letter.source] == at]
            if some:
                _feed(durable, at, some)
    durable.store.sync()
    checkpoint = durable.take(dropped_letters=[letter.id for letter in usable])
    durable.write(checkpoint)
    refused = sum(job.dead_letters.counts.values()) - refused_before
    return Refed(len(usable), len(usable) - refused, refused, len(letters) - len(usable))


def _feed(durable: Durable, at: int, letters: Sequence[DeadLetterRow]) -> None:
    job = durable.job
    pump = job.pumps[at]
    chunks = [_chunk(letter, pump) for letter in letters]
    record = durable.keep(at, chunks)
    arrivals = pump.decode(chunks)
    job.received(at, arrivals)
    origin = Origin(record, (), durable.progress[at].bookmark, pump.memory_of(arrivals))
    durable.apply(Item(at, tuple(arrivals), origin=origin))


def _chunk(letter: DeadLetterRow, pump: Pump) -> Chunk | FrameChunk:
    partition = f"{REFED}{letter.id}"
    assert letter.record is not None
    if letter.form == "row":
        assert pump.schema is not None
        values = orjson.loads(letter.record)
        row = pl.DataFrame({name: [value] for name, value in values.items()})
        frame = conform(row, pump.schema, where=f"dead letter {letter.id}")
        return FrameChunk(partition, frame, 0, letter.received_us, end=True)
    header = b"" if letter.header is None else letter.header.rstrip(b"\r\n") + b"\n"
    return Chunk(partition, header + letter.record + b"\n", 0, letter.received_us, end=True)
