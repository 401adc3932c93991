"""Follow files as they grow: rotation, truncation, new files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riverrun.errors import SourceError
from riverrun.ports import Chunk, Wait
from riverrun.sources.finding import check_folder, is_pattern, open_file, unreadable
from riverrun.world import FileStatus, ReadableFile, World

#: Bytes of one read, at most.
READ_BYTES_MAX = 1024 * 1024
#: How often a pattern is looked up again, at most: listing a large folder costs.
SCAN_US = 1_000_000
#: A renamed file is read for so long after its last growth: its writer may not have noticed yet.
GRACE_US = 1_000_000
#: What the beginning of a file is known by: another beginning means that it was written anew.
HEAD_BYTES = 256

_Identity = tuple[int, int]


@dataclass(slots=True)
class _Followed:
    """One file that is being followed, whatever its name is by now."""

    path: str
    partition: str
    file: ReadableFile
    position: int = 0
    head: bytes = b""
    gone: bool = False
    grown_us: int = 0


class FollowingReader:
    """Reads what is added to files. A file is told from others by device and inode, not by its name.

    Parameters
    ----------
    pattern : a path, which need not exist yet, or a pattern.
    interval_us : how often to look.
    """

    def __init__(self, world: World, pattern: str, interval_us: int) -> None:
        self._world = world
        self._pattern = pattern
        self._url = f"file:{pattern}"
        self._interval_us = interval_us
        self._scan_us = max(interval_us, SCAN_US) if is_pattern(pattern) else interval_us
        self._files: dict[_Identity, _Followed] = {}
        self._names: Counter[str] = Counter()
        self._next_scan_us = 0
        self._polled_us = 0
        self._unreadable: SourceError | None = None
        self._closed = False
        self._announced = False
        self._counters = {"files": 0, "files_rotated": 0, "files_truncated": 0}
        self._scan()
        if not self._files:
            check_folder(world.files, pattern)
            if self._unreadable is not None:
                raise self._unreadable

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._closed:
            return ()
        self._polled_us = self._world.clock.monotonic_us()
        if self._polled_us >= self._next_scan_us:
            self._scan()
        chunks = self._announce()
        left = max_bytes
        for identity, followed in list(self._files.items()):
            if left <= 0:
                break
            for chunk in self._look(identity, followed, min(left, READ_BYTES_MAX)):
                chunks.append(chunk)
                left -= len(chunk.data)
            self._move_to_end(identity)
        return chunks

    def wait(self) -> Wait:
        return Wait(until_us=self._polled_us + self._interval_us)

    @property
    def finished(self) -> bool:
        return self._closed

    @property
    def status(self) -> str:
        if self._closed:
            return "closed"
        trouble = f", {self._unreadable.problem}" if self._unreadable else ""
        if not self._files:
            what = "files that match" if is_pattern(self._pattern) else "the file"
            return f"waiting for {what} {self._pattern}{trouble}"
        count = len(self._files)
        return f"following {count} file{'s' if count != 1 else ''}{trouble}"

    @property
    def counters(self) -> Mapping[str, int]:
        return self._counters

    def close(self) -> None:
        for followed in self._files.values():
            followed.file.close()
        self._files.clear()
        self._closed = True

    # Which files

    def _scan(self) -> None:
        self._next_scan_us = self._world.clock.monotonic_us() + self._scan_us
        self._unreadable = None
        present: set[_Identity] = set()
        for path in self._world.files.glob(self._pattern):
            status = self._world.files.status(path)
            if status is not None:
                present.add(_identity(status))
                if _identity(status) not in self._files:
                    self._begin(path)
        for identity, followed in self._files.items():
            if followed.gone != (identity not in present):
                followed.gone = identity not in present
                followed.grown_us = self._world.clock.monotonic_us()

    def _begin(self, path: str) -> None:
        """Follow one more file. One that cannot be opened is tried again at the next scan."""
        try:
            file = open_file(self._world.files, path, where=self._url)
        except SourceError as error:
            self._unreadable = error
            return
        # Between listing and opening, the name may have been given to another file.
        identity = _identity(file.status())
        if identity in self._files:
            file.close()
            return
        if self._names[path]:
            self._counters["files_rotated"] += 1
        self._counters["files"] += 1
        self._files[identity] = _Followed(path, self._partition(path), file)

    def _partition(self, path: str) -> str:
        """The path; with a number from the second file of that name on."""
        self._names[path] += 1
        return path if self._names[path] == 1 else f"{path}#{self._names[path]}"

    def _announce(self) -> list[Chunk]:
        """Name the partitions that have rows before the first row of any: no window closes too early."""
        if self._announced:
            return []
        self._announced = True
        now_us = self._world.clock.now_us()
        filled = [followed for followed in self._files.values() if followed.file.status().size]
        return [Chunk(followed.partition, b"", 0, now_us) for followed in filled] if len(filled) > 1 else []

    def _move_to_end(self, identity: _Identity) -> None:
        """The next poll begins with those that were not asked in this one."""
        followed = self._files.pop(identity, None)
        if followed is not None:
            self._files[identity] = followed

    # What is new in one

    def _look(self, identity: _Identity, followed: _Followed, size: int) -> Sequence[Chunk]:
        try:
            status = followed.file.status()
            if self._written_anew(followed, status):
                return (self._restart(followed),)
            if status.size > followed.position:
                return self._read(followed, size)
        except OSError as error:
            raise unreadable(followed.path, error, where=self._url) from None
        if followed.gone and self._polled_us >= followed.grown_us + GRACE_US:
            return (self._leave(identity, followed),)
        return ()

    def _written_anew(self, followed: _Followed, status: FileStatus) -> bool:
        if status.size < followed.position:
            return True
        # A file may be cut and grow beyond where we are between two looks.
        grown = status.size > followed.position
        return grown and followed.file.read_at(0, len(followed.head)) != followed.head

    def _read(self, followed: _Followed, size: int) -> Sequence[Chunk]:
        data = followed.file.read_at(followed.position, size)
        if not data:
            return ()
        chunk = Chunk(followed.partition, data, followed.position, self._world.clock.now_us())
        followed.position += len(data)
        followed.grown_us = self._polled_us
        followed.head = (followed.head + data[:HEAD_BYTES])[:HEAD_BYTES]
        return (chunk,)

    def _restart(self, followed: _Followed) -> Chunk:
        """The file was cut or written anew: what we have not seen of it is lost, and half a line with it."""
        end = self._end(followed, truncated=True)
        self._counters["files_truncated"] += 1
        followed.partition = self._partition(followed.path)
        followed.position = 0
        followed.head = b""
        return end

    def _leave(self, identity: _Identity, followed: _Followed) -> Chunk:
        del self._files[identity]
        followed.file.close()
        return self._end(followed, truncated=False)

    def _end(self, followed: _Followed, *, truncated: bool) -> Chunk:
        now_us = self._world.clock.now_us()
        return Chunk(followed.partition, b"", followed.position, now_us, end=True, truncated=truncated)


def _identity(status: FileStatus) -> _Identity:
    return status.device, status.inode
