"""What a pipeline has received, run over again: the journal of a state folder in the place of its sources."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from riverrun.errors import StateError
from riverrun.plan.nodes import Read
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Source, Wait
from riverrun.runtime.job import distinct_names
from riverrun.runtime.log import Received, from_body, is_refed
from riverrun.runtime.pump import Pump
from riverrun.runtime.recovery import past_of, pump_memory
from riverrun.state.store import Store
from riverrun.world import World


class HistoryReader:
    """Chunks of one source, in the order in which they came, once.

    Parameters
    ----------
    chunks : taken out one by one.
    """

    def __init__(self, chunks: Sequence[Chunk | FrameChunk]) -> None:
        self._chunks = deque(chunks)
        open_ones = dict.fromkeys(chunk.partition for chunk in chunks)
        for chunk in chunks:
            if chunk.end:
                open_ones.pop(chunk.partition, None)
        last_us = chunks[-1].received_us if chunks else 0
        self._chunks += [Chunk(name, b"", 0, last_us, end=True, truncated=True) for name in open_ones]
        self._count = len(self._chunks)

    def poll(self, max_bytes: int) -> Sequence[Chunk | FrameChunk]:
        found: list[Chunk | FrameChunk] = []
        while self._chunks and max_bytes > 0:
            chunk = self._chunks.popleft()
            max_bytes -= len(chunk.data) if isinstance(chunk, Chunk) else max_bytes
            found.append(chunk)
        return found

    def wait(self) -> Wait:
        return Wait(until_us=0)

    @property
    def finished(self) -> bool:
        return not self._chunks

    @property
    def status(self) -> str:
        return f"from the journal: {self._count - len(self._chunks)} of {self._count} pieces"

    @property
    def counters(self) -> Mapping[str, int]:
        return {}

    def bookmark(self) -> Remembered:
        return {}

    def resume(self, bookmark: Remembered) -> None:
        del bookmark

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote), "the journal holds whole chunks"
        return chunk

    def close(self) -> None:
        self._chunks.clear()


def pumps_from_journal(path: str, reads: Sequence[Read], world: World) -> list[Pump]:
    """The sources of a pipeline as they were received by the run whose state this is.

    A source that can be read again (a file, a table) is read again from its beginning, once to its end.

    Raises
    ------
    StateError : when the folder is in use or damaged, or holds nothing of a source.
    """
    with Store.open(path, world, create=False, history=True) as store:
        past = past_of(store)
        chunks = _chunks_of(store)
    pumps = []
    for name, read in zip(distinct_names(read.name for read in reads), reads, strict=True):
        if read.source.replayable:
            pumps.append(Pump(read, world, reader=_once(read.source).open(world, read.limits)))
            continue
        if name not in chunks:
            known = ", ".join(map(repr, chunks)) or "nothing of any source"
            raise StateError(
                f"the journal holds nothing of the source {name!r}; it holds {known}",
                where=path,
                hint='rr.State("state/", history_bytes=...) says how much of what came is kept',
            )
        memory = pump_memory(past, name, replace(read, schema=None))
        # What had been found out is known; what is declared counts; nothing has been decoded yet.
        found = None if memory is None or read.schema is not None else replace(memory, partitions={})
        pumps.append(Pump(read, world, found, HistoryReader(chunks[name])))
    return pumps


def _chunks_of(store: Store) -> dict[str, list[Chunk | FrameChunk]]:
    found: dict[str, list[Chunk | FrameChunk]] = {}
    for frame in store.frames(0):
        record = from_body(frame.body, where=f"journal, record {frame.sequence}")
        if isinstance(record, Received):
            found.setdefault(record.source, []).extend(c for c in record.chunks if not is_refed(c.partition))
    return found


def _once(source: Any) -> Source:
    """The same, but a file that is followed is read to its end."""
    made: Source = replace(source, follow=False) if getattr(source, "follow", False) else source
    return made
