"""The running journal: frames go in, are put on the disk together, and are forgotten when nobody needs them.

`Journal.append` only takes a frame into memory; `Journal.sync` writes what waits and returns when it is on the
disk. Segments are full of zeros before they are used, so that writing a frame changes no metadata of the file
system: that makes a sync several times faster, and a full disk cannot stop one.
"""

from __future__ import annotations

import errno
import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from riverrun.limits import MIB
from riverrun.state.damage import damaged
from riverrun.state.frame import HEADER_BYTES, Frame, FrameHeader, body_checksum, pack_header, salted
from riverrun.state.scan import Findings, Known, Place, SegmentFile, scan
from riverrun.state.segment import (
    FRAMES_AT,
    SALT_BYTES,
    SegmentHeader,
    SegmentName,
    pack_segment_header,
    parse_name,
)
from riverrun.state.settings import StoreSettings
from riverrun.state.spares import Spares
from riverrun.state.tide_mark import TideMark
from riverrun.world import Files, PlacedFile

#: What `Journal.recover` has read is kept until the journal begins, up to so much: it is read twice.
KEPT_BYTES = 128 * MIB


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A frame that is not on the disk yet."""

    sequence: int
    parts: Sequence[bytes | memoryview]
    length: int
    checksum: int


@dataclass(slots=True)
class _Open:
    """The segment that is being written."""

    file: PlacedFile
    size: int
    salt: int
    offset: int = FRAMES_AT

    def room(self) -> int:
        return self.size - self.offset


@dataclass(frozen=True, slots=True)
class Written:
    """How far a segment is written.

    Parameters
    ----------
    file : its path within the folder.
    bytes : so many are written, of `size`.
    """

    file: str
    path: str
    bytes: int
    size: int


@dataclass(slots=True)
class Journal:
    """The journal of one folder.

    Parameters
    ----------
    folder : the state folder; segments are in its ``journal``.
    store : the id of the folder.
    chance : where salts come from.
    """

    files: Files
    folder: str
    store: str
    chance: random.Random
    settings: StoreSettings
    _segments: list[SegmentName] = field(default_factory=list)
    _sizes: dict[SegmentName, int] = field(default_factory=dict)
    _places: list[Place] = field(default_factory=list)
    _found_segments: list[SegmentFile] = field(default_factory=list)
    _kept: dict[SegmentName, bytes] = field(default_factory=dict)
    _open: _Open | None = None
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _writing: deque[_Waiting] = field(default_factory=deque)
    _waiting_bytes: int = 0
    _known_safe: int = 0
    _last: int = 0
    _synced: int = 0
    _append_lock: threading.Lock = field(default_factory=threading.Lock)
    _sync_lock: threading.Lock = field(default_factory=threading.Lock)
    _list_lock: threading.Lock = field(default_factory=threading.Lock)
    _spares: Spares = field(init=False)
    _mark: TideMark = field(init=False)

    def __post_init__(self) -> None:
        self._spares = Spares(self.files, self._path(""), self.settings)
        self._mark = TideMark(self.files, self._path("synced"))

    @property
    def last(self) -> int:
        """The last frame that was appended."""
        return self._last

    @property
    def synced(self) -> int:
        """Everything up to here is on the disk."""
        return self._synced

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return len(self._segments)

    @property
    def kept_bytes(self) -> int:
        """What its segments take, but for the one that is being written."""
        with self._list_lock:
            return sum(self._sizes[name] for name in self._segments[:-1])

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the frames that are not on the disk yet."""
        return self._waiting_bytes

    @property
    def next_bytes(self) -> int:
        """What a segment needs for the next frame that waits."""
        with self._sync_lock:
            self._take()
            return FRAMES_AT + HEADER_BYTES + self._writing[0].length if self._writing else 0

    # Recovery

    def recover(self, needed_from: int, safe_to: int, *, history: bool = False) -> Findings:
        """Find the needed frames. Raises `StateError` when one of them is damaged or missing.

        Parameters
        ----------
        history : whether all frames that are still there are needed.
        """
        if self.files.status(self._path("")) is None:
            self.files.make_dirs(self._path(""), private=True)
            self.files.sync_folder(self.folder)
        names = [name for text in self.files.names(self._path("")) if (name := parse_name(text))]
        self._segments = sorted(names, key=lambda name: name.number)
        self._found_segments = [self._found(name) for name in self._segments]
        self._sizes = {segment.name: segment.size for segment in self._found_segments}
        if history and self._segments:
            needed_from = min(needed_from, self._segments[0].first)
        known = Known(self.folder, self.store, needed_from, max(safe_to, self._mark.read()))
        found = scan(self._found_segments, known)
        self._places = found.places
        self._known_safe = known.safe_to
        self._last = self._synced = max(found.last, known.safe_to)
        return found

    def frames(self, after: int) -> Iterator[Frame]:
        """The frames found by `recover` behind `after`, in order."""
        segment, data = -1, memoryview(b"")
        for place in self._places:
            if place.sequence <= after:
                continue
            if place.segment != segment:
                segment, data = place.segment, memoryview(self._found_segments[place.segment].read())
            yield Frame(place.sequence, data[place.offset : place.offset + place.length])

    def begin(self) -> None:
        """Start a new segment, with the frames written anew at its beginning that may not be safe.

        After a sync that failed, the system shows what it could not write, and forgets it when the power goes.
        What is behind the last frame that is known to be safe comes to the disk here for certain, or this
        raises ``OSError``. Only then may anything follow from it.
        """
        carried = [_waiting(frame.sequence, [frame.body]) for frame in self.frames(self._known_safe)]
        self._spares.adopt()
        self._mark.open()
        self._start_segment(carried[0].sequence if carried else self._last + 1, carried)
        self._mark.write(self._synced)

    def forget_found(self) -> None:
        """The frames that `recover` found are not asked for any more."""
        self._places, self._found_segments = [], []
        self._kept.clear()

    # Running

    def append(self, parts: Sequence[bytes | memoryview]) -> int:
        """Take a frame; its sequence. The parts must not change until it is on the disk."""
        length, checksum = sum(map(len, parts)), body_checksum(parts)
        with self._append_lock:
            self._last += 1
            self._waiting_bytes += length
            self._waiting.append(_Waiting(self._last, parts, length, checksum))
            return self._last

    def sync(self) -> int:
        """Put everything that was appended so far on the disk; the last frame that is there for certain.

        After an ``OSError`` with ``ENOSPC`` the frames still wait, and another try is allowed. After any other
        one nobody knows what is on the disk.
        """
        with self._sync_lock:
            self._take()
            while self._writing:
                self._write_batch()
            return self._synced

    def prepare(self) -> None:
        """Have a segment ready, so that none has to be filled with zeros while senders wait."""
        self._spares.prepare()

    def trim(self, needed_from: int) -> None:
        """Forget segments all of whose frames are before `needed_from`, but for what is kept as history."""
        with self._list_lock:
            needed = _still_needed(self._segments, needed_from)
            older = self._segments[: len(self._segments) - len(needed)]
            gone = older[: len(older) - self._history(older)]
            self._segments = self._segments[len(gone) :]
            for name in gone:
                del self._sizes[name]
        for name in gone:
            self._spares.give(str(name))

    def written(self, needed_from: int) -> tuple[list[Written], int]:
        """The segments that hold needed frames, as far as they are written, and the last frame in them.

        What is there changes no more, and the rest of the last segment counts for zeros: frames may be
        appended and synced while it is copied, but nothing may be trimmed.
        """
        with self._sync_lock, self._list_lock:
            kept = [] if needed_from > self._synced else _still_needed(self._segments, needed_from)
            found = [Written(f"journal/{n}", self._path(str(n)), self._sizes[n], self._sizes[n]) for n in kept]
            if found and self._open is not None:
                found[-1] = replace(found[-1], bytes=self._open.offset)
            return found, self._synced

    def close(self) -> None:
        """Close the files. Frames that wait are lost."""
        if self._open is not None:
            self._open.file.close()
            self._open = None
        self._mark.close()
        self.forget_found()

    def _history(self, older: Sequence[SegmentName]) -> int:
        """How many of these segments, the newest, are kept though nobody needs them."""
        room = self.settings.history_bytes
        for kept, name in enumerate(reversed(older)):
            room -= self._sizes[name]
            if room < 0:
                return kept
        return len(older)

    def _take(self) -> None:
        with self._append_lock:
            self._writing.extend(self._waiting)
            self._waiting.clear()

    def _write_batch(self) -> None:
        """Write and sync as many frames as the segment has room for, or go on to a new segment."""
        assert self._open is not None
        batch = _that_fit(self._writing, self._open.room())
        if not batch:
            first = self._writing[0]
            self._start_segment(first.sequence, [], at_least=HEADER_BYTES + first.length)
            return
        self._open.offset += _write(self._open.file, self._open.offset, batch, self._open.salt)
        _sync(self._open.file)
        self._synced = batch[-1].sequence
        for _ in batch:
            self._writing.popleft()
        with self._append_lock:
            self._waiting_bytes -= sum(frame.length for frame in batch)
        self._mark.write(self._synced)

    def _start_segment(self, first: int, carried: Sequence[_Waiting], at_least: int = 0) -> None:
        """A new segment gets its name only when all that it begins with is on the disk."""
        needed = FRAMES_AT + max(at_least, sum(HEADER_BYTES + frame.length for frame in carried))
        spare, file, size = self._spares.take(needed)
        name = SegmentName(self._segments[-1].number + 1 if self._segments else 1, first)
        header = SegmentHeader(name, size, self.store, self.chance.randbytes(SALT_BYTES))
        started = _Open(file, size, salted(header.salt))
        file.write_at(0, [pack_segment_header(header)])
        if carried:
            started.offset += _write(file, FRAMES_AT, carried, started.salt)
        _sync(file)
        self.files.replace(self._path(spare), self._path(str(name)))
        self.files.sync_folder(self._path(""))
        if self._open is not None:
            self._open.file.close()
        self._open = started
        with self._list_lock:
            self._sizes[name] = size
            self._segments.append(name)

    def _found(self, name: SegmentName) -> SegmentFile:
        status = self.files.status(self._path(str(name)))
        size = status.size if status is not None else 0

        def read() -> bytes:
            if (kept := self._kept.get(name)) is not None:
                return kept
            file = self.files.open_read(self._path(str(name)))
            try:
                data = file.read_at(0, size)
                if sum(map(len, self._kept.values())) + len(data) <= KEPT_BYTES:
                    self._kept[name] = data
                return data
            except OSError as error:
                cause = f"cannot be read: {error.strerror or error}"
                raise damaged(self.folder, f"journal/{name}", None, cause) from error
            finally:
                file.close()

        return SegmentFile(name, f"journal/{name}", size, read)

    def _path(self, name: str) -> str:
        return f"{self.folder}/journal/{name}" if name else f"{self.folder}/journal"


