"""A segment: one file of the journal, and the header at its beginning.

Its name holds a running number and the sequence of its first frame: ``00000003-00000000000000000210.seg``.
Segments with a higher number take precedence: from their first frame on, earlier segments count no more.
The header repeats both, and holds the size of the file, so that a file that was cut is seen.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

#: Where the first frame begins: the header has a sector to itself.
FRAMES_AT = 512
SALT_BYTES = 16

_MAGIC = b"RRsegm\x00\x01"
_FIELDS = struct.Struct(f"<8sQQQ16s{SALT_BYTES}s")
_CHECKSUM = struct.Struct("<I")
_NAME = re.compile(r"(\d{8})-(\d{20})\.seg")


@dataclass(frozen=True, slots=True)
class SegmentName:
    """Which segment a file is."""

    number: int
    first: int

    def __str__(self) -> str:
        return f"{self.number:08d}-{self.first:020d}.seg"


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What stands at the beginning of a segment.

    Parameters
    ----------
    size : bytes of the file.
    store : id of the folder that it belongs to.
    salt : chance, for the checksums of its frames.
    """

    name: SegmentName
    size: int
    store: str
    salt: bytes


def parse_name(name: str) -> SegmentName | None:
    """The segment that a file of this name is, or ``None``.

    >>> parse_name(str(SegmentName(3, 210)))
    SegmentName(number=3, first=210)
    >>> parse_name("spare-1") is None
    True
    """
    match = _NAME.fullmatch(name)
    return SegmentName(int(match[1]), int(match[2])) if match else None


def pack_segment_header(header: SegmentHeader) -> bytes:
    """The first bytes of a segment."""
    fields = _FIELDS.pack(
        _MAGIC,
        header.name.number,
        header.name.first,
        header.size,
        bytes.fromhex(header.store),
        header.salt,
    )
    return fields + _CHECKSUM.pack(zlib.crc32(fields))


def parse_segment_header(data: bytes) -> SegmentHeader | None:
    """The header at the beginning of `data`, or ``None`` when it is none."""
    if len(data) < _FIELDS.size + _CHECKSUM.size:
        return None
    magic, number, first, size, store, salt = _FIELDS.unpack_from(data)
    (checksum,) = _CHECKSUM.unpack_from(data, _FIELDS.size)
    if magic != _MAGIC or checksum != zlib.crc32(data[: _FIELDS.size]):
        return None
    return SegmentHeader(SegmentName(number, first), size, store.hex(), salt)
