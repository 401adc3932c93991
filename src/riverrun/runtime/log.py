"""The words of the journal: what happened to a pipeline, in order, so that it can happen again.

`Received` keeps bytes that no source can give us again; it counts as soon as it is on the disk. `Applied`,
`Ticked` and `Ended` say what the engine did, with all that it did not compute itself: which chunks it took in
one go, what the clock said, and what lookup tables said. The same records over the same state give the same
results, byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from riverrun.errors import StateError
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered
from riverrun.runtime.said import Said
from riverrun.state.snapshot import frame_from_bytes, frame_to_bytes

_HEAD = struct.Struct("<cI")

#: Partitions of dead letters that are fed again begin so; no source names one like that.
REFED = "dead letter "

#: What a record's parts are written as; the first byte of the frame.
_RECEIVED, _APPLIED, _TICKED, _ENDED = b"R", b"A", b"T", b"E"


@dataclass(frozen=True, slots=True)
class Received:
    """Chunks of a source that cannot be read again."""

    source: str
    chunks: tuple[Chunk | FrameChunk, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """The engine has taken in some chunks of one source, in one go.

    Parameters
    ----------
    now_us : what the wall clock said.
    upto : the last `Received` record among them; ``None`` where the source is read again.
    notes : the chunks, where the source is read again.
    said : what lookup tables said meanwhile.
    """

    source: str
    now_us: int
    upto: int | None = None
    notes: tuple[ChunkNote, ...] = ()
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed without rows.

    Parameters
    ----------
    watermarks : by source, how far its watermark was moved.
    early : the ids of window steps that put out early results.
    """

    watermarks: Mapping[str, int] = field(default_factory=dict)
    early: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A source is over."""

    source: str
    said: tuple[Said, ...] = ()


Record = Received | Applied | Ticked | Ended


def to_parts(record: Record) -> list[bytes | memoryview]:
    """A record as the parts of a journal frame; large ones are not copied."""
    match record:
        case Received():
            datas = [_data_of(chunk) for chunk in record.chunks]
            noted = [_noted(chunk, len(data)) for chunk, data in zip(record.chunks, datas, strict=True)]
            return [_head(_RECEIVED, {"s": record.source, "c": noted}), *datas]
        case Applied():
            notes = [_plain(note) for note in record.notes]
            shape = {"s": record.source, "now": record.now_us, "upto": record.upto, "c": notes}
            return _with_said(_APPLIED, shape, record.said)
        case Ticked():
            return _with_said(_TICKED, {"w": dict(record.watermarks), "e": list(record.early)}, record.said)
        case Ended():
            return _with_said(_ENDED, {"s": record.source}, record.said)


def from_body(body: bytes | memoryview, *, where: str) -> Record:
    """The record of a journal frame. Raises `StateError` when it is none."""
    try:
        kind, length = _HEAD.unpack_from(body)
        shape = orjson.loads(memoryview(body)[_HEAD.size : _HEAD.size + length])
        return _record(kind, shape, memoryview(body)[_HEAD.size + length :])
    except (struct.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"a journal frame is none of this version: {error}",
            where=where,
            hint="open the folder with the version that wrote it",
        ) from None


def _record(kind: bytes, shape: dict[str, Any], payload: memoryview) -> Record:
    if kind == _RECEIVED:
        return Received(shape["s"], tuple(_chunks(shape["c"], payload)))
    said = tuple(_said(shape.get("t", ()), payload))
    if kind == _APPLIED:
        notes = tuple(_note(*note) for note in shape["c"])
        return Applied(shape["s"], shape["now"], shape["upto"], notes, said)
    if kind == _TICKED:
        return Ticked(shape["w"], tuple(shape["e"]), said)
    if kind == _ENDED:
        return Ended(shape["s"], said)
    raise ValueError(f"there is no record of kind {kind!r}")


def note_of(chunk: Chunk | FrameChunk, length: int | None = None) -> ChunkNote:
    """What is remembered of a chunk that can be read again."""
    if isinstance(chunk, FrameChunk):
        rows = chunk.frame.height if length is None else length
        return ChunkNote(chunk.partition, chunk.position, rows, chunk.received_us, chunk.end)
    size = len(chunk.data) if length is None else length
    return ChunkNote(
        chunk.partition, chunk.position, size, chunk.received_us, chunk.end, chunk.truncated, chunk.begins
    )


def _data_of(chunk: Chunk | FrameChunk) -> bytes:
    return chunk.data if isinstance(chunk, Chunk) else frame_to_bytes(chunk.frame)


def _noted(chunk: Chunk | FrameChunk, size: int) -> tuple[object, ...]:
    """What `_chunks` makes a chunk of again. There may be one for each line, so no note is made in between."""
    if isinstance(chunk, Chunk):
        partition, _, position, received_us, end, truncated, _ = chunk
        return partition, position, size, received_us, end, truncated, False
    return chunk.partition, chunk.position, size, chunk.received_us, chunk.end, False, True


def _plain(note: ChunkNote) -> list[object]:
    plain = [note.partition, note.position, note.length, note.received_us, note.end, note.truncated]
    return plain if note.begins is None else [*plain, dict(note.begins)]


def _note(
    partition: str,
    position: int,
    length: int,
    received_us: int,
    end: bool,
    truncated: bool,
    begins: Remembered | None = None,
) -> ChunkNote:
    return ChunkNote(partition, position, length, received_us, end, truncated, begins)


def _chunks(noted: Sequence[Sequence[Any]], payload: memoryview) -> list[Chunk | FrameChunk]:
    chunks: list[Chunk | FrameChunk] = []
    at = 0
    for *plain, is_frame in noted:
        note = _note(*plain)
        data = bytes(payload[at : at + note.length])
        at += note.length
        if is_frame:
            frame = frame_from_bytes(data)
            chunks.append(FrameChunk(note.partition, frame, note.position, note.received_us, note.end))
        else:
            chunks.append(
                Chunk(note.partition, data, note.position, note.received_us, note.end, note.truncated)
            )
    return chunks


def _with_said(kind: bytes, shape: dict[str, Any], said: Sequence[Said]) -> list[bytes | memoryview]:
    """A record with what tables said behind it."""
    if not said:
        return [_head(kind, shape)]
    datas = [b"" if one.table is None else frame_to_bytes(one.table) for one in said]
    shape["t"] = [
        [one.step, one.turn, one.now_us, one.tag, None if one.table is None else len(data)]
        for one, data in zip(said, datas, strict=True)
    ]
    return [_head(kind, shape), *datas]


def _said(noted: Sequence[Sequence[Any]], payload: memoryview) -> Iterator[Said]:
    at = 0
    for step, turn, now_us, tag, length in noted:
        table = None if length is None else frame_from_bytes(bytes(payload[at : at + length]))
        at += length or 0
        yield Said(step, turn, now_us, tag, table)


def _head(kind: bytes, shape: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(shape)
    return _HEAD.pack(kind, len(text)) + text


def is_refed(partition: str) -> bool:
    """Whether a partition is a dead letter that was fed again."""
    return partition.startswith(REFED)
