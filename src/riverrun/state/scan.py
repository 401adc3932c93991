"""What a journal holds after the process ended somehow: the rules, decided on bytes alone.

1. Frames that are needed are numbered without gaps, across segments.
2. A broken frame with a good one of a *later* batch behind it was damaged: it had been safe before. The
   journal is refused, unless nothing up to there is needed any more; then it is stepped over, and said.
3. A broken frame with good ones of the *same* batch behind it, or none, was never safe: a power cut tore it.
   It and what follows are dropped, and said.
4. The journal must reach at least to the frame that is known to have been safe, by what the database and
   the tide mark remember.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from riverrun.errors import StateError
from riverrun.state.damage import damaged
from riverrun.state.frame import HEADER_BYTES, MAGIC, FrameHeader, parse_header, salted
from riverrun.state.segment import FRAMES_AT, SegmentHeader, SegmentName, parse_segment_header


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One segment as it is found.

    Parameters
    ----------
    file : its path within the folder, for messages.
    size : bytes of the file now.
    read : gives all of them.
    """

    name: SegmentName
    file: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a journal from elsewhere.

    Parameters
    ----------
    needed_from : the first frame that is still needed.
    safe_to : frames up to here had been put on the disk.
    """

    folder: str
    store: str
    needed_from: int
    safe_to: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the body of a frame is."""

    sequence: int
    segment: int
    offset: int
    length: int


@dataclass(slots=True)
class Findings:
    """What a journal holds.

    Parameters
    ----------
    places : the needed frames, in order, without gaps.
    last : the last frame there is, needed or not.
    dropped, stepped_over : sentences for people.
    end : the file and the byte where no further frame was found.
    """

    last: int
    places: list[Place] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    stepped_over: list[str] = field(default_factory=list)
    segments_read: int = 0
    end: tuple[str, int | None] = ("journal", None)


def scan(segments: Sequence[SegmentFile], known: Known) -> Findings:
    """Go through the segments, oldest first. Raises `StateError` when a needed frame is damaged or missing."""
    found = Findings(last=known.needed_from - 1)
    relevant = [
        (at, segment, until)
        for (at, segment), until in zip(enumerate(segments), _limits(segments), strict=True)
        if _counts(segment, until, known.needed_from)
    ]
    if relevant and relevant[0][1].name.first > known.needed_from:
        raise _gap(known, relevant[0][1].file, known.needed_from, relevant[0][1].name.first)
    for at, segment, until in relevant:
        _Walk(at, segment, until, known, found).run()
    if found.last < known.safe_to and known.safe_to >= known.needed_from:
        cause = f"the journal ends with frame {found.last}, but frame {known.safe_to} had been put on the disk"
        raise damaged(known.folder, *found.end, cause)
    return found


def _limits(segments: Sequence[SegmentFile]) -> Iterator[int | None]:
    """For each segment: the frame from which on later segments count in its place."""
    for at in range(len(segments)):
        yield min((later.name.first for later in segments[at + 1 :]), default=None)


def _counts(segment: SegmentFile, until: int | None, needed_from: int) -> bool:
    return until is None or (until > needed_from and until > segment.name.first)


def _gap(known: Known, file: str, missing: int, until: int) -> StateError:
    return damaged(
        known.folder, file, None, f"frames {missing} to {until - 1} are missing: the segment before is gone"
    )


