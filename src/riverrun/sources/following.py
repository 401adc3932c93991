"""Follow files as they grow: rotation, truncation, new files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from riverrun.errors import SourceError
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.finding import check_folder, is_pattern, open_file, unreadable
from riverrun.sources.numbering import Numbering
from riverrun.sources.place import Place, Progress, find_again, lost
from riverrun.world import FileStatus, World

#: Bytes of one read, at most.
READ_BYTES_MAX = 1024 * 1024
#: How often a pattern is looked up again, at most: listing a large folder costs.
SCAN_US = 1_000_000
#: A renamed file is read for so long after its last growth: its writer may not have noticed yet.
GRACE_US = 1_000_000

_Identity = tuple[int, int]


@dataclass(slots=True)
class _Followed(Progress):
    """One file that is being followed, whatever its name is by now.

    Parameters
    ----------
    gone : no name of it matches any more.
    grown_us : when it last grew, or was found to be gone.
    rewritten : it was found changed after a restart.
    """

    gone: bool = False
    grown_us: int = 0
    rewritten: bool = False


class FollowingReader:
    """Reads what is added to files. A file is told from others by device and inode, not by its name.

    Parameters
    ----------
    pattern : a path, which need not exist yet, or a pattern.
    interval_us : how often to look.
    skip_lost : after a restart, go on without files that are gone.
    """

    def __init__(self, world: World, pattern: str, interval_us: int, *, skip_lost: bool = False) -> None:
        self._world = world
        self._pattern = pattern
        self._url = f"file:{pattern}"
        self._interval_us = interval_us
        self._scan_us = max(interval_us, SCAN_US) if is_pattern(pattern) else interval_us
        self._files: dict[_Identity, _Followed] = {}
        self._names = Numbering()
        self._skip_lost = skip_lost
        self._lost: dict[str, Chunk] = {}
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
        self._lost = {}
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

    def bookmark(self) -> Remembered:
        return {
            "files": [followed.place().remembered() for followed in self._files.values()],
            "names": self._names.given,
            "announced": self._announced,
            "counters": dict(self._counters),
        }

    def resume(self, bookmark: Remembered) -> None:
        self._forget_all()
        self._names = Numbering(bookmark["names"])
        self._announced = bookmark["announced"]
        self._counters.update(bookmark["counters"])
        self._next_scan_us = self._world.clock.monotonic_us()
        for kept in bookmark["files"]:
            self._take_up(Place(**kept))

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk:
        note = chunk if isinstance(chunk, ChunkNote) else ChunkNote.of(chunk)
        self._announced = True
        if note.partition in self._lost:
            return self._without(note)
        try:
            identity, followed = self._named(note)
        except SourceError as error:
            if note.begins is None:
                raise
            place = Place(**note.begins)
            self._names.took(place.path, place.partition)
            self._give_up(place, error)
            return self._without(note)
        if note.end:
            self._restart(followed) if note.truncated else self._leave(identity, followed)
            return note.with_bytes(b"")
        if not note.length:
            return note.with_bytes(b"")
        return self._read_again(identity, followed, note)

    def close(self) -> None:
        self._forget_all()
        self._closed = True

    def _forget_all(self) -> None:
        for followed in self._files.values():
            followed.close()
        self._files.clear()

    # After a restart

    def _take_up(self, place: Place) -> None:
        """Go on in a file of the run before; one that was cut or written anew begins again, as ever."""
        try:
            found = find_again(self._world.files, place, where=self._url)
            status = found.file.status()
            if not found.unchanged and status.inode != place.inode:
                found.file.close()
                raise lost(place, f"file number {status.inode}", where=self._url)
        except SourceError as error:
            self._give_up(place, error)
            return
        followed = _Followed(found.path, place.partition, status.device, status.inode, found.file)
        followed.position, followed.head = place.position, found.head
        followed.rewritten = not found.unchanged
        followed.grown_us = self._world.clock.monotonic_us()
        self._files[_identity(status)] = followed

    def _named(self, note: ChunkNote) -> tuple[_Identity, _Followed]:
        """The file of a partition. One that appeared after the bookmark was taken is begun again."""
        partition = note.partition
        for identity, followed in self._files.items():
            if followed.partition == partition:
                return identity, followed
        if note.begins is not None:
            return self._found(Place(**note.begins))
        raise SourceError(
            f"cannot go on where the last run stood: the file of {partition!r} is not known",
            where=self._url,
            hint="open the folder with the version that wrote it",
        )

    def _found(self, place: Place) -> tuple[_Identity, _Followed]:
        """The file of which this was the first read, at its beginning; its name may be another one by now."""
        found = find_again(self._world.files, place, where=self._url)
        status = found.file.status()
        if _identity(status) in self._files or not found.unchanged:
            found.file.close()
            raise lost(place, f"file number {status.inode}", where=self._url)
        if self._names.took(place.path, place.partition) > 1:
            self._counters["files_rotated"] += 1
        self._counters["files"] += 1
        identity = _identity(status)
        self._files[identity] = _Followed(found.path, place.partition, *identity, found.file)
        return identity, self._files[identity]

    def _read_again(self, identity: _Identity, followed: _Followed, note: ChunkNote) -> Chunk:
        data = b"" if followed.rewritten else followed.handle.read_at(note.position, note.length)
        if len(data) == note.length and note.begins is not None and not Place(**note.begins).begins(data):
            followed.rewritten, data = True, b""
        if len(data) < note.length:
            place = replace(followed.place(), position=note.position + note.length)
            del self._files[identity]
            followed.close()
            found = (
                "that it begins with something else"
                if followed.rewritten
                else f"{note.position + len(data):,} bytes"
            )
            self._give_up(place, lost(place, found, where=self._url))
            return self._without(note)
        followed.took(data)
        self._move_to_end(identity)
        return note.with_bytes(data)

    def _give_up(self, place: Place, error: SourceError) -> None:
        """Go on without the rest of a file, if that was allowed."""
        if not self._skip_lost:
            raise error
        self._counters["files_lost"] = self._counters.get("files_lost", 0) + 1
        now_us = self._world.clock.now_us()
        self._lost[place.partition] = Chunk(
            place.partition, b"", place.position, now_us, end=True, truncated=True
        )

    def _without(self, note: ChunkNote) -> Chunk:
        """A chunk of a file that is given up."""
        if note.end:
            del self._lost[note.partition]
        return note.with_bytes(b"")

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
        if self._names.used(path):
            self._counters["files_rotated"] += 1
        self._counters["files"] += 1
        self._files[identity] = _Followed(path, self._names.next(path), *identity, file)

    def _announce(self) -> list[Chunk]:
        """Name the partitions that have rows before the first row of any: no window closes too early."""
        ends = list(self._lost.values())
        if self._announced:
            return ends
        self._announced = True
        now_us = self._world.clock.now_us()
        filled = [followed for followed in self._files.values() if _size(followed)]
        if len(filled) == 1:
            return ends
        return ends + [
            Chunk(followed.partition, b"", 0, now_us, begins=followed.place().remembered())
            for followed in filled
        ]

    def _move_to_end(self, identity: _Identity) -> None:
        """The next poll begins with those that were not asked in this one."""
        followed = self._files.pop(identity, None)
        if followed is not None:
            self._files[identity] = followed

    # What is new in one

    def _look(self, identity: _Identity, followed: _Followed, size: int) -> Sequence[Chunk]:
        try:
            status = followed.handle.status()
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
        if status.size < followed.position or followed.rewritten:
            return True
        # A file may be cut and grow beyond where we are between two looks.
        grown = status.size > followed.position
        return grown and followed.handle.read_at(0, len(followed.head)) != followed.head

    def _read(self, followed: _Followed, size: int) -> Sequence[Chunk]:
        data = followed.handle.read_at(followed.position, size)
        if not data:
            return ()
        first, position = followed.position == 0, followed.position
        followed.took(data)
        begins = followed.place().remembered() if first else None
        chunk = Chunk(followed.partition, data, position, self._world.clock.now_us(), begins=begins)
        followed.grown_us = self._polled_us
        return (chunk,)

    def _restart(self, followed: _Followed) -> Chunk:
        """The file was cut or written anew: what we have not seen of it is lost, and half a line with it."""
        end = self._end(followed, truncated=True)
        self._counters["files_truncated"] += 1
        followed.begin_again(self._names.next(followed.path))
        followed.rewritten = False
        return end

    def _leave(self, identity: _Identity, followed: _Followed) -> Chunk:
        del self._files[identity]
        followed.close()
        return self._end(followed, truncated=False)

    def _end(self, followed: _Followed, *, truncated: bool) -> Chunk:
        now_us = self._world.clock.now_us()
        begins = None if followed.position else followed.place().remembered()
        return Chunk(
            followed.partition, b"", followed.position, now_us, end=True, truncated=truncated, begins=begins
        )


def _identity(status: FileStatus) -> _Identity:
    return status.device, status.inode


def _size(followed: _Followed) -> int:
    return followed.handle.status().size
