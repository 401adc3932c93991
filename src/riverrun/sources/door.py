"""Who may come in by a listening socket, and who has to leave: places, peers, and patience."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.sources.endless import OpenLine
from riverrun.sources.trouble import in_words
from riverrun.world import Address, Connection, Listener, World

#: How long to leave the door alone when the system has no more descriptors for us.
ACCEPT_PAUSE_US = 1_000_000
#: How often to look for connections that have been quiet for too long.
LOOK_US = 250_000
#: When all places are taken, a connection that has sent nothing for so long may lose its own.
QUIET_US = 60_000_000
#: While others wait behind the one that was let in for another, connections get this share of their time for a
#: first line: thousands of silent ones must not keep a sender outside for seconds.
CROWD_SHARE = 1 / 16


@dataclass(slots=True, eq=False)
class Guest:
    """One connection of a sender.

    Parameters
    ----------
    since_us, heard_us : when it came, and when it sent last (monotonic).
    position : bytes that it has sent.
    line : what it has sent behind the end of the last line.
    open_us : when that unfinished line was begun, as `Door.unpaused_us` tells the time.
    gone : it is closed.
    """

    connection: Connection
    name: str
    host: str
    since_us: int
    heard_us: int
    line: OpenLine
    position: int = 0
    open_us: int = 0
    gone: bool = False

    @property
    def proven(self) -> bool:
        """Whether it has ever sent a whole line."""
        return self.position > self.line.size

    @property
    def open_bytes(self) -> int:
        return self.line.size

    def note(self, data: bytes, now_us: int, unpaused_us: int) -> None:
        """Take note of what it sent, and of how much has come since its last line ended."""
        self.position += len(data)
        self.heard_us = now_us
        if data.endswith(b"\n"):
            self.line.size = 0
        elif self.line.note(data):
            self.open_us = unpaused_us


class Door:
    """The places of a listening source.

    When all are taken, new connections wait until one is free: one that has not sent a whole line within
    `limits.first_line_s` makes room, the oldest first; when there is none, one that has sent nothing for a
    minute, the longest silent first. Once one had to make room, and until nobody waits any more, there is a
    crowd, and a sixteenth of that time has to do. Connections that are silent for `limits.idle_s`, or need more
    than `limits.line_s` for one line, have to leave in any case.

    Parameters
    ----------
    per_peer : how many connections one host may hold.
    """

    def __init__(self, world: World, address: Address, limits: Limits, *, url: str, per_peer: int) -> None:
        self._world = world
        self._places = limits.connections
        self._per_peer = per_peer
        self._first_line_us = round(limits.first_line_s * 1_000_000)
        self._crowd = False
        self._idle_us = _microseconds(limits.idle_s)
        self._line_us = _microseconds(limits.line_s)
        self._line_bytes = limits.line_bytes
        try:
            self._listener: Listener = world.network.listen(address)
        except OSError as error:
            raise SourceError(
                f"cannot listen at {address}: {in_words(error)}",
                where=url,
                hint="is another riverrun running there? choose another address",
            ) from None
        self.guests: list[Guest] = []
        self._hosts: Counter[str] = Counter()
        self._connections: tuple[Connection, ...] | None = None
        self._with_listener: tuple[Connection | Listener, ...] = ()
        self.number = 0
        self._trouble = ""
        self._accept_after_us = 0
        self._look_after_us = 0
        self._unpaused_us = 0
        self._asked_us = world.clock.monotonic_us()
        self._closed = False
        self.counters = {
            "connections": 0,
            "connections_refused_per_peer": 0,
            "connections_closed_silent": 0,
            "connections_closed_idle": 0,
            "connections_closed_for_others": 0,
            "connections_broken": 0,
            "connections_without_lines": 0,
        }

    @property
    def address(self) -> Address:
        """Where it listens, with the real port when 0 was asked for."""
        return self._listener.address

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unpaused_us(self) -> int:
        """Time that passes only while guests are asked: nobody is blamed for what we did not read."""
        return self._unpaused_us

    @property
    def status(self) -> str:
        if self._closed:
            return "closed"
        count = len(self.guests)
        connected = f"{count} connection" if count == 1 else f"{count} connections"
        full = f" (full: the limit is {self._places})" if self._full else ""
        trouble = f", {self._trouble}" if self._trouble else ""
        return f"listening at {self.address}, {connected}{full}{trouble}"

    def watched(self) -> tuple[bool, int | None]:
        """Whether it is worth waking when somebody knocks, and when to look again at the latest."""
        now_us = self._world.clock.monotonic_us()
        if now_us < self._accept_after_us:
            return False, self._accept_after_us
        latest_us = self._look_after_us if self.guests and self._impatient else None
        if self._full and self._overdue(now_us) is None:
            # Whoever knocks would wake us again and again, for nothing.
            dues_us = (self._due_us(guest) for guest in self._candidates())
            return False, min((at for at in (*dues_us, latest_us) if at is not None), default=None)
        return True, latest_us

    def ears(self, *, watched: bool) -> tuple[Connection | Listener, ...]:
        """What to wait for: those who are in, and who knocks. The same tuple while nobody comes or goes."""
        connections = self._connected()
        return self._with_listener if watched else connections

    def _connected(self) -> tuple[Connection, ...]:
        if self._connections is None:
            self._connections = tuple(guest.connection for guest in self.guests)
            self._with_listener = (self._listener, *self._connections)
        return self._connections

    def tick(self, now_us: int, *, paused: bool) -> None:
        """Let time pass; `paused`: since the last time nobody was asked for more."""
        if not paused:
            self._unpaused_us += now_us - self._asked_us
        self._asked_us = now_us

    def listen(self) -> tuple[bool, list[int]]:
        """Whether somebody knocks, and the places of guests who have sent something, or are gone.

        To ask the silent ones costs more than this one question.
        """
        heard = self._world.readable(self.ears(watched=True))
        knocks = bool(heard) and heard[0] == 0
        if not knocks and not self._full:
            self._crowd = False
        return knocks, [place - 1 for place in heard if place]

    def let_in(self, now_us: int) -> list[Guest]:
        """Welcome who waits outside; returns those who had to leave for them."""
        left: list[Guest] = []
        if now_us < self._accept_after_us:
            return left
        while not self._full or self._overdue(now_us) is not None:
            try:
                connection = self._listener.accept()
            except OSError as error:
                self._trouble = f"cannot accept: {in_words(error)}"
                self._accept_after_us = now_us + ACCEPT_PAUSE_US
                return left
            self._trouble = ""
            if connection is None:
                self._crowd = False
                return left
            self._welcome(connection, now_us, left)
        return left

    def tired_of(self, now_us: int) -> list[Guest]:
        """Connections that have been silent, or busy with one line, for too long."""
        if now_us < self._look_after_us or not self._impatient:
            return []
        self._look_after_us = now_us + LOOK_US
        return [guest for guest in self.guests if self._too_long(guest, now_us)]

    def leave(self, guest: Guest) -> None:
        """Close a connection."""
        self.guests.remove(guest)
        self._hosts[guest.host] -= 1
        if not self._hosts[guest.host]:
            del self._hosts[guest.host]
        self._connections = None
        guest.gone = True
        guest.connection.close()

    def close(self) -> None:
        for guest in self.guests:
            guest.connection.close()
        self.guests.clear()
        self._hosts.clear()
        self._connections = None
        if not self._closed:
            self._closed = True
            self._listener.close()

    @property
    def _full(self) -> bool:
        return len(self.guests) >= self._places

    @property
    def _impatient(self) -> bool:
        return self._idle_us is not None or self._line_us is not None

    def _welcome(self, connection: Connection, now_us: int, left: list[Guest]) -> None:
        host = connection.peer.rpartition(":")[0] or connection.peer
        if self._hosts[host] >= self._per_peer:
            self.counters["connections_refused_per_peer"] += 1
            connection.close()
            return
        overdue = self._overdue(now_us)
        if self._full and overdue is not None:
            self.counters[
                "connections_closed_for_others" if overdue.proven else "connections_closed_silent"
            ] += 1
            self.leave(overdue)
            left.append(overdue)
            self._crowd = True
        self.number += 1
        self._hosts[host] += 1
        self.counters["connections"] += 1
        name = f"{connection.peer}#{self.number}"
        self._connections = None
        self.guests.append(Guest(connection, name, host, now_us, now_us, OpenLine(self._line_bytes)))

    def _overdue(self, now_us: int) -> Guest | None:
        """The connection that loses its place to the next one, if any has had its time."""
        return next((guest for guest in self._candidates() if now_us >= self._due_us(guest)), None)

    def _candidates(self) -> Iterator[Guest]:
        """The oldest connection that never sent a line, then that which has been silent for longest."""
        yield from islice((guest for guest in self.guests if not guest.proven), 1)
        if self.guests:
            yield min(self.guests, key=lambda guest: guest.heard_us)

    def _due_us(self, guest: Guest) -> int:
        """When a connection may lose its place."""
        quiet_us = guest.heard_us + QUIET_US
        first_line_us = round(self._first_line_us * CROWD_SHARE) if self._crowd else self._first_line_us
        return quiet_us if guest.proven else min(quiet_us, guest.since_us + first_line_us)

    def _too_long(self, guest: Guest, now_us: int) -> bool:
        if self._idle_us is not None and now_us - guest.heard_us >= self._idle_us:
            return True
        busy = guest.open_bytes > 0 and self._line_us is not None
        return busy and self._unpaused_us - guest.open_us >= (self._line_us or 0)


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
