"""Connections in memory, and the peers at their other ends that a test scripts or plays by hand."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from riverrun.clock import Duration, parse_duration
from riverrun.world import Address, Connection, Listener, TcpAddress, UnixAddress


@dataclass(frozen=True, slots=True)
class Pause:
    """The peer sends nothing for a while."""

    duration_us: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or an attempt to make one, ends."""

    kind: Literal["close", "reset", "refuse"]


def pause(duration: Duration) -> Pause:
    """In a script: send nothing for a while. A pause before a connection's first bytes follows its start.

    >>> pause("2s")
    Pause(duration_us=2000000)
    """
    return Pause(parse_duration(duration))


def close() -> Ending:
    """In a script: close the connection; what follows is for the next one."""
    return Ending("close")


def reset() -> Ending:
    """In a script: break the connection; what follows is for the next one."""
    return Ending("reset")


def refuse() -> Ending:
    """In a script: refuse the next attempt to connect."""
    return Ending("refuse")


Action = bytes | Pause | Ending


class ByteStream:
    """Bytes on their way in one direction, and how they end."""

    def __init__(self, cut: Callable[[int], int] = lambda size: size) -> None:
        self._cut = cut
        self._waiting = bytearray()
        self._ended = False
        self._failure: OSError | None = None

    @property
    def ready(self) -> bool:
        return bool(self._waiting) or self._ended or self._failure is not None

    def put(self, data: bytes | memoryview) -> None:
        self._waiting += data

    def end(self) -> None:
        self._ended = True

    def drain(self) -> None:
        """Forget what is on its way."""
        self._waiting.clear()

    def fail(self, code: int) -> None:
        self._failure = OSError(code, os.strerror(code))

    def take(self, size: int) -> bytes | None:
        if self._waiting:
            size = self._cut(min(size, len(self._waiting)))
            taken = bytes(memoryview(self._waiting)[:size])
            del self._waiting[:size]
            return taken
        if self._failure is not None:
            raise self._failure
        return b"" if self._ended else None


