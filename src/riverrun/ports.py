"""What a source, a format and a sink are: the protocols that connect systems to the engine.

A description (`Source`, `Format`, `Sink`) is a frozen dataclass that can be compared and printed.
Its ``open`` builds what runs (`Reader`, `Decoder`, `Writer`). A source knows no format and no plan; a
format knows no source; the runtime knows no concrete one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from riverrun.limits import Limits
from riverrun.schema import Schema
from riverrun.world import Waitable, World


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as they arrived, cut anywhere; the bytes of one partition come in order.

    Parameters
    ----------
    partition : the connection, file or topic partition; rows of one partition have an order.
    data : raw bytes, empty when only `end` is told.
    position : offset of the first byte within the partition.
    received_us : when they arrived (wall clock).
    end : the partition ends behind these bytes.
    truncated : with `end`: it ended without saying so cleanly (a socket closed), so that a last record
        without its end is a dead letter; at the end of a file it is a record.
    """

    partition: str
    data: bytes
    position: int
    received_us: int
    end: bool = False
    truncated: bool = False


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


class Reader(Protocol):
    """A running source. It is polled, never blocks, and tells what to wait for."""

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

    def close(self) -> None:
        """Give everything back; may be called twice."""
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

    def open(self, world: World, limits: Limits) -> Reader: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that was not accepted.

    Parameters
    ----------
    reason : a short code: ``line-too-long``, ``utf8``, ``csv``, ``json``, ``number-range``, ``schema``, ...
    detail : a sentence: which field, what was expected, what came (values cut short).
    position : offset of its first byte in the partition.
    length : its bytes.
    head : its first 256 bytes.
    sha256 : of the whole record, in hexadecimal.
    """

    reason: str
    detail: str
    position: int
    length: int
    head: bytes
    sha256: str


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
    """A running format, one for each partition. It keeps what is not yet a whole record."""

    def feed(self, data: bytes, received_us: int) -> Decoded:
        """Rows of all records that are whole by now. How bytes are cut never changes the rows."""
        ...

    def finish(self, *, truncated: bool) -> Decoded:
        """The partition has ended: what is left is a record, or a dead letter ``truncated``."""
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

    def open(self, schema: Schema, limits: Limits) -> Decoder: ...


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
