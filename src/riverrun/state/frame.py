"""One frame of the journal as bytes.

A frame is a header of 32 bytes and a body:

| bytes | |
| --- | --- |
| 4 | magic |
| 4 | length of the body |
| 8 | sequence: frames are numbered from 1, without gaps |
| 8 | batch: sequence of the first frame that was put on the disk together with this one |
| 4 | CRC-32 of the body |
| 4 | CRC-32 of the header, which begins with the salt of the segment |

The salt is chance, new for each use of a segment. So neither what a segment held in its last use nor a body
that a sender made up to look like a frame is ever taken for one.

The batch says that everything before it was safe when this frame was written. So a broken frame in front of
a good one is told apart: of the same batch, it was torn by a power cut; of an earlier one, it was damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

MAGIC = b"\xf5RRf"
_FIELDS = struct.Struct("<4sIQQI")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the journal."""

    sequence: int
    body: bytes | memoryview


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What stands in front of a body."""

    length: int
    sequence: int
    batch: int
    body_checksum: int


def body_checksum(parts: Iterable[bytes | memoryview]) -> int:
    """CRC-32 of a body that is given in parts."""
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum


def salted(salt: bytes) -> int:
    """Where the checksum of a header begins."""
    return zlib.crc32(salt)


def pack_header(header: FrameHeader, salt: int) -> bytes:
    """The bytes of a header.

    >>> header = FrameHeader(length=2, sequence=7, batch=7, body_checksum=body_checksum([b"ab"]))
    >>> parse_header(pack_header(header, salted(b"x")), 0, salted(b"x")) == header
    True
    >>> parse_header(pack_header(header, salted(b"x")), 0, salted(b"y")) is None
    True
    """
    fields = _FIELDS.pack(MAGIC, header.length, header.sequence, header.batch, header.body_checksum)
    return fields + _CHECKSUM.pack(zlib.crc32(fields, salt))


def parse_header(data: bytes | memoryview, offset: int, salt: int) -> FrameHeader | None:
    """The header at `offset`, or ``None`` when there is none that belongs to this segment."""
    end = offset + _FIELDS.size
    if end + _CHECKSUM.size > len(data):
        return None
    magic, length, sequence, batch, checksum = _FIELDS.unpack_from(data, offset)
    if magic != MAGIC or _CHECKSUM.unpack_from(data, end)[0] != zlib.crc32(data[offset:end], salt):
        return None
    return FrameHeader(length, sequence, batch, checksum)