class SimulatedConnection:
    """One end of a connection in memory."""

    def __init__(self, peer: str, incoming: ByteStream, outgoing: ByteStream) -> None:
        self._peer = peer
        self._incoming = incoming
        self._outgoing = outgoing
        self.connected = True
        self.closed = False

    @property
    def peer(self) -> str:
        return self._peer

    @property
    def ready(self) -> bool:
        return not self.closed and self._incoming.ready

    def fileno(self) -> int:
        return -1 if self.closed else id(self)

    def receive(self, size: int) -> bytes | None:
        return self._incoming.take(size)

    def send(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        self._outgoing.put(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._outgoing.end()

    def lose(self) -> None:
        """The other end is gone: what it did not take is lost, and receiving fails from now on."""
        self._incoming.drain()
        self._incoming.fail(errno.ECONNRESET)
        self.closed = True

    def reset(self) -> None:
        """Break the connection: the other end's next receive fails."""
        self.closed = True
        self._outgoing.fail(errno.ECONNRESET)


class SimulatedListener:
    """A door in memory."""

    def __init__(self, address: Address, forget: Callable[[Address], None]) -> None:
        self._address = address
        self._forget = forget
        self.waiting: deque[SimulatedConnection] = deque()

    @property
    def address(self) -> Address:
        return self._address

    @property
    def ready(self) -> bool:
        return bool(self.waiting)

    def fileno(self) -> int:
        return id(self)

    def accept(self) -> Connection | None:
        return self.waiting.popleft() if self.waiting else None

    def close(self) -> None:
        self._forget(self._address)


class ScriptedServer:
    """A server that plays a script to whoever connects, one connection at a time.

    When the script is at its end, an open connection stays open and new ones are refused.
    """

    def __init__(self, script: Sequence[Action], after_us: Callable[[int, Callable[[], None]], None]) -> None:
        self._script = deque(script)
        self._after_us = after_us
        self._connection: SimulatedConnection | None = None
        self._paused = False
        self.received = ByteStream()
        self.attempts = 0

    def extend(self, script: Sequence[Action]) -> None:
        """More to play; at once when a connection is open."""
        self._script.extend(script)
        if not self._paused and self._connection is not None:
            self._play()

    def connect(self, incoming: ByteStream) -> bool:
        """Somebody connects; false when that is refused."""
        self.attempts += 1
        if self._script and self._script[0] == refuse():
            self._script.popleft()
            return False
        if self._connection is not None or not self._script:
            return False
        self._connection = SimulatedConnection("client", self.received, incoming)
        self._play()
        return True

    def _play(self) -> None:
        connection = self._connection
        while self._script and connection is not None:
            action = self._script.popleft()
            if isinstance(action, bytes):
                connection.send(action)
            elif isinstance(action, Pause):
                self._paused = True
                self._after_us(action.duration_us, self._resume)
                return
            else:
                self._end(connection, action)
                return

    def _resume(self) -> None:
        self._paused = False
        self._play()

    def _end(self, connection: SimulatedConnection, ending: Ending) -> None:
        if ending.kind == "refuse":
            raise AssertionError("script: refuse() comes before a connection or after close(), not within one")
        if ending.kind == "reset":
            connection.reset()
        else:
            connection.close()
        self._connection = None


class SimulatedNetwork:
    """Connections in memory.

    >>> network = SimulatedNetwork(after_us=lambda duration_us, action: None)
    >>> server = network.serve(TcpAddress("localhost", 9999), [b"hello", close()])
    >>> connection = network.connect(TcpAddress("localhost", 9999))
    >>> connection.receive(100), connection.receive(100)
    (b'hello', b'')
    """

    def __init__(
        self,
        after_us: Callable[[int, Callable[[], None]], None],
        cut: Callable[[int], int] = lambda size: size,
    ) -> None:
        self._after_us = after_us
        self._cut = cut
        self._servers: dict[Address, ScriptedServer] = {}
        self._listeners: dict[Address, SimulatedListener] = {}
        self._dialled: list[SimulatedConnection] = []
        self._next_port = 49_152

    def serve(self, address: Address, script: Sequence[Action]) -> ScriptedServer:
        """A server at `address` that plays `script`: bytes, `pause`, `close`, `reset`, `refuse`."""
        server = ScriptedServer(script, self._after_us)
        self._servers[address] = server
        return server

    def dial(self, address: Address, *, host: str = "127.0.0.1") -> SimulatedConnection:
        """Connect to a listening source as a peer from `host`; send with it, close it, look what came back.

        Raises ``ConnectionRefusedError`` when nobody listens.
        """
        listener = self._listeners.get(address)
        if listener is None:
            raise _refused()
        here, there = ByteStream(self._cut), ByteStream()
        name = address.path if isinstance(address, UnixAddress) else str(TcpAddress(host, self._port()))
        listener.waiting.append(SimulatedConnection(name, here, there))
        dialled = SimulatedConnection(str(address), there, here)
        self._dialled.append(dialled)
        return dialled

    def break_all(self) -> None:
        """The process at the listening end is gone: its doors, and every connection through them."""
        self._listeners.clear()
        for dialled in self._dialled:
            dialled.lose()
        self._dialled.clear()

    def connect(self, address: Address) -> Connection:
        """As `Network.connect`; a refusal shows at the first receive, as it mostly does for real."""
        if address in self._listeners:
            return self.dial(address)
        incoming = ByteStream(self._cut)
        server = self._servers.get(address)
        accepted = server is not None and server.connect(incoming)
        outgoing = server.received if server is not None else ByteStream()
        connection = SimulatedConnection(str(address), incoming, outgoing)
        if not accepted:
            incoming.fail(errno.ECONNREFUSED)
            connection.connected = False
        return connection

    def listen(self, address: Address) -> Listener:
        if isinstance(address, TcpAddress) and address.port == 0:
            address = TcpAddress(address.host, self._port())
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listener = SimulatedListener(address, self._forget)
        self._listeners[address] = listener
        return listener

    def _forget(self, address: Address) -> None:
        self._listeners.pop(address, None)

    def _port(self) -> int:
        self._next_port += 1
        return self._next_port


def _refused() -> OSError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
