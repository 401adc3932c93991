"""From bytes cut anywhere to whole lines, with the limit on their length.

`LineBuffer` holds at most one partial line. A line over the limit is not held at all: its first bytes,
its length and a running hash are kept, and everything up to its newline is passed over. What comes out
depends on the bytes alone, never on how they were cut.

The state of SHA-256 cannot be written down with Python's own means, so a line over the limit is hashed in
pieces, each together with the hash before it. Then a snapshot is one hash and less than one piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from riverrun.formats.rejection import HEAD_BYTES, reject
from riverrun.ports import Rejected, Remembered

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Lines over the limit are hashed in pieces of this size.
HASHED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, each with its newline, that stood together in the partition from `position` on."""

    data: bytes
    position: int


class LineBuffer:
    """Cuts the bytes of one partition into blocks of whole lines.

    Parameters
    ----------
    limit_bytes : the longest line, not counting its newline.
    snapshot : where another buffer stood, to go on there.
    """

    def __init__(self, limit_bytes: int, snapshot: Remembered | None = None) -> None:
        kept = snapshot or {"position": 0, "held": b"", "skipped": None, "at_start": True}
        self._limit = limit_bytes
        self._position: int = kept["position"]  # of the first byte that is held
        self._held: list[bytes] = [kept["held"]] if kept["held"] else []
        self._held_bytes = len(kept["held"])
        self._skipped = _LongLine.of(kept["skipped"]) if kept["skipped"] else None
        self._at_start: bool = kept["at_start"]

    @property
    def resting(self) -> bool:
        """Whether the next byte begins a line, and not the first one."""
        return not (self._at_start or self._held or self._skipped is not None)

    def pass_over(self, size: int) -> None:
        """So many bytes of whole lines went another way."""
        assert self.resting
        self._position += size

    def snapshot(self) -> Remembered:
        """The open line, or what is remembered of it when it is too long, and where it stands."""
        return {
            "position": self._position,
            "held": b"".join(self._held),
            "skipped": self._skipped.snapshot() if self._skipped is not None else None,
            "at_start": self._at_start,
        }

    def feed(self, data: bytes, before: Sequence[bytes] = ()) -> list[Block | Rejected]:
        """The lines that are whole by now, in order, and dead letters of those that were too long.

        Parameters
        ----------
        before : what came before `data`, in pieces: they are put together with the open line, in one copy.
        """
        out: list[Block | Rejected] = []
        if before and (self._at_start or self._skipped is not None or b"\n" not in data):
            data, before = b"".join([*before, data]), ()
        if self._at_start:
            data = self._without_mark(data)
        if self._skipped is not None:
            data = self._pass_over(data, out)
        if not data:
            return out
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._hold(data)
            return out
        block = self._joined(before, data, cut)
        self._cut_long_lines(Block(block, self._position), out)
        self._position += len(block)
        if cut < len(data):
            self._hold(data[cut:])
        return out

    def finish(self, *, truncated: bool) -> list[Block | Rejected]:
        """What is left at the end of the partition: a last line (given a newline), or a dead letter."""
        out: list[Block | Rejected] = []
        if self._skipped is not None:
            out.append(self._skipped.rejected(self._limit, ended=not truncated))
            self._skipped = None
        rest = b"".join(self._held)
        self._held, self._held_bytes, self._at_start = [], 0, False
        if rest and truncated:
            detail = "the connection ended within this record"
            out.append(reject("truncated", detail, rest, self._position))
        elif rest:
            out.append(Block(rest + b"\n", self._position))
        self._position += len(rest)
        return out

    def _without_mark(self, data: bytes) -> bytes:
        """Strip a byte order mark from the start of the stream, which may come in pieces."""
        start = b"".join(self._held) + data[: len(BYTE_ORDER_MARK)]
        if len(start) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(start):
            self._held, self._held_bytes = [start], len(start)
            return b""
        self._at_start = False
        if not start.startswith(BYTE_ORDER_MARK):
            return data
        data = data[len(BYTE_ORDER_MARK) - self._held_bytes :]
        self._held, self._held_bytes = [], 0
        self._position = len(BYTE_ORDER_MARK)
        return data

    def _joined(self, before: Sequence[bytes], data: bytes, cut: int) -> bytes:
        if not self._held and not before:
            return data if cut == len(data) else data[:cut]
        whole = b"".join([*self._held, *before, memoryview(data)[:cut]])
        self._held, self._held_bytes = [], 0
        return whole

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > self._limit:
            self._skipped = _LongLine(b"".join(self._held), self._position)
            self._position += self._held_bytes
            self._held, self._held_bytes = [], 0

    def _pass_over(self, data: bytes, out: list[Block | Rejected]) -> bytes:
        """Add to the line that is being skipped; give back what follows its newline."""
        assert self._skipped is not None
        end = data.find(b"\n")
        if end < 0:
            self._skipped.add(data)
            self._position += len(data)
            return b""
        self._skipped.add(data[:end])
        out.append(self._skipped.rejected(self._limit))
        self._skipped = None
        self._position += end + 1
        return data[end + 1 :]

    def _cut_long_lines(self, block: Block, out: list[Block | Rejected]) -> None:
        """Pass a block on, without the lines over the limit. Costs one search per `limit` bytes."""
        data, start, at = block.data, 0, 0
        while len(data) - at > self._limit + 1:
            newline = data.rfind(b"\n", at, at + self._limit + 1)
            if newline >= 0:
                at = newline + 1
                continue
            end = data.find(b"\n", at)
            if at > start:
                out.append(Block(data[start:at], block.position + start))
            line = _LongLine(data[at:end], block.position + at)
            out.append(line.rejected(self._limit))
            start = at = end + 1
        if start == 0:
            out.append(block)
        elif start < len(data):
            out.append(Block(data[start:], block.position + start))


