"""Read files once, to their ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from riverrun.errors import SourceError
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.finding import find_files, open_file, unreadable
from riverrun.sources.numbering import Numbering
from riverrun.sources.place import HEAD_BYTES, Place, Progress, find_again, lost
from riverrun.world import ReadableFile, World

#: Bytes of one read, at most.
READ_BYTES_MAX = 4 * 1024 * 1024
#: Files kept open at the same time; when there are more, each is opened for each read.
OPEN_FILES_MAX = 64


class FileReader:
    """Reads files once, a piece of each in turn.

    Parameters
    ----------
    skip_lost : after a restart, go on without files that are gone or were replaced.
    """

    def __init__(self, world: World, url: str, pattern: str, *, skip_lost: bool = False) -> None:
        self._world = world
        self._url = url
        self._skip_lost = skip_lost
        self._names = Numbering()
        self._read_to_end: list[Place] = []
        self._ends: dict[str, Chunk] = {}
        self._lost: set[str] = set()
        self._missing: SourceError | None = None
        paths = self._find(pattern)
        self._keep_open = len(paths) <= OPEN_FILES_MAX
        # A file that cannot be read is told now, not hours into the others.
        self._parts = deque(self._opened(path) for path in paths)
        self._unannounced = [part.partition for part in self._parts] if len(paths) > 1 else []

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._missing is not None:
            raise self._missing
        chunks = self._announce()
        left = max_bytes
        while self._parts and left > 0:
            chunk = self._next_piece(self._parts[0], min(left, READ_BYTES_MAX))
            chunks.append(chunk)
            left -= max(1, len(chunk.data))
        return chunks

    def wait(self) -> Wait:
        return Wait(until_us=self._world.clock.monotonic_us())

    @property
    def finished(self) -> bool:
        return not self._parts and not self._ends and self._missing is None

    @property
    def status(self) -> str:
        if self._count == 1:
            return f"reading {self._parts[0].path}" if self._parts else "read to the end"
        return f"read {len(self._read_to_end)} of {self._count} files to the end"

    @property
    def counters(self) -> Mapping[str, int]:
        counts = {"files": self._count, "files_read": len(self._read_to_end)}
        return {**counts, "files_lost": len(self._lost)} if self._lost else counts

    def bookmark(self) -> Remembered:
        return {
            "parts": [part.place().remembered() for part in self._parts],
            "read_to_end": [place.remembered() for place in self._read_to_end],
            "lost": sorted(self._lost),
            "unannounced": list(self._unannounced),
            "names": self._names.given,
        }

    def resume(self, bookmark: Remembered) -> None:
        fresh, self._parts = list(self._parts), deque()
        self._missing = None
        self._names = Numbering(bookmark["names"])
        self._lost = set(bookmark["lost"])
        self._unannounced = list(bookmark["unannounced"])
        self._read_to_end = [Place(**kept) for kept in bookmark["read_to_end"]]
        for kept in bookmark["parts"]:
            self._take_up(Place(**kept))
        for part in fresh:
            self._add_new(part)

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk:
        note = chunk if isinstance(chunk, ChunkNote) else ChunkNote.of(chunk)
        part = next((part for part in self._parts if part.partition == note.partition), None)
        if part is None:
            return self._without(note)
        if not note.length and not note.end:
            self._unannounced.remove(note.partition)
            return note.with_bytes(b"")
        assert note.position == part.position
        data = self._bytes(part, note.length)
        if len(data) < note.length:
            return self._cut(part, note, len(data))
        self._took(part, data, end=note.end)
        return note.with_bytes(data)

    def close(self) -> None:
        for part in self._parts:
            part.close()
        self._parts.clear()
        self._ends.clear()
        self._missing = None

    @property
    def _count(self) -> int:
        return len(self._parts) + len(self._read_to_end) + len(self._lost)

    # Which files

    def _find(self, pattern: str) -> list[str]:
        """All that match. That there are none is told by the first poll: after a restart it may be right."""
        try:
            return find_files(self._world.files, pattern)
        except SourceError as error:
            self._missing = error
            return []

    def _opened(self, path: str) -> Progress:
        file = open_file(self._world.files, path, where=self._url)
        status = file.status()
        part = Progress(path, self._names.next(path), status.device, status.inode, file)
        self._put_away(part)
        return part

    def _take_up(self, place: Place) -> None:
        """Go on in a file of the run before."""
        try:
            found = find_again(self._world.files, place, where=self._url)
            if not found.unchanged:
                size = found.file.status().size
                found.file.close()
                what = f"{size:,} bytes" if size < place.position else "that it begins with something else"
                raise lost(place, what, where=self._url)
        except SourceError as error:
            self._give_up(place.partition, place.position, error)
            return
        status = found.file.status()
        part = Progress(found.path, place.partition, status.device, status.inode, found.file)
        part.position, part.head = place.position, found.head
        self._put_away(part)
        self._parts.append(part)

    def _add_new(self, part: Progress) -> None:
        """A file that matches now: it is read unless the run before has had it."""
        head = self._handle(part).read_at(0, HEAD_BYTES)
        self._put_away(part)
        taken_up = any(part.path == other.path for other in self._parts)
        had = any(
            place.begins(head) and (place.path == part.path or place.inode == part.inode)
            for place in self._read_to_end
        )
        if taken_up or had:
            part.close()
            return
        part.partition = self._names.next(part.path)
        self._parts.append(part)
        self._unannounced.append(part.partition)

    def _give_up(self, partition: str, position: int, error: SourceError) -> None:
        """Go on without a file, if that was allowed."""
        if not self._skip_lost:
            raise error
        self._lost.add(partition)
        now_us = self._world.clock.now_us()
        self._ends[partition] = Chunk(partition, b"", position, now_us, end=True, truncated=True)

    # Pieces of them

    def _announce(self) -> list[Chunk]:
        """Name all partitions before the first row of any.

        Otherwise the end of the first file would close windows that the second one has rows for.
        """
        now_us = self._world.clock.now_us()
        chunks = [Chunk(partition, b"", 0, now_us) for partition in self._unannounced]
        self._unannounced = []
        chunks += self._ends.values()
        self._ends = {}
        return chunks

    def _next_piece(self, part: Progress, size: int) -> Chunk:
        position, now_us = part.position, self._world.clock.now_us()
        data = self._bytes(part, size)
        end = len(data) < size
        self._took(part, data, end=end)
        return Chunk(part.partition, data, position, now_us, end=end)

    def _bytes(self, part: Progress, size: int) -> bytes:
        try:
            return self._handle(part).read_at(part.position, size)
        except OSError as error:
            self.close()
            raise unreadable(part.path, error, where=self._url) from None

    def _took(self, part: Progress, data: bytes, *, end: bool) -> None:
        """A piece was read: the next one is of the next file."""
        part.took(data)
        self._parts.remove(part)
        if end:
            part.close()
            self._read_to_end.append(part.place())
        else:
            self._put_away(part)
            self._parts.append(part)

    def _cut(self, part: Progress, note: ChunkNote, found_bytes: int) -> Chunk:
        """What was read of a file after the bookmark is there no more."""
        self._parts.remove(part)
        part.close()
        expected, found = note.position + note.length, part.position + found_bytes
        error = lost(replace(part.place(), position=expected), f"{found:,} bytes", where=self._url)
        self._give_up(part.partition, part.position, error)
        return self._without(note)

    def _without(self, note: ChunkNote) -> Chunk:
        """A chunk of a file that is given up."""
        assert note.partition in self._lost, f"{note.partition} was never begun"
        if note.end:
            self._ends.pop(note.partition, None)
        return note.with_bytes(b"")

    def _handle(self, part: Progress) -> ReadableFile:
        if part.file is None:
            part.file = open_file(self._world.files, part.path, where=self._url)
        return part.file

    def _put_away(self, part: Progress) -> None:
        if not self._keep_open:
            part.close()
