"""A text file that grows at its end."""

from __future__ import annotations

from riverrun.sinks.failures import closed_error, sink_failures
from riverrun.sinks.folders import make_parent
from riverrun.world import Files, WritableFile

#: The first record of a file is looked for in this many bytes.
HEAD_BYTES = 1024 * 1024


class AppendedFile:
    """Whole records at the end of a file, visible to readers as soon as `write` returns.

    Folders on the way are made. A file whose last line was never ended (a crash, an editor) gets its line end
    first, so that nothing is glued to it.
    """

    def __init__(self, files: Files, path: str, *, where: str) -> None:
        self._where = where
        self._path = path
        with sink_failures(where, path):
            make_parent(files, path)
            self.head, torn = look(files, path)
            self._file: WritableFile | None = files.open_write(path, append=True)
            if torn:
                self._file.write(b"\n")

    def write(self, data: bytes) -> None:
        if self._file is None:
            raise closed_error(self._where)
        if data:
            with sink_failures(self._where, self._path):
                self._file.write(data)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with sink_failures(self._where, self._path):
                file.close()


def look(files: Files, path: str) -> tuple[bytes, bool]:
    """The first bytes of the file, and whether its last line lacks its end."""
    status = files.status(path)
    if status is None or status.size == 0:
        return b"", False
    if status.is_dir:
        raise IsADirectoryError
    file = files.open_read(path)
    try:
        return file.read_at(0, HEAD_BYTES), file.read_at(status.size - 1, 1) != b"\n"
    finally:
        file.close()
