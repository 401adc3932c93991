"""What a source, a format and a sink are: the protocols that connect systems to the engine.

A description (`Source`, `Format`, `Sink`) is a frozen dataclass that can be compared and printed.
Its ``open`` builds what runs (`Reader`, `Decoder`, `Writer`). A source knows no format and no plan; a
format knows no source; the runtime knows no concrete one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import polars as pl

from riverrun.limits import Limits
from riverrun.schema import Schema
from riverrun.world import Waitable, World


class Chunk(NamedTuple):
    """Bytes as they arrived, cut anywhere; the bytes of one partition come in order.

    There may be one for every line, and a tuple is made in a quarter of the time of a frozen dataclass.

    Parameters
    ----------
    partition : the connection, file or topic partition; rows of one partition have an order.
    data : raw bytes, empty when only `end` is told.
    position : offset of the first byte within the partition.
    received_us : when they arrived (wall clock).
    end : the partition ends behind these bytes.
    truncated : with `end`: it ended without saying so cleanly (a socket closed), so that a last record
        without its end is a dead letter; at the end of a file it is a record.
    begins : with the first bytes of a partition: what its reader needs to find it again by more than its name.
    """

    partition: str
    data: bytes
    position: int
    received_us: int
    end: bool = False
    truncated: bool = False
    begins: Remembered | None = None


@dataclass(frozen=True, slots=True)
class FrameChunk:
    """Rows of a source that needs no decoding: a frame, a generator."""

    partition: str
    frame: pl.DataFrame
    position: int
    received_us: int
    end: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """What to wait for before polling again: any of `ready`, or the instant `until_us` (monotonic)."""

    ready: tuple[Waitable, ...] = ()
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkNote:
    """What is remembered of a chunk whose bytes can be read again: everything but the bytes.

    Parameters
    ----------
    length : bytes of a `Chunk`, rows of a `FrameChunk`.
    """

    partition: str
    position: int
    length: int
    received_us: int
    end: bool = False
    truncated: bool = False
    begins: Remembered | None = None

    @classmethod
    def of(cls, chunk: Chunk | FrameChunk) -> ChunkNote:
        """The note of a chunk.

        >>> ChunkNote.of(Chunk("a.csv", b"x,1", 40, received_us=0)).length
        3
        """
        if isinstance(chunk, FrameChunk):
            length, truncated, begins = chunk.frame.height, False, None
        else:
            length, truncated, begins = len(chunk.data), chunk.truncated, chunk.begins
        return cls(chunk.partition, chunk.position, length, chunk.received_us, chunk.end, truncated, begins)

    def with_bytes(self, data: bytes) -> Chunk:
        """The chunk that the note is of."""
        return Chunk(
            self.partition, data, self.position, self.received_us, self.end, self.truncated, self.begins
        )

    def with_rows(self, frame: pl.DataFrame) -> FrameChunk:
        """As `with_bytes`, for rows."""
        return FrameChunk(self.partition, frame, self.position, self.received_us, self.end)


#: Plain values that become JSON and come back equal: what readers, decoders and writers hand out to be kept.
Remembered = Mapping[str, Any]


class Reader(Protocol):
    """A running source. It is polled, never blocks, and tells what to wait for.

    After a restart the runtime opens the source, calls `resume` with the bookmark of the last checkpoint, then
    `replay` for every chunk that was applied after it, in order, and only then polls. What follows comes
    exactly behind the last chunk that was replayed. The first bookmark is taken before the first poll.
    """

    def poll(self, max_bytes: int) -> Sequence[Chunk | FrameChunk]:
        """What has arrived, about `max_bytes` at most; empty when nothing has.

        Raises `SourceError` when the source cannot go on (a refused connection with ``reconnect=False``,
        a file without permission); a source that will try again returns nothing and says so in `status`.
        """
        ...

    def wait(self) -> Wait:
        """What to wait for when `poll` gave nothing."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing will ever come again."""
        ...

    @property
    def status(self) -> str:
        """One line for people: ``connected to localhost:9999``, ``connection refused, again in 2 s``."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """What this kind of source counts beside rows: reconnects, connections refused by a limit, ..."""
        ...

    def bookmark(self) -> Remembered:
        """Where the next `poll` goes on: positions of files, numbers of connections, what producers sent."""
        ...

    def resume(self, bookmark: Remembered) -> None:
        """Go on from there. Raises `SourceError` when that is impossible (a file was replaced or cut)."""
        ...

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        """Take note of a chunk of the run before, as if `poll` had returned it, and return it.

        A `ChunkNote` comes from a source that is `replayable`: its bytes are read again. Otherwise the whole
        chunk comes from the journal, and the reader only learns that its partition was there.
        """
        ...

    def close(self) -> None:
        """Give everything back; may be called twice."""
        ...


@runtime_checkable
class HoldingReader(Reader, Protocol):
    """A reader with many senders, whose unfinished lines take memory until they end, which may be never."""

    @property
    def held_bytes(self) -> int:
        """Bytes of lines that have not ended: they stay in memory whatever the engine does."""
        ...

    def pause(self) -> None:
        """Nobody is asked for more until the next `poll`; the time till then counts against nobody."""
        ...

    def relieve(self) -> Sequence[Chunk]:
        """Memory is short, and all of it is in such lines: give one of them up, as `poll` would do it."""
        ...


class AcknowledgingReader(Reader, Protocol):
    """A reader whose senders are told what is safe."""

    def acknowledge(self, ends: Mapping[str, int]) -> None:
        """Everything before these positions of partitions is on the disk. May come from a thread of its own."""
        ...

    @property
    def lasting(self) -> Collection[str]:
        """Partitions that go on after a restart, as that of a producer who comes back does.

        The runtime ends the other ones that were open.
        """
        ...


class Source(Protocol):
    """A frozen description of where data comes from."""

    @property
    def url(self) -> str:
        """How it is written in ``rr.read``; without secrets."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether it ends by itself (a file without ``follow``, a frame)."""
        ...

    @property
    def format_hint(self) -> str | None:
        """The format that the name suggests (``.csv``), or ``"frame"`` when there is nothing to decode."""
        ...

    @property
    def replayable(self) -> bool:
        """Whether what was read can be read again after a restart (a file), so that notes of it suffice."""
        ...

    @property
    def acknowledges(self) -> bool:
        """Whether its reader is an `AcknowledgingReader`."""
        ...

    def open(self, world: World, limits: Limits) -> Reader: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that was not accepted.

    Parameters
    ----------
    reason : a short code: ``line-too-long``, ``utf8``, ``csv``, ``json``, ``number-range``, ``schema``, ...
    detail : a sentence: which field, what was expected, what came (values masked and cut short).
    position : offset of its first byte in the partition; of a refused row: how many rows came before it.
    length : its bytes.
    head : its first 256 bytes.
    sha256 : of the whole record, in hexadecimal. Of a record over the limit, which is never held as a whole,
        64 KiB are hashed at a time, each behind the hash of those before: ``h = sha256(h + piece)``.
    record : all of its bytes, so that it can be fed again after a fix; ``None`` when it is over the limit.
    form : what `record` is: ``"record"``: as it came, without its line end; ``"row"``: one JSON object made
        of values, because the row had no bytes of its own any more.
    header : the CSV header that `record` stood under, where there was one.
    rows_before : how many good rows of the same `Decoded` (of the same arrival, later on) stand before it.
    """

    reason: str
    detail: str
    position: int
    length: int
    head: bytes
    sha256: str
    record: bytes | None = None
    form: Literal["record", "row"] = "record"
    header: bytes | None = None
    rows_before: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of some bytes: good rows in their order, and the records that were rejected.

    ``received = frame.height + len(rejected)``; blank lines are counted apart.
    """

    frame: pl.DataFrame
    rejected: tuple[Rejected, ...] = ()
    blank: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)


