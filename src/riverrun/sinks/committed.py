"""A text file whose content is known for certain up to a mark, and which goes back to it after a crash."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable

import polars as pl

from riverrun.errors import SinkError
from riverrun.ports import Remembered
from riverrun.sinks.append import look
from riverrun.sinks.failures import closed_error, lost_error, sink_failures
from riverrun.sinks.folders import make_lasting
from riverrun.world import Files, FileStatus, WritableFile

#: The last bytes before the mark, whose digest tells whether the file is still the same.
TAIL_BYTES = 1024


class CommittedFile:
    """Whole records at the end of a file. Opening it undoes what came after the mark.

    Without a mark, everything in the file is somebody else's and stays.

    Parameters
    ----------
    beginning : what a new file begins with.
    mark : what `commit` returned: the length of the file, the last unit in it, and a digest of its end.
    """

    def __init__(
        self, files: Files, path: str, *, where: str, beginning: bytes, mark: Remembered | None
    ) -> None:
        self._files = files
        self._path = path
        self._where = where
        self._file: WritableFile | None = None
        self._tail = b""
        self._length = 0
        self.delivered = -1
        with sink_failures(where, path):
            try:
                if mark is None:
                    self._start(beginning)
                else:
                    self._go_back(mark)
                self._put_on_disk(self._begun())
            except BaseException:
                self.close()
                raise

    def write(self, data: bytes) -> None:
        file = self._begun()
        if not data:
            return
        try:
            with sink_failures(self._where, self._path):
                file.write(data)
        except SinkError:
            self.close()  # who knows how much of it is there: only a new opening cuts it off
            raise
        self._length += len(data)
        self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]

    def commit(self, unit: int) -> Remembered:
        """Put everything on the disk; the mark of this moment."""
        file = self._begun()
        try:
            with sink_failures(self._where, self._path):
                file.sync()
                self._check_alone()
        except SinkError:
            self.close()  # a second sync may say that all is well when it is not
            raise
        return {"length": self._length, "unit": unit, "tail": _digest(self._tail)}

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _start(self, beginning: bytes) -> None:
        make_lasting(self._files, posixpath.dirname(self._path))
        head, torn = look(self._files, self._path)
        self._file = self._files.open_write(self._path, append=True)
        if len(head) < len(beginning) and beginning.startswith(head):
            self._file.truncate(0)
            self._file.write(beginning)
        elif torn:
            self._file.write(b"\n")  # a last line that was never ended: nothing must be glued to it
        self._length = self._status().size
        self._tail = self._tail_before(self._length)

    def _go_back(self, mark: Remembered) -> None:
        self._length = int(mark["length"])
        self.delivered = int(mark["unit"])
        if self._length:
            self._check_same(mark)
        self._file = self._files.open_write(self._path, append=True)
        self._file.truncate(self._length)
        self._tail = self._tail_before(self._length)

    def _put_on_disk(self, file: WritableFile) -> None:
        file.sync()
        self._files.sync_folder(posixpath.dirname(self._path) or ".")
        self._inode = self._status().inode

    def _check_same(self, mark: Remembered) -> None:
        status = self._files.status(self._path)
        had = f"{self._length} bytes had been written to it for certain"
        if status is None:
            raise lost_error(f"the file is gone, but {had}", where=self._where)
        if status.size < self._length:
            problem = f"the file has {status.size} bytes, but {had}: it was cut or replaced"
            raise lost_error(problem, where=self._where)
        if _digest(self._tail_before(self._length)) != mark["tail"]:
            problem = f"the file is another one: {had}, and what is there now ends differently"
            raise lost_error(problem, where=self._where)

    def _check_alone(self) -> None:
        status = self._status()
        if status.inode != self._inode:
            raise lost_error("the file was replaced while it was being written", where=self._where)
        if status.size != self._length:
            raise SinkError(
                f"somebody else changed the file: it has {status.size} bytes, we wrote up to {self._length}",
                where=self._where,
                hint="one pipeline and one output for each file",
            )

    def _status(self) -> FileStatus:
        status = self._files.status(self._path)
        if status is None:
            raise lost_error("the file was removed while it was being written", where=self._where)
        return status

    def _tail_before(self, length: int) -> bytes:
        file = self._files.open_read(self._path)
        try:
            start = max(0, length - TAIL_BYTES)
            return file.read_at(start, length - start)
        finally:
            file.close()

    def _begun(self) -> WritableFile:
        if self._file is None:
            raise closed_error(self._where)
        return self._file


class DurableLines:
    """A text file that takes every unit exactly once: see `riverrun.ports.DurableWriter`.

    Parameters
    ----------
    encode : a frame as lines.
    """

    def __init__(self, file: CommittedFile, encode: Callable[[pl.DataFrame], bytes]) -> None:
        self._file = file
        self._encode = encode
        self._unit = file.delivered

    @property
    def delivered(self) -> int:
        return self._file.delivered

    def write(self, unit: int, frame: pl.DataFrame) -> None:
        self._file.write(self._encode(frame))
        self._unit = unit

    def flush(self) -> None:
        """Nothing to do: every `write` is visible at once."""

    def commit(self) -> Remembered:
        return self._file.commit(self._unit)

    def close(self) -> None:
        self._file.close()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