class _LongLine:
    """What is remembered of a line that is not kept."""

    def __init__(self, start: bytes, position: int) -> None:
        self._position = position
        self._length = 0
        self._head = b""
        self._hash = b""  # of all whole pieces
        self._piece = b""  # less than one, not yet hashed
        self.add(start)

    @staticmethod
    def of(snapshot: Remembered) -> _LongLine:
        line = _LongLine(b"", snapshot["position"])
        line._length, line._head = snapshot["length"], snapshot["head"]
        line._hash, line._piece = snapshot["hash"], snapshot["piece"]
        return line

    def snapshot(self) -> Remembered:
        return {
            "position": self._position,
            "length": self._length,
            "head": self._head,
            "hash": self._hash,
            "piece": self._piece,
        }

    def add(self, data: bytes) -> None:
        self._length += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        if len(self._piece) + len(data) <= HASHED_BYTES:
            self._piece += data
            return
        view = memoryview(data)
        at = HASHED_BYTES - len(self._piece)
        self._fold(self._piece, view[:at])
        while len(data) - at > HASHED_BYTES:
            self._fold(view[at : at + HASHED_BYTES])
            at += HASHED_BYTES
        self._piece = data[at:]

    def _fold(self, *parts: bytes | memoryview) -> None:
        hashed = hashlib.sha256(self._hash)
        for part in parts:
            hashed.update(part)
        self._hash = hashed.digest()

    def rejected(self, limit_bytes: int, *, ended: bool = True) -> Rejected:
        """The dead letter; `ended` is False when the connection was gone before the end of the line came."""
        whole = hashlib.sha256(self._hash + self._piece).hexdigest()
        what = (self._position, self._length, self._head, whole)
        if ended:
            detail = f"a line of {self._length} bytes, the limit is {limit_bytes}"
            return Rejected("line-too-long", detail, *what)
        detail = f"{self._length} bytes without the end of a line, the limit is {limit_bytes}"
        return Rejected("no-frame", detail, *what)
