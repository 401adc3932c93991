"""The tide mark: a small file that says how far the journal is known to have been safe.

It is written after each sync and never synced itself, so it costs next to nothing. After the process was
killed it is exact; after a power cut it may be old, which is harmless: it only ever says too little. With it,
a journal whose end was overwritten with zeros is told from one that simply ends there.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from riverrun.world import Files, PlacedFile

_FIELDS = struct.Struct("<4sQ")
_CHECKSUM = struct.Struct("<I")
_MAGIC = b"RRtm"
_BYTES = _FIELDS.size + _CHECKSUM.size


@dataclass(slots=True)
class TideMark:
    """The mark of one journal."""

    files: Files
    path: str
    _file: PlacedFile | None = None

    def read(self) -> int:
        """The last frame that had been put on the disk; 0 when there is no mark, or none that can be read."""
        if self.files.status(self.path) is None:
            return 0
        file = self.files.open_read(self.path)
        try:
            data = file.read_at(0, _BYTES)
        finally:
            file.close()
        whole = len(data) == _BYTES
        if not whole or _CHECKSUM.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(data[: _FIELDS.size]):
            return 0
        magic, sequence = _FIELDS.unpack_from(data)
        return int(sequence) if magic == _MAGIC else 0

    def open(self) -> None:
        """Be ready to write; what it says stays until then."""
        if self.files.status(self.path) is None:
            self._file = self.files.create_filled(self.path, _BYTES)
        else:
            self._file = self.files.open_placed(self.path)

    def write(self, sequence: int) -> None:
        """Remember that everything up to `sequence` is on the disk."""
        assert self._file is not None
        fields = _FIELDS.pack(_MAGIC, sequence)
        self._file.write_at(0, [fields + _CHECKSUM.pack(zlib.crc32(fields))])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