class Decoder(Protocol):
    """A running format, one for each partition. It keeps what is not yet a whole record.

    ``feed(a); feed(b)`` gives the same as ``feed(a)``, `snapshot`, a new decoder opened with it, ``feed(b)``.
    """

    def feed(self, data: bytes, received_us: int) -> Decoded:
        """Rows of all records that are whole by now. How bytes are cut never changes the rows."""
        ...

    def finish(self, *, truncated: bool) -> Decoded:
        """The partition has ended: what is left is a record, or a dead letter ``truncated``."""
        ...

    def snapshot(self) -> Remembered:
        """What is not yet a whole record, the header that was read, and so on; ``bytes`` are welcome values.

        Taking one copies the bytes of the open record, and nothing else.
        """
        ...


@runtime_checkable
class PiecewiseDecoder(Decoder, Protocol):
    """A decoder that puts together itself what came in several pieces, with what it keeps, in one copy."""

    def feed_pieces(self, pieces: Sequence[bytes], received_us: int) -> Decoded:
        """As `feed` of all the pieces together; there is one at least."""
        ...


@runtime_checkable
class JoinableDecoder(Decoder, Protocol):
    """A decoder whose whole records may be decoded together with those of other partitions.

    While it rests, the lines that come next mean the same to every decoder that rests at an equal value. So one
    of them can read them for all, if each line turns out to be one row.
    """

    def resting(self) -> Hashable | None:
        """What the next lines depend on; ``None`` while they depend on bytes that came before."""
        ...

    def pass_over(self, size: int) -> None:
        """So many bytes of whole lines were decoded elsewhere."""
        ...


