"""From a running source to rows: bytes are received, cut into records, and decoded.

A pump is polled and never blocks, so that a thread or a simulation may drive it. Its first bytes tell
format and schema when these are not declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import polars as pl

from riverrun.errors import SchemaError
from riverrun.plan.nodes import Read
from riverrun.ports import (
    Chunk,
    Decoded,
    Decoder,
    Format,
    FrameChunk,
    JoinableDecoder,
    PiecewiseDecoder,
    Reader,
    Rejected,
    Remembered,
    Wait,
)
from riverrun.registry import Entry
from riverrun.runtime.conform import conform, schema_of_frame
from riverrun.runtime.joint import Joint, Piece
from riverrun.schema import Schema
from riverrun.world import World

#: Bytes and time that are gathered before format and schema are found out.
HEAD_BYTES = 64 * 1024
HEAD_US = 300_000

#: Bytes decoded in one go when the engine is behind: large blocks are cheaper for each row. From 8 MiB on the
#: allocator of Polars gives every piece of memory back at once, and each block pays for it anew.
BLOCK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """Rows of one partition, decoded.

    Parameters
    ----------
    bytes : raw bytes, or an estimate for frames; what the byte budget counts.
    first_row : how many rows of the partition came before.
    end : the partition is over.
    longest_keys : of text columns that are grouping keys, the bytes that no value exceeds, where known.
    """

    partition: str
    frame: pl.DataFrame
    rejected: tuple[Rejected, ...] = ()
    blank: int = 0
    bytes: int = 0
    received_us: int = 0
    first_row: int = 0
    end: bool = False
    counters: dict[str, int] = field(default_factory=dict)
    longest_keys: Mapping[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return self.frame.height + len(self.rejected)

    def emptied(self) -> Arrival:
        """What is left of it without its records: that the partition is over, if it is."""
        return Arrival(
            self.partition,
            self.frame.clear(),
            received_us=self.received_us,
            first_row=self.first_row + self.frame.height,
            end=self.end,
        )


@dataclass(frozen=True, slots=True)
class PartitionMemory:
    """Where the decoding of one partition stands.

    Parameters
    ----------
    rows : how many it has had.
    decoder : what its decoder remembers; ``None`` for rows that need no decoding.
    """

    rows: int
    decoder: Remembered | None = None


@dataclass(frozen=True, slots=True)
class PumpMemory:
    """What a pump needs to go on after a restart: what was found out once, and where every partition stands."""

    schema: Schema
    format: Format | None
    partitions: Mapping[str, PartitionMemory] = field(default_factory=dict)


class Pump:
    """One source and what turns its bytes into rows.

    Parameters
    ----------
    memory : where an earlier run stood.
    reader : gives the chunks in place of the source.
    """

    def __init__(
        self, read: Read, world: World, memory: PumpMemory | None = None, reader: Reader | None = None
    ) -> None:
        self.read = read
        self.world = world
        self.format: Format | None = read.format
        self.schema: Schema | None = read.schema
        self._sniffing = read.source.format_hint != "frame" and (read.format is None or read.schema is None)
        self._head: list[Chunk | FrameChunk] = []
        self._decoders: dict[str, Decoder] = {}
        self._rows: dict[str, int] = {}
        self._joint: Joint | None = None
        if memory is not None:
            self._remember(memory)
        self.reader: Reader = reader if reader is not None else read.source.open(world, read.limits)

    def _remember(self, memory: PumpMemory) -> None:
        self.schema, self.format = memory.schema, memory.format
        self._sniffing = False
        for partition, known in memory.partitions.items():
            self._rows[partition] = known.rows
            if known.decoder is not None:
                assert self.format is not None
                self._decoders[partition] = self.format.open(self.schema, self.read.limits, known.decoder)

    def memory_of(self, arrivals: Iterable[Arrival]) -> dict[str, PartitionMemory | None]:
        """Where the partitions of some arrivals stand behind them; ``None``: they are over."""
        found: dict[str, PartitionMemory | None] = {}
        for arrival in arrivals:
            decoder = self._decoders.get(arrival.partition)
            remembered = decoder.snapshot() if decoder is not None else None
            rows = self._rows.get(arrival.partition)
            found[arrival.partition] = None if rows is None else PartitionMemory(rows, remembered)
        return found

    @property
    def ready(self) -> bool:
        """Whether the schema is known, so that the plan can be made ready."""
        return self.schema is not None and not self._sniffing

    @property
    def finished(self) -> bool:
        return self.reader.finished and not self._head

    def wait(self) -> Wait:
        wait = self.reader.wait()
        if self._sniffing and self._head:
            due_us = self.world.clock.monotonic_us() + HEAD_US // 4
            return Wait(wait.ready, due_us if wait.until_us is None else min(wait.until_us, due_us))
        return wait

    def receive(self, max_bytes: int = BLOCK_BYTES) -> list[Chunk | FrameChunk]:
        """What has arrived, not yet decoded."""
        return list(self.reader.poll(max_bytes))

    def look(self, chunks: Sequence[Chunk | FrameChunk]) -> bool:
        """Find out format and schema from what was received, and hold it back for the next `decode`.

        Returns whether they are known. In between, `schema` and `read` may still be changed.
        """
        self._head += chunks
        if self._sniffing:
            self._sniff()
        elif self.schema is None and self._head and isinstance(self._head[0], FrameChunk):
            self.schema = schema_of_frame(self._head[0].frame, None)
        return self.ready

    @property
    def held(self) -> tuple[Chunk | FrameChunk, ...]:
        """What is held back until the next `decode`."""
        return tuple(self._head)

    def let_go(self) -> tuple[Chunk | FrameChunk, ...]:
        """What was held back, for the caller to hand to `decode`."""
        held, self._head = tuple(self._head), []
        return held

    def decode(self, chunks: Sequence[Chunk | FrameChunk]) -> list[Arrival]:
        """Rows of what was received. Chunks of one partition are decoded in one go."""
        if self._sniffing:
            if not self.look(chunks):
                return []
        else:
            self._head += chunks
        chunks, self._head = self._head, []
        frames = [self._framed(chunk) for chunk in chunks if isinstance(chunk, FrameChunk)]
        raw = [chunk for chunk in chunks if isinstance(chunk, Chunk)]
        groups = _by_partition(raw)
        together = self._decoded_together(groups) if len(groups) > 1 else {}
        return frames + [together.get(group[0].partition) or self._decoded(group) for group in groups]

    def close(self) -> None:
        self.reader.close()

    # -- frames -------------------------------------------------------------------------------------

    def _framed(self, chunk: FrameChunk) -> Arrival:
        if self.schema is None:
            self.schema = schema_of_frame(chunk.frame, self.read.time)
        frame = conform(chunk.frame, self.schema, where=self.read.label)
        size = int(frame.estimated_size())
        first_row = self._rows_before(chunk.partition, frame.height, end=chunk.end)
        return Arrival(
            chunk.partition,
            frame,
            bytes=size,
            received_us=chunk.received_us,
            first_row=first_row,
            end=chunk.end,
        )

    # -- bytes --------------------------------------------------------------------------------------

    def _sniff(self) -> None:
        """Tell format and schema as soon as enough has come."""
        if not self._enough():
            return
        head, complete = self._head_bytes()
        if head or self.reader.finished:
            self._infer(head, complete=complete)

    def _enough(self) -> bool:
        if self.reader.finished:
            return True
        if not self._head:
            return False
        size = sum(len(chunk.data) for chunk in self._raw_head())
        waited_us = self.world.clock.now_us() - self._head[0].received_us
        return size >= HEAD_BYTES or (waited_us >= HEAD_US and b"\n" in self._head_bytes()[0])

    def _head_bytes(self) -> tuple[bytes, bool]:
        """The first bytes of the first partition that has some, and whether that is all of it."""
        chunks = self._raw_head()
        for partition in dict.fromkeys(chunk.partition for chunk in chunks):
            own = [chunk for chunk in chunks if chunk.partition == partition]
            data = b"".join(chunk.data for chunk in own)
            if data:
                return data, own[-1].end
        return b"", self.reader.finished

    def _raw_head(self) -> list[Chunk]:
        return [chunk for chunk in self._head if isinstance(chunk, Chunk)]

    def _infer(self, head: bytes, *, complete: bool) -> None:
        if not head and self.schema is None:
            raise SchemaError(
                "the input is empty, so its columns cannot be found out",
                where=self.read.label,
                hint='declare them: schema={"ts": pl.Datetime("ms"), "price": pl.Float64}',
            )
        sniff = Entry("riverrun.formats.sniff:sniff", "sniff").load("sniff")
        made = self.format if self.format is not None else sniff(head, complete=complete)
        if self.schema is None:
            try:
                made, self.schema = made.infer(head, complete=complete)
            except SchemaError as error:
                raise SchemaError(
                    error.problem, where=error.where or self.read.label, hint=error.hint
                ) from None
        self.format = made
        self._sniffing = False

    def _decoded_together(self, groups: Sequence[list[Chunk]]) -> dict[str, Arrival]:
        """The arrivals of those partitions whose lines can be decoded in one go."""
        known = [(group, self._decoders.get(group[0].partition)) for group in groups if not group[-1].end]
        found = [(group, decoder) for group, decoder in known if decoder is not None]
        # All are of one kind, and asking each of them would cost as much as decoding a line.
        if len(found) < 2 or not isinstance(found[0][1], JoinableDecoder):
            return {}
        able = cast(list[tuple[list[Chunk], JoinableDecoder]], found)
        if self._joint is None:
            assert self.format is not None
            assert self.schema is not None
            self._joint = Joint(self.format, self.schema, self.read.limits)
        pieces = [Piece(decoder, _data_of(group)) for group, decoder in able]
        arrivals = {}
        for (group, _), piece, decoded in zip(able, pieces, self._joint.decode(pieces), strict=True):
            if decoded is not None:
                arrivals[group[0].partition] = self._arrived(group, [decoded], len(piece.data))
        return arrivals

    def _decoded(self, chunks: list[Chunk]) -> Arrival:
        partition, last = chunks[0].partition, chunks[-1]
        decoder = self._decoders.get(partition)
        if decoder is None:
            assert self.format is not None
            assert self.schema is not None
            decoder = self._decoders[partition] = self.format.open(self.schema, self.read.limits)
        pieces = [chunk.data for chunk in chunks if chunk.data]
        results = [_fed(decoder, pieces, chunks[0].received_us)] if pieces else []
        if last.end:
            results.append(decoder.finish(truncated=last.truncated))
            del self._decoders[partition]
        return self._arrived(chunks, results, sum(map(len, pieces)))

    def _arrived(self, chunks: Sequence[Chunk], results: Sequence[Decoded], size: int) -> Arrival:
        """What came of some chunks of one partition, `size` bytes."""
        assert self.schema is not None
        partition, end = chunks[0].partition, chunks[-1].end
        frames = [result.frame for result in results if result.frame.height]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames) if frames else self.schema.empty()
        counters: dict[str, int] = {}
        for result in results:
            for name, count in result.counters.items():
                counters[name] = counters.get(name, 0) + count
        return Arrival(
            partition,
            frame,
            _rejected(results),
            sum(result.blank for result in results),
            size,
            chunks[0].received_us,
            self._rows_before(partition, frame.height, end=end),
            end,
            counters,
        )

    def _rows_before(self, partition: str, height: int, *, end: bool) -> int:
        """How many rows of a partition came before these."""
        before = self._rows.pop(partition, 0)
        if not end:
            self._rows[partition] = before + height
        return before


def _rejected(results: Sequence[Decoded]) -> tuple[Rejected, ...]:
    """All bad records, with their place among the rows of all results."""
    found: list[Rejected] = []
    rows = 0
    for result in results:
        found += (
            [replace(item, rows_before=item.rows_before + rows) for item in result.rejected]
            if rows
            else result.rejected
        )
        rows += result.frame.height
    return tuple(found)


def _fed(decoder: Decoder, pieces: Sequence[bytes], received_us: int) -> Decoded:
    if len(pieces) > 1 and isinstance(decoder, PiecewiseDecoder):
        return decoder.feed_pieces(pieces, received_us)
    return decoder.feed(b"".join(pieces), received_us)


def _data_of(chunks: Sequence[Chunk]) -> bytes:
    return chunks[0].data if len(chunks) == 1 else b"".join(chunk.data for chunk in chunks)


def _by_partition(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    groups: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault(chunk.partition, []).append(chunk)
    return list(groups.values())
