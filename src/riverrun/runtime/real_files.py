"""Real files behind `riverrun.world.Files`."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path

from riverrun.world import FileStatus, ReadableFile, WritableFile


class OpenFile:
    """A file open for reading; each read says from where."""

    def __init__(self, path: str) -> None:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def read_at(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, position)

    def status(self) -> FileStatus:
        return _status(os.fstat(self._descriptor))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class AppendedFile:
    """A file open for writing at its end."""

    def __init__(self, path: str, *, append: bool) -> None:
        self._file = Path(path).open("ab" if append else "wb", buffering=0)  # noqa: SIM115 - open as long as we are

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # A full disk shows as a short write first.
            rest = rest[self._file.write(rest) :]

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class RealFiles:
    """The machine's own files. ``~`` stands for the home folder."""

    def absolute(self, path: str) -> str:
        return os.path.abspath(_expanded(path))  # noqa: PTH100 - Path.resolve would follow links

    def glob(self, pattern: str) -> list[str]:
        path = _expanded(pattern)
        if Path(path).is_file():
            return [path]
        return sorted(name for name in glob.glob(path, recursive=True) if not Path(name).is_dir())  # noqa: PTH207

    def status(self, path: str) -> FileStatus | None:
        try:
            return _status(Path(_expanded(path)).stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open_read(self, path: str) -> ReadableFile:
        return OpenFile(_expanded(path))

    def open_write(self, path: str, *, append: bool) -> WritableFile:
        return AppendedFile(_expanded(path), append=append)

    def replace(self, source: str, target: str) -> None:
        Path(_expanded(source)).replace(_expanded(target))

    def remove(self, path: str) -> None:
        Path(_expanded(path)).unlink()

    def make_dirs(self, path: str) -> None:
        Path(_expanded(path)).mkdir(parents=True, exist_ok=True)

    def sync_folder(self, path: str) -> None:
        descriptor = os.open(_expanded(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _expanded(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 - keeps "./" as the user wrote it


def _status(found: os.stat_result) -> FileStatus:
    return FileStatus(
        size=found.st_size,
        device=found.st_dev,
        inode=found.st_ino,
        modified_us=found.st_mtime_ns // 1_000,
        is_dir=stat.S_ISDIR(found.st_mode),
    )