class Format(Protocol):
    """A frozen description of how rows are written as bytes."""

    @property
    def name(self) -> str: ...

    def infer(self, head: bytes, *, complete: bool) -> tuple[Format, Schema]:
        """The format with everything sniffed filled in, and the schema, from the first bytes.

        `complete` says that `head` is all there is. Raises `SchemaError` when nothing can be told.
        """
        ...

    def open(self, schema: Schema, limits: Limits, snapshot: Remembered | None = None) -> Decoder:
        """A decoder for one partition, from its start or from where a `Decoder.snapshot` was taken."""
        ...


class Writer(Protocol):
    """A running sink."""

    def write(self, frame: pl.DataFrame) -> None: ...

    def flush(self) -> None:
        """Make everything written so far visible to readers."""
        ...

    def close(self) -> None:
        """Flush and give everything back; may be called twice."""
        ...


class Sink(Protocol):
    """A frozen description of where results go."""

    @property
    def url(self) -> str: ...

    def open(self, world: World, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> Writer:
        """Prepare the target. `keys` are the columns that tell one result from another (for upserts)."""
        ...


class DurableWriter(Protocol):
    """A running sink that takes every unit exactly once, whatever crashes in between.

    A *unit* is all rows that one step of the engine put out for one output. Units have growing numbers. A
    unit that was handed over once has the same rows when it is handed over again after a crash.

    What raises `SinkError` in `write` or `commit` is over: the runtime closes it and, after a
    `SinkUnavailable`, opens another one a little later, with the last mark it has, and hands over again all
    units after its `delivered`.
    """

    @property
    def delivered(self) -> int:
        """All units up to this number are in the target for certain, as found when it was opened.

        They are never handed over again; all later ones are. −1: none. A target that keeps tokens may know of
        more than the mark did.
        """
        ...

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        """More rows of a unit; units come in order, each maybe in several frames."""
        ...

    def flush(self) -> None:
        """Make everything written so far visible to readers, if that is cheap; it need not survive a crash."""
        ...

    def commit(self) -> Remembered:
        """Put all units written so far on the disk, in one step, with the number of the last.

        Called between units only. Returns a mark for the next `DurableSink.open_durable`; whatever was written
        after the last commit is undone there.
        """
        ...

    def close(self) -> None:
        """Give everything back without a commit; may be called twice."""
        ...


class DurableSink(Sink, Protocol):
    """A sink with a `DurableWriter`. What has none is written at least once, and `explain` says so."""

    def open_durable(
        self,
        world: World,
        schema: Mapping[str, pl.DataType],
        keys: Sequence[str],
        *,
        stream: str,
        mark: Remembered | None,
    ) -> DurableWriter:
        """Prepare the target, and go back to the last commit that it, or `mark`, knows of.

        The runtime commits a new writer, and keeps the mark, before it hands over the first unit: else a crash
        soon after the first start would leave rows that nobody can tell from somebody else's.

        Parameters
        ----------
        stream : names these units among all that may write to this target: an id of the state folder and the
            name of the output. Tokens inside the target are kept under it.
        mark : what the last `commit` that is known returned; ``None`` at the first start, when rows that are
            in the target already are somebody else's and stay. A crash may have come between a commit and
            the note of it, so the target may be further than the mark, and never less far: that raises
            `SinkError`.
        """
        ...


Guarantee = Literal["exactly once", "at least once"]


def guarantee_of(sink: Sink | type[Sink]) -> Guarantee:
    """How often each result is in the target after crashes, in a run with ``state=``.

    >>> from riverrun.sinks.parse import sink_of
    >>> guarantee_of(sink_of("sqlite:stats.db")), guarantee_of(sink_of("stdout:"))
    ('exactly once', 'at least once')
    """
    return "exactly once" if callable(getattr(sink, "open_durable", None)) else "at least once"
