"""Files in memory that a test writes, appends to, renames and takes away."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from riverrun.clock import Clock
from riverrun.testing.simulated_content import Content
from riverrun.world import FileLock, FileStatus, PlacedFile, ReadableFile, WritableFile

if TYPE_CHECKING:
    from riverrun.testing.simulated_database import SimulatedDatabase

#: Where relative paths begin.
WORKING_FOLDER = "/simulated"


class SimulatedFile:
    """An open file: it stays what it is when its name is given to another."""

    def __init__(self, content: Content, files: SimulatedFiles) -> None:
        self._content = content
        self._files = files
        self._life = files.life

    def read_at(self, position: int, size: int) -> bytes:
        self._check()
        return bytes(self._content.data[position : position + size])

    def write(self, data: bytes) -> None:
        self.write_at(len(self._content.data), [data])

    def write_at(self, position: int, parts: Sequence[bytes | memoryview]) -> None:
        self._check()
        self._files.write(self._content, position, b"".join(parts))

    def truncate(self, size: int) -> None:
        self._check()
        self._files.cut(self._content, size)

    def sync(self) -> None:
        self._check()
        self._files.sync(self._content)

    def status(self) -> FileStatus:
        return status_of(self._content)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        """Who had a file open when the power went does not have it any more."""
        if self._life != self._files.life:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class SimulatedLock:
    """A lock on a file."""

    def __init__(self, held: set[str], path: str) -> None:
        self._held = held
        self._path = path
        held.add(path)

    def release(self) -> None:
        self._held.discard(self._path)


class SimulatedFiles:
    """Files in memory.

    Parameters
    ----------
    space_bytes : so much fits on the disk; ``None``: anything. May be changed at any time.

    >>> from riverrun.testing.manual_clock import ManualClock
    >>> files = SimulatedFiles(ManualClock())
    >>> files.append("data/a.csv", b"1")
    >>> files.replace("data/a.csv", "data/b.csv")
    >>> files.glob("data/*.csv")
    ['data/b.csv']
    """

    def __init__(self, clock: Clock, space_bytes: int | None = None) -> None:
        self._clock = clock
        self._contents: dict[str, Content] = {}
        self._folders: set[str] = set()
        self._failures: dict[str, int] = {}
        self._inodes = count(1)
        self._unsynced_names: list[tuple[str, Callable[[], None]]] = []
        self._locks: set[str] = set()
        self._databases: list[SimulatedDatabase] = []
        self._failing_syncs: dict[int, int] = {}
        self._syncs = 0
        self.space_bytes = space_bytes
        self.life = 0

    # What tests do with it

    def append(self, path: str, data: bytes) -> None:
        """Write at the end of a file, which is made when it is not there."""
        self.open_write(path, append=True).write(data)

    def content(self, path: str) -> bytes:
        """All that a file holds. Raises ``FileNotFoundError``."""
        return bytes(self._existing(path).data)

    def truncate(self, path: str, size: int = 0) -> None:
        """Cut a file; its identity stays."""
        self.cut(self._existing(path), size)

    def fail(self, path: str, code: int = errno.EACCES) -> None:
        """Let every later attempt to open `path` fail with this code."""
        self._failures[path] = code

    def fail_sync(self, after: int = 0, code: int = errno.EIO) -> None:
        """Let one sync fail: the next, or the one `after` so many others. What it was to save may be lost."""
        self._failing_syncs[self._syncs + after] = code

    def fill(self, spare_bytes: int = 0) -> None:
        """Let the disk become full, but for a little; ``space_bytes = None`` makes room."""
        self.space_bytes = self._used_bytes() + spare_bytes

    def crash(self, chance: random.Random) -> None:
        """The power goes. What was synced is there; of the rest, each sector and each name may be or not.

        Files that were open are so no more, and locks are free.
        """
        for database in self._databases:
            database.lose_power()
        self._databases.clear()
        self._lose_names(chance)
        for content in self._contents.values():
            content.lose_power(chance)
        self._locks = set()
        self.life += 1

    # What `riverrun.world.Files` asks for

    def absolute(self, path: str) -> str:
        return posixpath.join(WORKING_FOLDER, path)

    def glob(self, pattern: str) -> list[str]:
        if pattern in self._contents:
            return [pattern]
        parts = pattern.count("/")
        return sorted(
            path
            for path in self._contents
            if fnmatch.fnmatchcase(path, pattern) and ("**" in pattern or path.count("/") == parts)
        )

    def status(self, path: str) -> FileStatus | None:
        content = self._contents.get(path)
        if content is not None:
            return status_of(content)
        folder = path.rstrip("/") + "/"
        made = path in self._folders or path in (".", "")
        if made or any(name.startswith(folder) for name in self._contents):
            return FileStatus(0, device=1, inode=0, modified_us=0, is_dir=True)
        return None

    def open_read(self, path: str) -> ReadableFile:
        self._check(path)
        return SimulatedFile(self._existing(path), self)

    def open_write(self, path: str, *, append: bool) -> WritableFile:
        self._check(path)
        if path not in self._contents:
            self._name(path, Content(next(self._inodes), self._clock.now_us()))
        elif not append:
            self.truncate(path)
        return SimulatedFile(self._contents[path], self)

    def replace(self, source: str, target: str) -> None:
        content = self._existing(source)
        before = self._contents.get(target)
        self._contents[target] = content
        del self._contents[source]

        def undo() -> None:
            self._contents[source] = content
            self._restore(target, before)

        self._unsynced_names.append((posixpath.dirname(target), undo))

    def remove(self, path: str) -> None:
        self._name(path, self._existing(path))
        del self._contents[path]

    def make_dirs(self, path: str, *, private: bool = False) -> None:  # noqa: ARG002 - there is nobody else
        self._folders.add(path)

    def names(self, path: str) -> list[str]:
        folder = path.rstrip("/") + "/"
        inside = [name for name in (*self._contents, *self._folders) if name.startswith(folder)]
        return sorted({name.removeprefix(folder).split("/")[0] for name in inside})

    def open_placed(self, path: str) -> PlacedFile:
        self._check(path)
        return SimulatedFile(self._existing(path), self)

    def create_filled(self, path: str, size: int) -> PlacedFile:
        self.open_write(path, append=False)
        file = SimulatedFile(self._contents[path], self)
        file.write_at(0, [bytes(size)])
        file.sync()
        return file

    def sync_folder(self, path: str) -> None:
        self._count_sync()
        synced = "" if path == "." else path.rstrip("/")
        self._unsynced_names = [(folder, undo) for folder, undo in self._unsynced_names if folder != synced]

    def lock(self, path: str) -> FileLock:
        self._check(path)
        if path in self._locks:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
        self.open_write(path, append=False).write(b"1\n")
        return SimulatedLock(self._locks, path)

    def free_bytes(self, path: str) -> int:  # noqa: ARG002 - there is one disk
        return 1 << 60 if self.space_bytes is None else max(0, self.space_bytes - self._used_bytes())

    def filesystem(self, path: str) -> str:  # noqa: ARG002 - there is one disk
        return "simulated"

    def open_database(self, path: str) -> SimulatedDatabase:
        from riverrun.testing.simulated_database import SimulatedDatabase  # SQLite is loaded by its first user

        self.open_write(path, append=True)
        content = self._contents[path]
        database = SimulatedDatabase(
            committed=lambda data: self._put(content, data),
            copy=self._copy,
            is_full=lambda: self.free_bytes(path) == 0,
        )
        database.load(bytes(content.data))
        self._databases.append(database)
        return database

    # What open files ask for

    def write(self, content: Content, position: int, data: bytes) -> None:
        """As much as there is space for; then the disk is full."""
        room = max(len(content.data) - position, 0) + self.free_bytes("")
        content.write(position, data[:room])
        content.modified_us = self._clock.now_us()
        if len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def cut(self, content: Content, size: int) -> None:
        """Make it shorter."""
        content.cut(size)
        content.modified_us = self._clock.now_us()

    def sync(self, content: Content) -> None:
        """Put it on the disk, unless this one shall fail."""
        try:
            self._count_sync()
        except OSError:
            content.fail_sync()
            raise
        content.sync()

    def _count_sync(self) -> None:
        code = self._failing_syncs.pop(self._syncs, None)
        self._syncs += 1
        if code is not None:
            raise OSError(code, os.strerror(code))

    def _used_bytes(self) -> int:
        return sum(len(content.data) for content in self._contents.values())

    def _put(self, content: Content, data: bytes) -> None:
        content.cut(0)
        content.write(0, data)
        content.sync()

    def _copy(self, target: str, data: bytes) -> None:
        self.open_write(target, append=False)
        self._put(self._contents[target], data)

    def _name(self, path: str, content: Content) -> None:
        before = self._contents.get(path)
        self._contents[path] = content
        self._unsynced_names.append((posixpath.dirname(path), lambda: self._restore(path, before)))

    def _restore(self, path: str, content: Content | None) -> None:
        if content is None:
            self._contents.pop(path, None)
        else:
            self._contents[path] = content

    def _lose_names(self, chance: random.Random) -> None:
        """Of each folder the first changes are on the disk, and the others not."""
        lost_from: dict[str, int] = {}
        changes: dict[str, int] = {}
        for folder, _ in self._unsynced_names:
            changes[folder] = changes.get(folder, 0) + 1
        for folder, number in changes.items():
            lost_from[folder] = chance.randint(0, number)
        for folder, undo in reversed(self._unsynced_names):
            changes[folder] -= 1
            if changes[folder] >= lost_from[folder]:
                undo()
        self._unsynced_names.clear()

    def _existing(self, path: str) -> Content:
        if path not in self._contents:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._contents[path]

    def _check(self, path: str) -> None:
        code = self._failures.get(path)
        if code is not None:
            raise OSError(code, os.strerror(code), path)


def status_of(content: Content) -> FileStatus:
    """What a file system says of it."""
    return FileStatus(len(content.data), device=1, inode=content.inode, modified_us=content.modified_us)
