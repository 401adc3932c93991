"""Files: read once, or followed as they grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riverrun.clock import parse_duration
from riverrun.component import setting
from riverrun.errors import ConfigError, SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, Reader, Wait
from riverrun.sources.finding import find_files, format_of, open_file, unreadable
from riverrun.sources.following import FollowingReader
from riverrun.world import ReadableFile, World

#: Bytes of one read, at most.
READ_BYTES_MAX = 4 * 1024 * 1024
#: Files kept open at the same time; when there are more, each is opened for each read.
OPEN_FILES_MAX = 64


@dataclass(frozen=True, slots=True)
class File:
    """Read files: once to their end, or following them as they grow.

    Each file is a partition, named by its path. Several files are read side by side, a piece of each in
    turn, so that windows close as they go when the files cover the same time.

    With `follow`, new files that match are picked up, a file that is renamed and replaced (log rotation) is
    read to its end and then left, one that is cut short is read from its beginning again, and a last line
    without its end waits. `replay` hands rows out at a multiple of the pace of their event times.

    Raises `ConfigError` for impossible settings; opening raises `SourceError` when there is no such file or
    no right to read it.

    >>> File("data/*.csv").format_hint
    'csv'
    """

    pattern: str = setting(help="path of a file, or a pattern: * ? [] and ** for folders", example="data/*.csv")
    follow: bool = setting(False, help="go on reading as files grow, are rotated, or are added")
    replay: float | None = setting(
        None, help="hand rows out at so many times the pace of their event times", example="10"
    )
    interval: str = setting("100ms", help="with follow: how often to look for more")

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ConfigError("the path is missing", where="file:", hint="file:data/*.csv")
        if self.replay is not None and not self.replay > 0:
            raise ConfigError(
                f"replay is a positive factor, got {self.replay!r}", where=self.url, hint="replay=10"
            )
        if self.replay is not None and self.follow:
            raise ConfigError("replay and follow exclude each other", where=self.url)
        if not parse_duration(self.interval, where=f"{self.url}, interval"):
            raise ConfigError(
                "the interval must be longer than nothing", where=self.url, hint='interval="100ms"'
            )

    @property
    def url(self) -> str:
        return f"file:{self.pattern}"

    @property
    def bounded(self) -> bool:
        return not self.follow

    @property
    def format_hint(self) -> str | None:
        return format_of(self.pattern)

    @property
    def partitioned(self) -> bool:
        """Whether rows of several files come side by side: a pattern, or a file that may be rotated."""
        return self.follow or any(mark in self.pattern for mark in "*?[")

    @property
    def pace(self) -> float | None:
        """How many times faster than their event time the rows shall go; ``None``: as fast as they come."""
        return self.replay

    def open(self, world: World, limits: Limits) -> Reader:  # noqa: ARG002
        if self.follow:
            return FollowingReader(world, self.pattern, parse_duration(self.interval))
        return FileReader(world, self.url, find_files(world.files, self.pattern))


@dataclass(slots=True)
class _Part:
    """One file on the way to its end."""

    path: str
    file: ReadableFile | None = None
    position: int = 0


class FileReader:
    """Reads files once, a piece of each in turn."""

    def __init__(self, world: World, url: str, paths: Sequence[str]) -> None:
        self._world = world
        self._url = url
        self._parts = deque(_Part(path) for path in paths)
        self._count = len(paths)
        self._keep_open = len(paths) <= OPEN_FILES_MAX
        self._announced = len(paths) == 1
        # A file that cannot be read is told now, not hours into the others.
        for part in self._parts:
            part.file = open_file(world.files, part.path, where=url)
            self._put_away(part)

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        chunks = self._announce()
        left = max_bytes
        while self._parts and left > 0:
            chunk = self._read(self._parts[0], min(left, READ_BYTES_MAX))
            chunks.append(chunk)
            left -= max(1, len(chunk.data))
            if chunk.end:
                self._close(self._parts.popleft())
            else:
                self._parts.rotate(-1)
        return chunks

    def wait(self) -> Wait:
        return Wait(until_us=self._world.clock.monotonic_us())

    @property
    def finished(self) -> bool:
        return not self._parts

    @property
    def status(self) -> str:
        if self._count == 1:
            return f"reading {self._parts[0].path}" if self._parts else "read to the end"
        return f"read {self._count - len(self._parts)} of {self._count} files to the end"

    @property
    def counters(self) -> Mapping[str, int]:
        return {"files": self._count, "files_read": self._count - len(self._parts)}

    def close(self) -> None:
        for part in self._parts:
            self._close(part)
        self._parts.clear()

    def _announce(self) -> list[Chunk]:
        """Name all partitions before the first row of any.

        Otherwise the end of the first file would close windows that the second one has rows for.
        """
        if self._announced:
            return []
        self._announced = True
        now_us = self._world.clock.now_us()
        return [Chunk(part.path, b"", 0, now_us) for part in self._parts]

    def _read(self, part: _Part, size: int) -> Chunk:
        file = part.file or open_file(self._world.files, part.path, where=self._url)
        part.file = file
        try:
            data = file.read_at(part.position, size)
        except OSError as error:
            raise self._failed(part.path, error) from None
        chunk = Chunk(part.path, data, part.position, self._world.clock.now_us(), end=len(data) < size)
        part.position += len(data)
        self._put_away(part)
        return chunk

    def _failed(self, path: str, error: OSError) -> SourceError:
        self.close()
        return unreadable(path, error, where=self._url)

    def _put_away(self, part: _Part) -> None:
        if not self._keep_open:
            self._close(part)

    def _close(self, part: _Part) -> None:
        if part.file is not None:
            part.file.close()
        part.file = None