def _still_needed(segments: Sequence[SegmentName], needed_from: int) -> list[SegmentName]:
    """Those from the last on that begins at `needed_from` or before; always the one that is being written."""
    at = len(segments) - 1
    while at > 0 and min(name.first for name in segments[at:]) > needed_from:
        at -= 1
    return list(segments[max(at, 0) :])


def _waiting(sequence: int, parts: Sequence[bytes | memoryview]) -> _Waiting:
    return _Waiting(sequence, parts, sum(map(len, parts)), body_checksum(parts))


def _that_fit(frames: deque[_Waiting], room: int) -> list[_Waiting]:
    batch = []
    for frame in frames:
        room -= HEADER_BYTES + frame.length
        if room < 0:
            break
        batch.append(frame)
    return batch


def _write(file: PlacedFile, offset: int, batch: Sequence[_Waiting], salt: int) -> int:
    """Write frames one behind the other as one batch; their bytes."""
    parts: list[bytes | memoryview] = []
    first = batch[0].sequence
    for frame in batch:
        parts.append(pack_header(FrameHeader(frame.length, frame.sequence, first, frame.checksum), salt))
        parts.extend(frame.parts)
    file.write_at(offset, parts)
    return sum(map(len, parts))


def _sync(file: PlacedFile) -> None:
    """A sync that fails is final, whatever it says: also for want of space, nobody knows what was written."""
    try:
        file.sync()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(errno.EIO, "the disk became full during a sync") from error
        raise
