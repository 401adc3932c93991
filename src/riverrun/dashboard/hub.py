"""Who is watching, and what each of them still has to be sent.

One encoding serves all viewers. Memory is bounded twice: a ring of recent messages for those who come back,
and a short queue per viewer; whoever cannot keep up loses the queue and is told to fetch a snapshot.
"""

from __future__ import annotations

import asyncio
from collections import deque

from riverrun.dashboard import wire
from riverrun.dashboard.address import PATIENCE_S


class Viewer:
    """One open page: a bounded queue of messages.

    Parameters
    ----------
    limit : messages that may wait.
    """

    def __init__(self, limit: int) -> None:
        self._waiting: deque[bytes] = deque()
        self._limit = limit
        self._something = asyncio.Event()
        self.closed = False
        self.overflows = 0

    def offer(self, message: bytes, instead: bytes) -> None:
        """Queue a message; when the queue is full, drop all of it and queue `instead`."""
        if len(self._waiting) >= self._limit:
            self._waiting.clear()
            self._waiting.append(instead)
            self.overflows += 1
        else:
            self._waiting.append(message)
        self._something.set()

    def close(self) -> None:
        """End the stream after what is being sent now."""
        self.closed = True
        self._something.set()

    async def next(self, patience_s: float) -> bytes | None:
        """All that waits, as one piece; ``b""`` when `patience_s` passed in silence; ``None`` at the end."""
        if not self._waiting and not self.closed:
            try:
                async with asyncio.timeout(patience_s):
                    await self._something.wait()
            except TimeoutError:
                return b""
        self._something.clear()
        if self.closed:
            return None
        out = b"".join(self._waiting)
        self._waiting.clear()
        return out


class Hub:
    """Sends every message to all viewers, and remembers the last ones.

    Parameters
    ----------
    epoch : tells this run of the server from another; sequences of two epochs cannot be compared.
    ring_messages, ring_bytes : what is kept for viewers that come back.
    queue_messages : what may wait for one viewer.
    patience_s : a viewer that takes nothing for so long is cut off; its page comes back by itself.
    """

    def __init__(
        self,
        epoch: str,
        *,
        ring_messages: int = 600,
        ring_bytes: int = 8 * 1024 * 1024,
        queue_messages: int = 64,
        viewers: int = 256,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.epoch = epoch
        self.patience_s = patience_s
        self.sequence = 0
        self.viewers: set[Viewer] = set()
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_held_bytes = 0
        self._ring_messages = ring_messages
        self._ring_bytes = ring_bytes
        self._queue_messages = queue_messages
        self._viewers_max = viewers

    @property
    def full(self) -> bool:
        """Whether no further viewer is let in."""
        return len(self.viewers) >= self._viewers_max

    def identity(self, sequence: int | None = None) -> str:
        """The id of a message: epoch and sequence."""
        return f"{self.epoch}:{self.sequence if sequence is None else sequence}"

    def broadcast(self, name: str, data: bytes) -> None:
        """Number a message, remember it, and queue it for everybody."""
        self.sequence += 1
        message = wire.event(name, data, self.identity())
        self._remember(message)
        reset = wire.event("reset", b"{}", self.identity())
        for viewer in self.viewers:
            viewer.offer(message, reset)

    def join(self, last_seen: str | None) -> tuple[Viewer, bytes]:
        """A new viewer, and the first bytes for it: a greeting, then what it missed if we still know it."""
        missed = self.since(last_seen)
        greeting = wire.dumps({"epoch": self.epoch, "seq": self.sequence, "resumed": missed is not None})
        first = wire.event(
            "hello", greeting, last_seen if missed is not None and last_seen else self.identity()
        )
        viewer = Viewer(self._queue_messages)
        self.viewers.add(viewer)
        return viewer, first + b"".join(missed or [])

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self.viewers.discard(viewer)

    def since(self, last_seen: str | None) -> list[bytes] | None:
        """The messages after an id; ``None`` when it is of another epoch or too long ago."""
        epoch, _, number = (last_seen or "").rpartition(":")
        if epoch != self.epoch or not (number.isascii() and number.isdigit()):
            return None
        seen = int(number)
        oldest = self._ring[0][0] if self._ring else self.sequence + 1
        if seen > self.sequence or seen < oldest - 1:
            return None
        return [message for sequence, message in self._ring if sequence > seen]

    def close(self) -> None:
        """End all streams."""
        for viewer in self.viewers:
            viewer.close()

    def _remember(self, message: bytes) -> None:
        self._ring.append((self.sequence, message))
        self._ring_held_bytes += len(message)
        while self._ring and (
            len(self._ring) > self._ring_messages or self._ring_held_bytes > self._ring_bytes
        ):
            self._ring_held_bytes -= len(self._ring.popleft()[1])