@dataclass(slots=True)
class _Walk:
    """Through one segment."""

    at: int
    segment: SegmentFile
    until: int | None
    known: Known
    found: Findings

    def run(self) -> None:
        data = self.segment.read()
        self.found.segments_read += 1
        header = parse_segment_header(data)
        self._check_header(header)
        assert header is not None
        salt = salted(header.salt)
        expected, offset = self.segment.name.first, FRAMES_AT
        while expected != self.until:
            frame = _good_frame(data, offset, salt)
            if frame is not None and frame.sequence == expected:
                self._take(frame, offset)
                expected, offset = expected + 1, offset + HEADER_BYTES + frame.length
                continue
            later = list(_later(data, offset + 1, salt, expected))
            if not self._can_step_over(expected, offset, later):
                self._end(data, expected, offset, salt, torn=bool(later))
                return
            expected, offset = self._step_over(expected, offset, *later[0])
        self.found.last = max(self.found.last, expected - 1)

    def _take(self, frame: FrameHeader, offset: int) -> None:
        self.found.last = max(self.found.last, frame.sequence)
        if frame.sequence >= self.known.needed_from:
            self.found.places.append(Place(frame.sequence, self.at, offset + HEADER_BYTES, frame.length))

    def _check_header(self, header: SegmentHeader | None) -> None:
        if header is None:
            raise self._damaged(0, "the header of the segment has another checksum, or was cut")
        if header.store != self.known.store:
            raise self._damaged(0, f"the segment belongs to another state folder, {header.store}")
        if header.name != self.segment.name:
            raise self._damaged(0, f"the segment says that it is {header.name}: it was renamed")
        if header.size != self.segment.size:
            raise self._damaged(
                self.segment.size,
                f"the file has {self.segment.size:,} bytes in place of {header.size:,}: it was cut",
            )

    def _can_step_over(self, expected: int, offset: int, later: list[tuple[int, FrameHeader]]) -> bool:
        """Whether nothing that is needed is lost between a broken frame and the good ones behind it.

        If something is, it was either damaged, which is refused here, or never safe.
        """
        if not later:
            return False
        at, first = later[0]
        lost = max(expected, self.known.needed_from)
        if first.sequence <= lost:
            return True
        if any(frame.batch > lost for _, frame in later):
            raise self._damaged(
                offset,
                f"frame {expected} is damaged: frame {first.sequence} behind it, at byte {at:,}, is good, "
                f"and frame {lost} was safe when later ones were written",
            )
        return False

    def _step_over(self, expected: int, offset: int, at: int, later: FrameHeader) -> tuple[int, int]:
        self._note_step(expected, later.sequence - 1, offset)
        return later.sequence, at

    def _note_step(self, first: int, last: int, offset: int) -> None:
        self.found.stepped_over.append(
            f"{self.segment.file}: frames {first} to {last} are damaged at byte {offset:,}; "
            "the state holds all of them"
        )

    def _end(self, data: bytes, expected: int, offset: int, salt: int, *, torn: bool) -> None:
        """No good frame follows: the end of the journal, of the segment, or of what can be read."""
        self.found.last = max(self.found.last, expected - 1)
        self.found.end = (self.segment.file, offset)
        begun = parse_header(data, offset, salt)
        if self.until is not None and self.until > expected:
            if self.until > self.known.needed_from:
                raise self._damaged(
                    offset, f"frame {expected} is damaged: the next segment begins with frame {self.until}"
                )
            self._note_step(expected, self.until - 1, offset)
        elif self.until is None and (torn or begun is not None):
            self.found.dropped.append(
                f"{self.segment.file}: frame {expected} at byte {offset:,} was not written whole, or damaged; "
                "it is the last one, and was dropped with what was written together with it"
            )

    def _damaged(self, offset: int, cause: str) -> StateError:
        return damaged(self.known.folder, self.segment.file, offset, cause)


def _good_frame(data: bytes, offset: int, salt: int) -> FrameHeader | None:
    frame = parse_header(data, offset, salt)
    if frame is None:
        return None
    body = memoryview(data)[offset + HEADER_BYTES : offset + HEADER_BYTES + frame.length]
    whole = len(body) == frame.length and zlib.crc32(body) == frame.body_checksum
    return frame if whole else None


def _later(data: bytes, offset: int, salt: int, expected: int) -> Iterator[tuple[int, FrameHeader]]:
    """The good frames from `offset` on that come after frame `expected`, and where they are."""
    at = data.find(MAGIC, offset)
    while at >= 0:
        frame = _good_frame(data, at, salt)
        if frame is not None and frame.sequence > expected:
            yield at, frame
            at = data.find(MAGIC, at + HEADER_BYTES + frame.length)
        else:
            at = data.find(MAGIC, at + 1)
