"""A source that producers connect to: what TCP and Unix sockets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.door import Door, Guest
from riverrun.sources.draining import PIECE_BYTES, drain
from riverrun.sources.numbering import number_of
from riverrun.world import Address, World

#: The least that one connection is asked for at a time, however many there are.
SHARE_BYTES_MIN = 16 * 1024


class ListeningReader:
    """Reads from all who connect, each in turn; each connection is a partition: ``127.0.0.1:50412#3``.

    Fairness: a poll asks each connection for a share of `max_bytes`, and the next poll goes on with the
    connection behind the last one asked. So a fast sender gets what the others leave, and no more.
    Who may connect, and for how long, is up to the `Door`.

    Parameters
    ----------
    per_peer : how many connections one host may hold.
    """

    def __init__(self, world: World, address: Address, limits: Limits, *, url: str, per_peer: int) -> None:
        self._world = world
        self._door = Door(world, address, limits, url=url, per_peer=per_peer)
        self._line_bytes = limits.line_bytes
        self._next: Guest | None = None
        self._paused = False
        #: The instant of this poll, on the wall clock.
        self._now_us = 0

    @property
    def address(self) -> Address:
        """Where it listens, with the real port when 0 was asked for."""
        return self._door.address

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._door.closed:
            return ()
        now_us = self._world.clock.monotonic_us()
        self._now_us = self._world.clock.now_us()
        self._door.tick(now_us, paused=self._paused)
        self._paused = False
        chunks: list[Chunk] = []
        knocks, speaking = self._door.listen()
        if knocks:
            for guest in self._door.let_in(now_us):
                self._gone(guest, chunks)
            _, speaking = self._door.listen()
        if speaking:
            self._collect(speaking, max_bytes, chunks, now_us)
        for guest in self._door.tired_of(now_us):
            self._door.counters["connections_closed_idle"] += 1
            self._dismiss(guest, chunks)
        return chunks

    def wait(self) -> Wait:
        watched, until_us = self._door.watched()
        return Wait(self._door.ears(watched=watched), until_us)

    @property
    def finished(self) -> bool:
        return self._door.closed

    @property
    def status(self) -> str:
        return self._door.status

    @property
    def counters(self) -> Mapping[str, int]:
        return self._door.counters

    @property
    def held_bytes(self) -> int:
        """Bytes of lines that have not ended: they stay in memory whatever the engine does.

        Of a line beyond the limit the decoder keeps next to nothing, so none counts for more than that.
        """
        return sum(min(guest.open_bytes, self._line_bytes) for guest in self._door.guests)

    def pause(self) -> None:
        """Nobody is asked for more until the next `poll`; the time till then counts against nobody."""
        self._paused = True

    def relieve(self) -> Sequence[Chunk]:
        """Memory is short, and all of it is in lines that have not ended: the newest of these is given up."""
        holding = [guest for guest in self._door.guests if guest.open_bytes]
        chunks: list[Chunk] = []
        if holding:
            self._door.counters["connections_closed_for_memory"] = (
                self._door.counters.get("connections_closed_for_memory", 0) + 1
            )
            self._dismiss(max(reversed(holding), key=lambda guest: guest.since_us), chunks)
        return chunks

    def bookmark(self) -> Remembered:
        return {"number": self._door.number, "counters": dict(self._door.counters)}

    def resume(self, bookmark: Remembered) -> None:
        self._door.number = bookmark["number"]
        self._door.counters.update(bookmark["counters"])

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert not isinstance(chunk, ChunkNote)
        self._door.number = max(self._door.number, number_of(chunk.partition))
        return chunk

    def close(self) -> None:
        self._door.close()

    def _collect(self, speaking: list[int], max_bytes: int, chunks: list[Chunk], now_us: int) -> None:
        """One turn around the table, or as much of it as `max_bytes` allow."""
        share = max(SHARE_BYTES_MIN, max_bytes // len(speaking))
        left = max_bytes
        for guest in self._in_turn(speaking):
            if left <= 0:
                self._next = guest
                return
            if not guest.gone:
                left -= self._ask(guest, min(share, left), chunks, now_us)
        self._next = None

    def _in_turn(self, speaking: list[int]) -> list[Guest]:
        """Those who speak, beginning where it was broken off the last time."""
        guests = self._door.guests
        if self._next is None or self._next.gone:
            return [guests[place] for place in speaking]
        start = guests.index(self._next)
        return [guests[place] for place in sorted(speaking, key=lambda place: place < start)]

    def _ask(self, guest: Guest, share: int, chunks: list[Chunk], now_us: int) -> int:
        """Receive from one; how much came."""
        try:
            connection = guest.connection
            data = connection.receive(share) if share <= PIECE_BYTES else drain(connection, share)
        except OSError:
            self._door.counters["connections_broken"] += 1
            data = b""
        if data is None:
            return 0
        if not data:
            self._dismiss(guest, chunks)
            return 0
        guest.note(data, now_us, self._door.unpaused_us)
        self._heard(guest, data, chunks)
        if guest.line.endless and not guest.gone:
            # One over-long line is passed over; this is no sender of lines.
            self._door.counters["connections_without_lines"] += 1
            self._endless(guest, chunks)
            self._dismiss(guest, chunks)
        return len(data)

    def _dismiss(self, guest: Guest, chunks: list[Chunk]) -> None:
        if not guest.gone:
            self._leave(guest)
            self._gone(guest, chunks)

    def _leave(self, guest: Guest) -> None:
        self._door.leave(guest)

    # What comes of it

    def _heard(self, guest: Guest, data: bytes, chunks: list[Chunk]) -> None:
        """A connection has sent something."""
        chunks.append(Chunk(guest.name, data, guest.position - len(data), self._now_us))

    def _endless(self, guest: Guest, chunks: list[Chunk]) -> None:
        """A connection is about to be closed because its line does not end: all of it has been handed out."""

    def _gone(self, guest: Guest, chunks: list[Chunk]) -> None:
        """A connection is over. One that never sent a byte never was a partition."""
        if guest.position:
            chunks.append(Chunk(guest.name, b"", guest.position, self._now_us, end=True, truncated=True))
