"""Receiving within the byte budget of a run: when to ask a source for more, and when to make room instead."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.ports import Chunk, FrameChunk, HoldingReader
from riverrun.runtime.budget import Budget
from riverrun.runtime.pump import Pump

AnyChunk = Chunk | FrameChunk


class Metered:
    """One source, asked only while there is room.

    A source that sheds is asked all the same, or it would wait as one that does not: what it gives while
    there is no room is left out by the queue.
    """

    def __init__(self, pump: Pump, source: int, budget: Budget) -> None:
        self._pump = pump
        self._source = source
        self._budget = budget
        self._holding = pump.reader if isinstance(pump.reader, HoldingReader) else None
        self._sheds = pump.read.limits.overload != "block"

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return self._budget.paused

    @property
    def paused(self) -> bool:
        """Whether the source is not asked for now."""
        return self._budget.paused and not self._sheds

    def block(self, wanted_bytes: int) -> int:
        """How much to decode in one go."""
        return self._budget.block(wanted_bytes)

    def receive(self, max_bytes: int) -> list[AnyChunk]:
        """What has arrived; when all room is taken by lines that do not end, what becomes of one of them."""
        if self._holding is not None and self._budget.stuck(self._source):
            return list(self._holding.relieve())
        if not self.paused:
            return self._pump.receive(self._budget.portion(max_bytes))
        if self._holding is not None:
            self._holding.pause()
        return []

    def charge(self, chunks: Sequence[AnyChunk]) -> int:
        """Take what was received into account; the bytes that have to be released once it is applied."""
        size = sum(_bytes_of(chunk) for chunk in chunks)
        if size:
            self._budget.charge(size)
        if self._holding is not None:
            self._budget.hold(self._source, self._holding.held_bytes)
        return size

    def wait(self, timeout_s: float) -> None:
        """Return when there is something to do, or after a while."""
        self._budget.wait(self._source, timeout_s)

    def end(self) -> None:
        """The source is not asked any more."""
        self._budget.hold(self._source, 0)


def _bytes_of(chunk: AnyChunk) -> int:
    return len(chunk.data) if isinstance(chunk, Chunk) else int(chunk.frame.estimated_size())
