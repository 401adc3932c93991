"""Who feeds a run that is killed: producers that keep what is not acknowledged, or do not; a growing file."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

#: Event time of the last row of everybody, so that every window closes.
SENTINEL_MS = 10_000_000_000


def rows(name: str, seed: int) -> Iterator[bytes]:
    """Rows without end: out of order, some late, some twice, some bad."""
    chance = random.Random(f"{name} {seed}")
    number = 0
    while True:
        number += 1
        if chance.random() < 0.01:
            yield b"nonsense\n"
            continue
        back = chance.choice([0, 0, 0, 400, 2_500, 20_000])
        ident = number - (chance.random() < 0.05)
        time_ms = max(0, number * 20 - back)
        yield b"%d,%d,%s%d,%.3f\n" % (time_ms, ident, name.encode(), chance.randrange(5), chance.gauss(100, 5))


class Sendable(Protocol):
    """Lines that a producer has to send, told by their numbers."""

    name: str

    @property
    def count(self) -> int:
        """How many there are by now."""

    def piece(self, first: int, last: int) -> bytes:
        """Those from one number up to another, which is not among them."""


class Lines:
    """What a sender has to send: grows until `close`."""

    def __init__(self, name: str, seed: int, *, known: list[bytes] | None = None) -> None:
        self.name = name
        self._rows = rows(name, seed)
        self.all = known if known is not None else [b"0,0,%s0,1\n" % name.encode()]
        self._closed = known is not None

    @property
    def count(self) -> int:
        return len(self.all)

    def piece(self, first: int, last: int) -> bytes:
        return b"".join(self.all[first:last])

    def grow(self, count: int) -> None:
        if not self._closed:
            self.all += [next(self._rows) for _ in range(count)]

    def close(self) -> None:
        self._closed = True
        self.all.append(b"%d,0,end,0\n" % SENTINEL_MS)


class Producer:
    """Sends on from the number that was acknowledged, and keeps the rest.

    Parameters
    ----------
    careless : there are no acknowledgments: what was handed to the socket counts as sent.
    """

    def __init__(self, lines: Sendable, port: int, *, careless: bool = False) -> None:
        self.lines = lines
        self.acknowledged = self.sent = 0
        self._port = port
        self._careless = careless
        self._socket: socket.socket | None = None
        self._heard = b""
        self._rest = b""
        self._greeted = False

    @property
    def safe(self) -> int:
        return self.sent if self._careless else self.acknowledged

    @property
    def done(self) -> bool:
        return self.safe == self.lines.count and not self._rest

    def turn(self, count: int) -> None:
        """Listen, then send a little."""
        try:
            if self._socket is None:
                self._connect()
            if not self._careless:
                self._listen()
            if self._greeted or self._careless:
                self._send(count)
        except BlockingIOError:
            return
        except OSError:
            self.hang_up()

    def hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest, self._greeted, self._heard = None, b"", False, b""

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=1)
        self._socket.setblocking(False)
        if not self._careless:
            self._socket.send(b"HELLO %s\n" % self.lines.name.encode())

    def _listen(self) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            while data := self._socket.recv(4096):
                self._heard += data
            raise ConnectionResetError
        *numbers, self._heard = self._heard.split(b"\n")
        for number in numbers:
            told = int(number)
            assert told >= self.acknowledged, f"{told} lines are safe, and {self.acknowledged} were before"
            self.acknowledged = told
            if not self._greeted:
                self._greeted, self.sent = True, told

    def _send(self, count: int) -> None:
        assert self._socket is not None
        if not self._rest:
            first, self.sent = self.sent, min(self.lines.count, self.sent + count)
            self._rest = self.lines.piece(first, self.sent)
        self._rest = self._rest[self._socket.send(self._rest) :] if self._rest else b""


class GrowingFile:
    """A file to which rows are appended, in pieces that may end within one."""

    def __init__(self, lines: Lines, path: Path, chance: random.Random) -> None:
        self.lines = lines
        self._path = path
        self._chance = chance
        self._at = self._rest = 0
        path.touch()

    @property
    def safe(self) -> int:
        return self._at

    @property
    def done(self) -> bool:
        return self._at == len(self.lines.all)

    def turn(self, count: int) -> None:
        piece = b"".join(self.lines.all[self._at : self._at + count])
        if not piece:
            return
        self._at = min(len(self.lines.all), self._at + count)
        cut = self._chance.randint(0, len(piece))
        for part in (piece[:cut], piece[cut:]):
            with self._path.open("ab") as file:
                file.write(part)

    def hang_up(self) -> None:
        """A file stays."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
