"""Real files behind `riverrun.world.Files`."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from riverrun.limits import MIB
from riverrun.world import FileLock, FileStatus, PlacedFile, ReadableFile, WritableFile

if TYPE_CHECKING:
    import sqlite3

#: The kernel takes so many buffers in one call.
BUFFERS = 1024


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


class WrittenInPlace:
    """A file whose bytes are written in place."""

    def __init__(self, path: str, *, create: bool = False) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if create else 0)
        self._descriptor = os.open(path, flags, 0o600)

    def read_at(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, position)

    def write_at(self, position: int, parts: Sequence[bytes | memoryview]) -> None:
        for begin in range(0, len(parts), BUFFERS):
            position = self._write_some(position, list(parts[begin : begin + BUFFERS]))

    def sync(self) -> None:
        _sync_data(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_some(self, position: int, parts: list[bytes | memoryview]) -> int:
        end = position + sum(map(len, parts))
        position += os.pwritev(self._descriptor, parts, position)
        if position < end:
            # A full disk shows as a short write first; the next one says why.
            rest = memoryview(b"".join(parts))
            while position < end:
                position += os.pwrite(self._descriptor, rest[len(rest) - (end - position) :], position)
        return position


class HeldLock:
    """A lock on a file. The system releases it when the process ends, however it ends."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


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

    def make_dirs(self, path: str, *, private: bool = False) -> None:
        Path(_expanded(path)).mkdir(0o700 if private else 0o777, parents=True, exist_ok=True)

    def names(self, path: str) -> list[str]:
        return sorted(os.listdir(_expanded(path)))  # noqa: PTH208 - names, not paths

    def open_placed(self, path: str) -> PlacedFile:
        return WrittenInPlace(_expanded(path))

    def create_filled(self, path: str, size: int) -> PlacedFile:
        file = WrittenInPlace(_expanded(path), create=True)
        try:
            for position in range(0, size, MIB):
                file.write_at(position, [bytes(min(MIB, size - position))])
            file.sync()
        except OSError:
            file.close()
            raise
        return file

    def lock(self, path: str) -> FileLock:
        return HeldLock(_expanded(path))

    def free_bytes(self, path: str) -> int:
        found = os.statvfs(_expanded(path))
        return found.f_bavail * found.f_frsize

    def filesystem(self, path: str) -> str:
        return _filesystem_of(os.path.realpath(_expanded(path)))

    def open_database(self, path: str) -> sqlite3.Connection:
        import sqlite3  # loaded by the first state folder, not by `import riverrun`

        # SQLite gives its other files the rights of this one.
        os.close(os.open(_expanded(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(_expanded(path), isolation_level=None, check_same_thread=False)

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


def _sync_data(descriptor: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
        return
    # macOS: fsync leaves the bytes in the cache of the disk.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        fcntl.fcntl(descriptor, full_sync)
    else:
        os.fsync(descriptor)


def _filesystem_of(path: str) -> str:
    """The type of the mount that holds `path`: the one whose point is the longest beginning of it."""
    found, longest = "", -1
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines():
            _, point, kind, *_ = line.split(" ")
            point = point.replace("\\040", " ")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= longest:
                found, longest = kind, len(point)
    return found
