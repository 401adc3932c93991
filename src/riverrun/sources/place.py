"""Where reading of a file stands, and how that file is found again after a restart.

A file is known by its number in the file system and by a fingerprint of its beginning; its name may change.
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import asdict, dataclass

from riverrun.errors import SourceError
from riverrun.ports import Remembered
from riverrun.sources.trouble import in_words
from riverrun.world import Files, FileStatus, ReadableFile

#: What a file is known by: its first bytes, so far as they were read.
HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """How far one file was read.

    Parameters
    ----------
    head_bytes, fingerprint : of how many first bytes the fingerprint is.
    """

    path: str
    partition: str
    device: int
    inode: int
    position: int
    head_bytes: int
    fingerprint: str

    def remembered(self) -> Remembered:
        """As plain values: ``Place(**remembered)`` is equal."""
        return asdict(self)

    def begins(self, head: bytes) -> bool:
        """Whether these are the first bytes of that file."""
        return len(head) >= self.head_bytes and fingerprint(head[: self.head_bytes]) == self.fingerprint


@dataclass(slots=True)
class Progress:
    """One file on the way to its end.

    Parameters
    ----------
    file : open, or not just now.
    head : its first bytes, so far as they were read, `HEAD_BYTES` at most.
    """

    path: str
    partition: str
    device: int
    inode: int
    file: ReadableFile | None = None
    position: int = 0
    head: bytes = b""
    _fingerprint: str = ""

    @property
    def handle(self) -> ReadableFile:
        """The file; it must be open."""
        assert self.file is not None
        return self.file

    def took(self, data: bytes) -> None:
        """Take note of bytes that were read."""
        if len(self.head) < HEAD_BYTES and self.position == len(self.head):
            self.head += data[: HEAD_BYTES - len(self.head)]
            self._fingerprint = ""
        self.position += len(data)

    def begin_again(self, partition: str) -> None:
        """The file was written anew."""
        self.partition = partition
        self.position = 0
        self.head = b""
        self._fingerprint = ""

    def place(self) -> Place:
        """Where it stands. Asked for after each poll, so the fingerprint is kept."""
        self._fingerprint = self._fingerprint or fingerprint(self.head)
        return Place(
            self.path,
            self.partition,
            self.device,
            self.inode,
            self.position,
            len(self.head),
            self._fingerprint,
        )

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        self.file = None


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found again.

    Parameters
    ----------
    path : its name by now.
    head : its first bytes, as many as the place knows.
    unchanged : whether all that was read is still there as it was, so far as can be told.
    """

    path: str
    file: ReadableFile
    head: bytes
    unchanged: bool


def fingerprint(head: bytes) -> str:
    """A short name of some bytes.

    >>> fingerprint(b"ts,price")
    '206a5aa07b562ae8'
    """
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def find_again(files: Files, place: Place, *, where: str) -> Found:
    """The file of a place, whatever its name is by now: under its path, or another one of the same folder.

    A copy under the same path, with another number but the same beginning, is returned as unchanged.
    Raises `SourceError` when there is no such file any more.
    """
    here = files.status(place.path)
    found = _opened(files, place.path, place) if here is not None and not here.is_dir else None
    if found is not None and (here is None or here.inode == place.inode):
        return found
    moved = _moved(files, place)
    if moved is not None:
        if found is not None:
            found.file.close()
        return moved
    if found is not None and found.unchanged:
        return found
    if found is not None:
        found.file.close()
    raise lost(place, _what(here, place), where=where)


def lost(place: Place, found: str, *, where: str) -> SourceError:
    """The file of a place is not what it was."""
    begun = f" that begin as before (fingerprint {place.fingerprint} of the first {place.head_bytes:,})"
    return SourceError(
        f"cannot go on in {place.path!r} where the last run stood: expected file number {place.inode} with at "
        f"least {place.position:,} bytes{begun if place.head_bytes else ''}, found {found}",
        where=where,
        hint='put the file back, or say on_lost="skip" to go on without what was not read of it',
    )


def _what(here: FileStatus | None, place: Place) -> str:
    if here is None:
        return "no such file, nor that number under another name in its folder"
    if here.size < place.position:
        return f"file number {here.inode} with {here.size:,} bytes"
    return f"file number {here.inode}, which begins with something else"


def _moved(files: Files, place: Place) -> Found | None:
    """The file under another name of its folder, as log rotation gives it."""
    folder = posixpath.dirname(place.path)
    for path in files.glob(posixpath.join(folder, "*")):
        status = files.status(path)
        if path != place.path and status is not None and status.inode == place.inode:
            found = _opened(files, path, place)
            if found is not None and found.unchanged:
                return found
            if found is not None:
                found.file.close()
    return None


def _opened(files: Files, path: str, place: Place) -> Found | None:
    try:
        file = files.open_read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot open {path!r} again: {in_words(error)}", where=f"file:{path}") from None
    head = file.read_at(0, place.head_bytes) if place.head_bytes else b""
    unchanged = file.status().size >= place.position and place.begins(head)
    return Found(path, file, head, unchanged)
