"""Feeding lines into a socket at a pace: what the demos and ``riverrun replay`` send with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from riverrun.errors import SourceError
from riverrun.world import Address, Connection, Listener, World

#: Lines that are due are sent in blocks of about this size.
BLOCK_BYTES = 64 * 1024
#: A peer that takes no more is asked again after so long.
FULL_US = 2_000
#: How often a feeder that waits looks up, to see whether it shall stop or somebody has come.
LOOK_US = 50_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line to send, with its end, and when: microseconds from the beginning."""

    due_us: int
    data: bytes


class Target(Protocol):
    """Where lines go."""

    def connections(self) -> list[Connection]:
        """Who takes lines now. Raises `SourceError` when nobody ever will."""
        ...

    def drop(self, connection: Connection) -> None:
        """The connection is broken."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class ToListener:
    """Everybody who connects to us.

    Parameters
    ----------
    greeting : sent first to each, such as the header of a CSV.
    """

    listener: Listener
    greeting: bytes = b""
    _open: list[Connection] = field(default_factory=list)

    def connections(self) -> list[Connection]:
        while (connection := self.listener.accept()) is not None:
            connection.send(self.greeting)
            self._open.append(connection)
        return list(self._open)

    def drop(self, connection: Connection) -> None:
        connection.close()
        self._open.remove(connection)

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self.listener.close()


@dataclass(slots=True)
class ToServer:
    """One server that we connect to."""

    world: World
    address: Address
    greeting: bytes = b""
    _connection: Connection | None = None
    _greeted: bool = False

    def connections(self) -> list[Connection]:
        if self._connection is None:
            self._connection = self.world.network.connect(self.address)
        try:
            if not self._connection.connected:
                self._connection.receive(0)
                return []
            if not self._greeted:
                self._greeted = True
                self._connection.send(self.greeting)
        except OSError as error:
            raise SourceError(
                f"cannot connect: {error.strerror or error}",
                where=str(self.address),
                hint="start the reader first, such as riverrun watch tcp+listen://127.0.0.1:9999",
            ) from None
        return [self._connection]

    def drop(self, connection: Connection) -> None:
        connection.close()
        raise SourceError("the reader has closed the connection", where=str(self.address))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Feeder:
    """Sends lines when they are due, for as long as somebody takes them.

    The clock of the lines starts when the first reader is there, so that a reader that comes late misses
    nothing of the beginning; later readers join in the middle.

    Parameters
    ----------
    speed : how many times faster than the lines say; ``None``: as fast as readers take them.
    """

    def __init__(self, world: World, target: Target, lines: Iterable[Line], speed: float | None = 1.0) -> None:
        self._world = world
        self._target = target
        self._lines: Iterator[Line] = iter(lines)
        self._speed = speed
        self._began_us = 0
        self._next: Line | None = None
        self.sent = 0
        self.stopping = threading.Event()

    def run(self, tell: Callable[[int], None] = lambda _sent: None) -> None:
        """Send everything; returns at the end of the lines or after `stop`.

        Parameters
        ----------
        tell : told how many lines have gone, now and then.
        """
        try:
            if not self._wait_for_reader():
                return
            self._began_us = self._world.clock.monotonic_us()
            self._next = next(self._lines, None)
            while self._next is not None and not self.stopping.is_set():
                block = self._due()
                if block:
                    self._send(block)
                    tell(self.sent)
                else:
                    self._world.wait((), self._wake_us())
        finally:
            self._target.close()

    def stop(self) -> None:
        """Let `run` return soon; from any thread."""
        self.stopping.set()
        self._world.wake()

    def _wait_for_reader(self) -> bool:
        while not self.stopping.is_set():
            if self._target.connections():
                return True
            self._pause(LOOK_US)
        return False

    def _due(self) -> bytes:
        """The lines whose time has come, up to a block."""
        now_us = self._world.clock.monotonic_us()
        block, size = [], 0
        while self._next is not None and size < BLOCK_BYTES and self._at_us(self._next) <= now_us:
            block.append(self._next.data)
            size += len(self._next.data)
            self._next = next(self._lines, None)
        self.sent += len(block)
        return b"".join(block)

    def _at_us(self, line: Line) -> int:
        return 0 if self._speed is None else self._began_us + int(line.due_us / self._speed)

    def _wake_us(self) -> int:
        latest_us = self._world.clock.monotonic_us() + LOOK_US
        return latest_us if self._next is None else min(latest_us, self._at_us(self._next))

    def _send(self, block: bytes) -> None:
        readers = self._target.connections()
        while not readers and not self.stopping.is_set():
            self._pause(LOOK_US)
            readers = self._target.connections()
        for connection in readers:
            try:
                self._send_all(connection, block)
            except OSError:
                self._target.drop(connection)

    def _send_all(self, connection: Connection, block: bytes) -> None:
        left = memoryview(block)
        while left and not self.stopping.is_set():
            taken = connection.send(left)
            left = left[taken:]
            if not taken:
                self._pause(FULL_US)

    def _pause(self, pause_us: int) -> None:
        self._world.wait((), self._world.clock.monotonic_us() + pause_us)
