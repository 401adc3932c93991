"""A source that producers connect to: what TCP and Unix sockets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.draining import drain
from riverrun.sources.numbering import number_of
from riverrun.sources.trouble import in_words
from riverrun.world import Address, Connection, Listener, World

#: The least that one connection is asked for at a time, however many there are.
SHARE_BYTES_MIN = 16 * 1024
#: How long to leave the door alone when the system has no more descriptors for us.
ACCEPT_PAUSE_US = 1_000_000
#: A connection that has sent so many times the longest line without ending one is closed.
ENDLESS_LINES = 8


@dataclass(slots=True)
class _Guest:
    """One connection of a producer."""

    connection: Connection
    partition: str
    host: str
    since_us: int
    position: int = 0
    open_bytes: int = 0

    def note(self, data: bytes) -> None:
        """Take note of what it sent, and of how much has come since its last line ended."""
        self.position += len(data)
        newline = data.rfind(b"\n")
        self.open_bytes = len(data) - newline - 1 if newline >= 0 else self.open_bytes + len(data)


class ListeningReader:
    """Reads from all who connect, each in turn; each connection is a partition: ``127.0.0.1:50412#3``.

    Fairness: a poll asks each connection for a share of `max_bytes`, and the next poll goes on with the
    connection behind the last one asked. So a fast sender gets what the others leave, and no more.
    When all places are taken, new connections wait at the door until one is free: a connection that has
    sent nothing for `limits.first_byte_s` gives up its place, the oldest first.

    Parameters
    ----------
    per_peer : how many connections one host may hold.
    """

    def __init__(self, world: World, address: Address, limits: Limits, *, url: str, per_peer: int) -> None:
        self._world = world
        self._limits = limits
        self._per_peer = per_peer
        self._first_byte_us = round(limits.first_byte_s * 1_000_000)
        try:
            self._listener: Listener = world.network.listen(address)
        except OSError as error:
            raise SourceError(
                f"cannot listen at {address}: {in_words(error)}",
                where=url,
                hint="is another riverrun running there? choose another address",
            ) from None
        self._guests: list[_Guest] = []
        self._turn = 0
        self._busy = 1
        self._number = 0
        self._trouble = ""
        self._accept_after_us = 0
        self._closed = False
        self._counters = {
            "connections": 0,
            "connections_refused_per_peer": 0,
            "connections_closed_silent": 0,
            "connections_broken": 0,
            "connections_without_lines": 0,
        }

    @property
    def address(self) -> Address:
        """Where it listens, with the real port when 0 was asked for."""
        return self._listener.address

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._closed:
            return ()
        self._let_in()
        return self._collect(max_bytes)

    def wait(self) -> Wait:
        guests = tuple(guest.connection for guest in self._guests)
        now_us = self._world.clock.monotonic_us()
        if now_us < self._accept_after_us:
            return Wait(guests, self._accept_after_us)
        if self._full and self._overdue(now_us) is None:
            # The door is not watched: whoever knocks would wake us again and again, for nothing.
            silent = self._oldest_silent()
            return Wait(guests, None if silent is None else silent.since_us + self._first_byte_us)
        return Wait((self._listener, *guests))

    @property
    def finished(self) -> bool:
        return self._closed

    @property
    def status(self) -> str:
        if self._closed:
            return "closed"
        count = len(self._guests)
        connected = f"{count} connection" if count == 1 else f"{count} connections"
        full = f" (full: the limit is {self._limits.connections})" if self._full else ""
        trouble = f", {self._trouble}" if self._trouble else ""
        return f"listening at {self.address}, {connected}{full}{trouble}"

    @property
    def counters(self) -> Mapping[str, int]:
        return self._counters

    def bookmark(self) -> Remembered:
        return {"number": self._number, "counters": dict(self._counters)}

    def resume(self, bookmark: Remembered) -> None:
        self._number = bookmark["number"]
        self._counters.update(bookmark["counters"])

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote)
        self._number = max(self._number, number_of(chunk.partition))
        return chunk

    def close(self) -> None:
        for guest in self._guests:
            guest.connection.close()
        self._guests.clear()
        if not self._closed:
            self._closed = True
            self._listener.close()

    @property
    def _full(self) -> bool:
        return len(self._guests) >= self._limits.connections

    # The door

    def _let_in(self) -> None:
        now_us = self._world.clock.monotonic_us()
        if now_us < self._accept_after_us:
            return
        while not self._full or self._overdue(now_us) is not None:
            try:
                connection = self._listener.accept()
            except OSError as error:
                self._trouble = f"cannot accept: {in_words(error)}"
                self._accept_after_us = now_us + ACCEPT_PAUSE_US
                return
            self._trouble = ""
            if connection is None:
                return
            self._receive_guest(connection, now_us)

    def _receive_guest(self, connection: Connection, now_us: int) -> None:
        host = connection.peer.rpartition(":")[0] or connection.peer
        if sum(guest.host == host for guest in self._guests) >= self._per_peer:
            self._counters["connections_refused_per_peer"] += 1
            connection.close()
            return
        overdue = self._overdue(now_us)
        if self._full and overdue is not None:
            self._counters["connections_closed_silent"] += 1
            self._leave(overdue)
        self._number += 1
        self._counters["connections"] += 1
        self._guests.append(_Guest(connection, f"{connection.peer}#{self._number}", host, now_us))

    def _overdue(self, now_us: int) -> _Guest | None:
        """The oldest connection that never sent, if it has had its time."""
        silent = self._oldest_silent()
        return silent if silent is not None and now_us >= silent.since_us + self._first_byte_us else None

    def _oldest_silent(self) -> _Guest | None:
        return next((guest for guest in self._guests if not guest.position), None)

    def _leave(self, guest: _Guest) -> None:
        index = self._guests.index(guest)
        del self._guests[index]
        if index < self._turn:
            self._turn -= 1
        guest.connection.close()

    # The table

    def _collect(self, max_bytes: int) -> list[Chunk]:
        """One turn around the table, or as much of it as `max_bytes` allow."""
        count = len(self._guests)
        # Silent connections take nothing, so the share is that of those who sent last time.
        share = max(SHARE_BYTES_MIN, max_bytes // max(1, self._busy))
        start = self._turn if self._turn < count else 0
        order = self._guests[start:] + self._guests[:start]
        chunks: list[Chunk] = []
        left, asked, busy = max_bytes, 0, 0
        for guest in order:
            if left <= 0:
                break
            asked += 1
            found = self._ask(guest, min(share, left))
            if found is not None:
                chunks.append(found)
                left -= len(found.data)
                busy += 1
        # Those who were not asked may all have something.
        self._busy = max(1, busy + len(order) - asked)
        self._pass_turn(order, asked)
        return chunks

    def _pass_turn(self, order: Sequence[_Guest], asked: int) -> None:
        self._turn = 0
        if asked < len(order):
            self._turn = self._guests.index(order[asked])

    def _ask(self, guest: _Guest, share: int) -> Chunk | None:
        try:
            data = drain(guest.connection, share)
        except OSError:
            self._counters["connections_broken"] += 1
            data = b""
        if data is None:
            return None
        now_us = self._world.clock.now_us()
        if data:
            position = guest.position
            guest.note(data)
            endless = guest.open_bytes > ENDLESS_LINES * self._limits.line_bytes
            if endless:
                # One over-long line is passed over; this is no sender of lines.
                self._counters["connections_without_lines"] += 1
                self._leave(guest)
            return Chunk(guest.partition, data, position, now_us, end=endless, truncated=endless)
        self._leave(guest)
        if not guest.position:
            # It never sent a byte, so it never was a partition.
            return None
        return Chunk(guest.partition, b"", guest.position, now_us, end=True, truncated=True)
