"""Files in memory that a test writes, appends to, renames and takes away."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
from itertools import count

from riverrun.clock import Clock
from riverrun.world import FileStatus, ReadableFile, WritableFile

#: Where relative paths begin.
WORKING_FOLDER = "/simulated"


class _Content:
    """What a file is apart from its name."""

    def __init__(self, inode: int, now_us: int) -> None:
        self.inode = inode
        self.modified_us = now_us
        self.data = bytearray()
        self.synced_bytes = 0

    def status(self) -> FileStatus:
        return FileStatus(len(self.data), device=1, inode=self.inode, modified_us=self.modified_us)


class SimulatedFile:
    """An open file: it stays what it is when its name is given to another."""

    def __init__(self, content: _Content, clock: Clock) -> None:
        self._content = content
        self._clock = clock

    def read_at(self, position: int, size: int) -> bytes:
        return bytes(self._content.data[position : position + size])

    def write(self, data: bytes) -> None:
        self._content.data += data
        self._content.modified_us = self._clock.now_us()

    def truncate(self, size: int) -> None:
        del self._content.data[size:]
        self._content.modified_us = self._clock.now_us()

    def sync(self) -> None:
        self._content.synced_bytes = len(self._content.data)

    def status(self) -> FileStatus:
        return self._content.status()

    def close(self) -> None:
        pass


class SimulatedFiles:
    """Files in memory.

    >>> from riverrun.testing.manual_clock import ManualClock
    >>> files = SimulatedFiles(ManualClock())
    >>> files.append("data/a.csv", b"1")
    >>> files.replace("data/a.csv", "data/b.csv")
    >>> files.glob("data/*.csv")
    ['data/b.csv']
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._contents: dict[str, _Content] = {}
        self._folders: set[str] = set()
        self._failures: dict[str, int] = {}
        self._inodes = count(1)

    # What tests do with it

    def append(self, path: str, data: bytes) -> None:
        """Write at the end of a file, which is made when it is not there."""
        self.open_write(path, append=True).write(data)

    def content(self, path: str) -> bytes:
        """All that a file holds. Raises ``FileNotFoundError``."""
        return bytes(self._existing(path).data)

    def truncate(self, path: str, size: int = 0) -> None:
        """Cut a file; its identity stays."""
        content = self._existing(path)
        del content.data[size:]
        content.modified_us = self._clock.now_us()

    def fail(self, path: str, code: int = errno.EACCES) -> None:
        """Let every later attempt to open `path` fail with this code."""
        self._failures[path] = code

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
            return content.status()
        folder = path.rstrip("/") + "/"
        made = path in self._folders or path in (".", "")
        if made or any(name.startswith(folder) for name in self._contents):
            return FileStatus(0, device=1, inode=0, modified_us=0, is_dir=True)
        return None

    def open_read(self, path: str) -> ReadableFile:
        self._check(path)
        return SimulatedFile(self._existing(path), self._clock)

    def open_write(self, path: str, *, append: bool) -> WritableFile:
        self._check(path)
        if path not in self._contents:
            self._contents[path] = _Content(next(self._inodes), self._clock.now_us())
        elif not append:
            self.truncate(path)
        return SimulatedFile(self._contents[path], self._clock)

    def replace(self, source: str, target: str) -> None:
        self._contents[target] = self._existing(source)
        del self._contents[source]

    def remove(self, path: str) -> None:
        self._existing(path)
        del self._contents[path]

    def make_dirs(self, path: str) -> None:
        self._folders.add(path)

    def sync_folder(self, path: str) -> None:
        """Nothing to do: names in memory do not get lost."""

    def _existing(self, path: str) -> _Content:
        if path not in self._contents:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._contents[path]

    def _check(self, path: str) -> None:
        code = self._failures.get(path)
        if code is not None:
            raise OSError(code, os.strerror(code), path)
