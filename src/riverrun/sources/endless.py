"""Senders who send, but no lines."""

from __future__ import annotations

from dataclasses import dataclass

#: A connection that has sent so many times the longest line without ending one is closed. A single line that
#: is too long but ends is passed over.
ENDLESS_LINES = 8


@dataclass(slots=True)
class OpenLine:
    """How much of a line that has not ended a connection has sent.

    Parameters
    ----------
    limit_bytes : the longest line.

    >>> line = OpenLine(limit_bytes=2)
    >>> line.note(b"ok\\n" + b"x" * 16)
    True
    >>> line.size, line.endless
    (16, False)
    >>> line.note(b"x")
    False
    >>> line.endless
    True
    """

    limit_bytes: int
    size: int = 0

    @property
    def endless(self) -> bool:
        """Whether it sends, but no lines."""
        return self.size > ENDLESS_LINES * self.limit_bytes

    def note(self, data: bytes) -> bool:
        """Take note of what came; whether the line that is open now has begun in it."""
        newline = data.rfind(b"\n")
        begun = newline >= 0 or not self.size
        self.size = len(data) - newline - 1 if newline >= 0 else self.size + len(data)
        return begun
