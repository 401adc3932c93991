"""A producer with a name, as users write it: it sends on from what is acknowledged, whatever breaks."""

from __future__ import annotations

import random

from riverrun.testing.simulated_network import SimulatedConnection
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import TcpAddress


class Producer:
    """Sends lines until all of them are acknowledged.

    Parameters
    ----------
    chance : how much it sends at a time.
    """

    def __init__(self, name: str, lines: list[bytes], world: SimulatedWorld, chance: random.Random) -> None:
        self.name = name
        self.lines = lines
        self.acknowledged = 0
        self._world = world
        self._chance = chance
        self._connection: SimulatedConnection | None = None
        self._sent: int | None = None
        self._heard = b""

    @property
    def done(self) -> bool:
        return self.acknowledged == len(self.lines)

    def turn(self, address: TcpAddress) -> None:
        """Listen, then send a little."""
        try:
            if self._connection is None:
                self._connect(address)
            self._listen()
            self._send()
        except OSError:
            self._connection = None

    def hang_up(self) -> None:
        """The connection breaks at our end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, address: TcpAddress) -> None:
        self._connection = self._world.network.dial(address)
        self._connection.send(b"HELLO %s\n" % self.name.encode())
        self._sent, self._heard = None, b""

    def _listen(self) -> None:
        assert self._connection is not None
        while data := self._connection.receive(1_000):
            self._heard += data
        if data == b"":
            raise ConnectionResetError
        *numbers, self._heard = self._heard.split(b"\n")
        for number in numbers:
            told = int(number)
            assert told >= self.acknowledged, f"{told} lines are safe, and {self.acknowledged} were before"
            self.acknowledged = told
            if self._sent is None:
                self._sent = told

    def _send(self) -> None:
        assert self._connection is not None
        if self._sent is not None and self._sent < len(self.lines):
            count = self._chance.randint(1, 40)
            data = b"".join(self.lines[self._sent : self._sent + count])
            self._sent = min(len(self.lines), self._sent + count)
            # The last piece may be half a line, and the rest of it comes with the next.
            self._connection.send(data)
