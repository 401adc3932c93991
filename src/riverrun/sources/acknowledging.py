"""A source that tells its producers which of their lines are safe: ``+17`` once 17 lines are on the disk."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Remembered, Wait
from riverrun.sources.door import Guest
from riverrun.sources.listening import ListeningReader
from riverrun.sources.producers import Ledger, Producers, name_of, read_hello
from riverrun.world import Address, Connection, World

#: The first line of a producer that has a name begins so.
HELLO = b"HELLO "
#: The longest such line.
HELLO_BYTES_MAX = 128
#: How often acknowledgments are offered again to somebody who does not read them.
OFFER_US = 50_000
#: How often to look for producers that have been silent for too long.
FORGET_US = 10_000_000


@dataclass(slots=True, eq=False)
class _Talk:
    """One connection: the line that has not ended, and the numbers that are sent back.

    Only the newest number matters, so what waits to be sent is never more than one line and one number.
    """

    connection: Connection
    ledger: Ledger | None = None
    open_line: bytearray = field(default_factory=bytearray)
    told: int = 0
    half_told: bytes = b""

    def tell(self, number: int) -> bool:
        """Send the number of safe lines; false when the other end takes no more just now."""
        if self.half_told and not self.send(self.half_told):
            return False
        if number <= self.told:
            return True
        self.told = number
        return self.send(b"+%d\n" % number)

    def send(self, data: bytes) -> bool:
        """Send it, or as much as the other end takes; whether that was all."""
        try:
            self.half_told = data[self.connection.send(data) :]
        except OSError:
            # The connection is broken; `receive` will say so.
            self.half_told = b""
        return not self.half_told


class AcknowledgingReader(ListeningReader):
    """As `ListeningReader`, but only whole lines become chunks, and those that are safe are acknowledged.

    A producer that says who it is (``HELLO shop-1``) is one partition across its connections, and of what it
    sends again only the new lines are passed on. See the page "Sources and acknowledgments" for the protocol.

    Parameters
    ----------
    max_producers, ttl_us : how many producers are remembered, and for how long after they were last heard of.
    """

    def __init__(
        self,
        world: World,
        address: Address,
        limits: Limits,
        *,
        url: str,
        per_peer: int,
        max_producers: int,
        ttl_us: int,
    ) -> None:
        super().__init__(world, address, limits, url=url, per_peer=per_peer)
        self._producers = Producers(max_producers, ttl_us)
        self._talks: dict[Guest, _Talk] = {}
        #: Who is connected, by partition; what is told to them, and closing, is done under the lock.
        self._connected: dict[str, _Talk] = {}
        self._callers: dict[str, Guest] = {}
        self._behind: set[_Talk] = set()
        self._lock = threading.Lock()
        #: The bookmark of producers, but for those that have changed since: it is asked for after each poll.
        self._remembered: dict[str, list[object]] = {}
        self._changed: set[Ledger] = set()
        self._forget_after_us = 0
        self._door.counters |= {"duplicate_records": 0, "producers_forgotten": 0, "hellos_refused": 0}

    def poll(self, max_bytes: int) -> Sequence[Chunk]:
        if self._behind:
            self._offer_again()
        chunks = list(super().poll(max_bytes))
        now_us = self._world.clock.monotonic_us()
        if now_us >= self._forget_after_us:
            self._forget_after_us = now_us + FORGET_US
            self._forget_some(chunks)
        return chunks

    def wait(self) -> Wait:
        wait = super().wait()
        due_us = [wait.until_us]
        if self._behind:
            due_us.append(self._world.clock.monotonic_us() + OFFER_US)
        if len(self._producers):
            due_us.append(self._forget_after_us)
        return Wait(wait.ready, min((at_us for at_us in due_us if at_us is not None), default=None))

    def acknowledge(self, ends: Mapping[str, int]) -> None:
        """Everything before these positions of partitions is safe: tell the producers that are there."""
        connected = self._connected
        with self._lock:
            for partition, position in ends.items():
                talk = connected.get(partition)
                if talk is None or talk.ledger is None:
                    self._note_safe(partition, position)
                    continue
                durable = talk.ledger.safe(position)
                if durable > talk.told and not talk.tell(durable):
                    self._behind.add(talk)

    def _note_safe(self, partition: str, position: int) -> None:
        """As much is safe of a producer that is not there; it is told when it comes back."""
        ledger = self._producers.find(name_of(partition))
        if ledger is not None and ledger.partition == partition:
            ledger.safe(position)

    @property
    def lasting(self) -> Collection[str]:
        """Partitions that go on after a restart: those of producers with a name, not those of connections."""
        return [ledger.partition for ledger in self._producers]

    @property
    def counters(self) -> Mapping[str, int]:
        return {**self._door.counters, "producers": len(self._producers)}

    @property
    def held_bytes(self) -> int:
        """As in `ListeningReader`, but here a line is held to its end, or until the connection is closed."""
        return sum(len(talk.open_line) for talk in self._talks.values())

    def bookmark(self) -> Remembered:
        for ledger in self._changed:
            name = name_of(ledger.partition)
            if self._producers.find(name) is ledger:
                seen_us = self._producers.seen_us(name)
                self._remembered[ledger.partition] = [ledger.received, ledger.position, seen_us]
        self._changed.clear()
        return {**super().bookmark(), "producers": dict(self._remembered)}

    def resume(self, bookmark: Remembered) -> None:
        super().resume(bookmark)
        for partition, (received, position, seen_us) in bookmark["producers"].items():
            ledger = Ledger(partition, received=received, durable=received, position=position)
            self._producers.put(ledger, seen_us)
            self._changed.add(ledger)

    def replay(self, chunk: Chunk | FrameChunk | ChunkNote) -> Chunk | FrameChunk:
        assert isinstance(chunk, Chunk)
        if not _has_name(chunk.partition):
            return super().replay(chunk)
        name = name_of(chunk.partition)
        if chunk.end:
            self._forget(name)
            return chunk
        ledger = self._producers.heard_of(name, chunk.received_us)
        if ledger.partition != chunk.partition:
            ledger = self._producers.begin_anew(name, int(chunk.partition.partition("@")[2]))
        ledger.took(chunk.data.count(b"\n"), len(chunk.data))
        ledger.safe(ledger.position)
        self._changed.add(ledger)
        return chunk

    # Lines

    def _heard(self, guest: Guest, data: bytes, chunks: list[Chunk]) -> None:
        talk = self._talks.get(guest)
        if talk is None:
            talk = self._talks[guest] = _Talk(guest.connection)
        lines = _whole_lines(talk.open_line, data)
        if talk.ledger is None:
            lines = self._first_line(guest, talk, lines, chunks)
        if not lines or talk.ledger is None:
            return
        ledger = talk.ledger
        if ledger.skip:
            lines, known = ledger.new_of(lines)
            self._door.counters["duplicate_records"] += known
            if not lines:
                return
        chunks.append(Chunk(ledger.partition, lines, ledger.position, self._now_us))
        ledger.took(_count(lines), len(lines))
        self._changed.add(ledger)

    def _first_line(self, guest: Guest, talk: _Talk, lines: bytes, chunks: list[Chunk]) -> bytes:
        """Find out who this is, and return the lines that follow."""
        head = lines or bytes(talk.open_line[: HELLO_BYTES_MAX + 1])
        if not head.startswith(HELLO) and not HELLO.startswith(head):
            self._begin(talk, Ledger(guest.name))
            return lines
        if not lines:
            if len(head) > HELLO_BYTES_MAX:
                self._refuse(guest, talk, chunks)
            return b""
        line, rest = lines[: lines.index(b"\n") + 1], lines[lines.index(b"\n") + 1 :]
        hello = read_hello(line)
        if hello is None:
            self._refuse(guest, talk, chunks)
            return b""
        self._greet(guest, talk, hello.producer, hello.start, chunks)
        return rest

    def _greet(self, guest: Guest, talk: _Talk, name: str, start: int | None, chunks: list[Chunk]) -> None:
        """A producer has said who it is. If it is connected already, that connection is a dead one."""
        before = self._callers.pop(name, None)
        if before is not None:
            self._dismiss(before, chunks)
        now_us = self._world.clock.now_us()
        ledger = self._producers.heard_of(name, now_us)
        # The number that is answered is where a producer goes on that does not say where it stands.
        durable = ledger.durable
        if not ledger.begin_at(durable if start is None else start):
            if ledger.position:
                chunks.append(_end(ledger, now_us))
            self._remembered.pop(ledger.partition, None)
            assert start is not None
            ledger = self._producers.begin_anew(name, start)
            durable = start
        self._callers[name] = guest
        self._changed.add(ledger)
        self._begin(talk, ledger, answer=durable)
        self._forget_some(chunks)

    def _begin(self, talk: _Talk, ledger: Ledger, answer: int | None = None) -> None:
        with self._lock:
            talk.ledger = ledger
            self._connected[ledger.partition] = talk
            if answer is not None:
                talk.told = answer - 1
                if not talk.tell(answer):
                    self._behind.add(talk)

    def _refuse(self, guest: Guest, talk: _Talk, chunks: list[Chunk]) -> None:
        self._door.counters["hellos_refused"] += 1
        with self._lock:
            talk.half_told = b""
            talk.send(b"-HELLO and a name of letters, digits, . _ - (64 at most), then maybe a number\n")
        self._dismiss(guest, chunks)

    # Comings and goings

    def close(self) -> None:
        with self._lock:
            super().close()

    def _leave(self, guest: Guest) -> None:
        # Not while somebody sends: the number of a closed socket may belong to another one in a moment.
        with self._lock:
            super()._leave(guest)

    def _endless(self, guest: Guest, chunks: list[Chunk]) -> None:
        """Hand the line out, or nobody would learn of it.

        It goes under the name of the connection, as it is no line of the producer, who may do better next time.
        """
        talk = self._talks[guest]
        line, talk.open_line = bytes(talk.open_line), bytearray()
        if talk.ledger is not None and talk.ledger.partition == guest.name:
            chunks.append(Chunk(guest.name, line, talk.ledger.position, self._now_us))
            talk.ledger.took(0, len(line))
        else:
            chunks.append(Chunk(guest.name, line, 0, self._now_us, end=True, truncated=True))

    def _gone(self, guest: Guest, chunks: list[Chunk]) -> None:
        """A connection is over; a line that it did not end will be sent again."""
        talk = self._talks.pop(guest, None)
        if talk is None or talk.ledger is None:
            return
        ledger = talk.ledger
        self._changed.discard(ledger)
        with self._lock:
            self._connected.pop(ledger.partition, None)
            self._behind.discard(talk)
        if _has_name(ledger.partition):
            name = name_of(ledger.partition)
            self._callers.pop(name, None)
            self._producers.heard_of(name, self._world.clock.now_us())
            self._changed.add(ledger)
        elif ledger.position:
            chunks.append(_end(ledger, self._world.clock.now_us()))

    def _offer_again(self) -> None:
        with self._lock:
            self._behind = {talk for talk in self._behind if talk.ledger and not talk.tell(talk.ledger.durable)}

    def _forget_some(self, chunks: list[Chunk]) -> None:
        now_us = self._world.clock.now_us()
        for ledger in self._producers.too_many(now_us, self._callers):
            self._door.counters["producers_forgotten"] += 1
            if ledger.position:
                chunks.append(_end(ledger, now_us))
            self._forget(name_of(ledger.partition))

    def _forget(self, name: str) -> None:
        ledger = self._producers.find(name)
        if ledger is not None:
            self._remembered.pop(ledger.partition, None)
            self._producers.forget(name)


def _whole_lines(open_line: bytearray, data: bytes) -> bytes:
    """The lines that are whole by now; what is behind the last one stays in `open_line`."""
    if not open_line and data.endswith(b"\n"):
        return data
    end = data.rfind(b"\n") + 1
    if not end:
        open_line += data
        return b""
    lines = bytes(open_line) + data[:end]
    open_line[:] = data[end:]
    return lines


def _count(lines: bytes) -> int:
    """How many lines these are: mostly one, and to look for the first end is faster than to count."""
    return 1 if lines.find(b"\n") == len(lines) - 1 else lines.count(b"\n")


def _end(ledger: Ledger, now_us: int) -> Chunk:
    return Chunk(ledger.partition, b"", ledger.position, now_us, end=True, truncated=True)


def _has_name(partition: str) -> bool:
    """Whether it is the partition of a producer with a name: connections have a number instead."""
    return "#" not in partition
