"""TCP: connect to a server, or let producers connect to us."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.clock import parse_duration
from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.sources.sockets import ConnectingSource, ListeningSource
from riverrun.world import TcpAddress


@dataclass(frozen=True, slots=True)
class Tcp(ConnectingSource):
    """Connect to a TCP server and read what it sends, again whenever the connection ends.

    Each connection is a partition (``localhost:9999#2``). A record that is cut off by the end of a
    connection is a dead letter. What the server sends while we are away is lost; there is no replay.

    Raises `ConfigError` for an impossible port or duration. Without `reconnect`, reading raises
    `SourceError` when the server cannot be reached.

    >>> Tcp("localhost", 9999).url
    'tcp://localhost:9999'
    """

    host: str = setting(help="name or address of the server", example="localhost")
    port: int = setting(help="port of the server, 1 to 65535", example="9999")
    timeout: str = setting("10s", help="how long the server may take to answer")

    def __post_init__(self) -> None:
        _check_port(self.port, lowest=1, where=self.url)
        ConnectingSource.__post_init__(self)
        parse_duration(self.timeout, where=f"{self.url}, timeout")

    @property
    def address(self) -> TcpAddress:
        return TcpAddress(self.host, self.port)

    @property
    def url(self) -> str:
        return f"tcp://{self.address}"

    @property
    def timeout_us(self) -> int:
        return parse_duration(self.timeout)

    @property
    def refused_hint(self) -> str:
        return f"is the producer listening? for a trial: nc -lk {self.port}"


@dataclass(frozen=True, slots=True)
class TcpListen(ListeningSource):
    """Let producers connect to us over TCP, many at a time, each served in turn.

    Each connection is a partition (``127.0.0.1:50412#3``). There is no authentication: whoever can reach
    the port can send. So only the machine itself can, unless `allow_unauthenticated` says otherwise.
    `Limits` caps connections, in all and per peer. With `ack` senders are told what is safe, and may send
    again what was not: see the page "Sources and acknowledgments".

    Raises `ConfigError` for an address that others can reach, and `SourceError` when the port is taken.

    >>> TcpListen(port=9999).url
    'tcp+listen://127.0.0.1:9999'
    """

    host: str = setting("127.0.0.1", help="address to listen at", example="127.0.0.1")
    port: int = setting(0, help="port to listen at; 0: any that is free", example="9999")
    allow_unauthenticated: bool = setting(
        False,
        help="listen at an address that other machines can reach, though nobody has to prove who they are",
    )

    def __post_init__(self) -> None:
        _check_port(self.port, lowest=0, where=self.url)
        if not self.allow_unauthenticated and not self.address.is_loopback:
            raise ConfigError(
                f"{self.host} can be reached from other machines, and this source asks nobody who they are",
                where=self.url,
                hint="listen at 127.0.0.1, or say allow_unauthenticated=True if the network can be trusted",
            )
        ListeningSource.__post_init__(self)

    @property
    def address(self) -> TcpAddress:
        return TcpAddress(self.host, self.port)

    @property
    def url(self) -> str:
        return f"tcp+listen://{self.address}"

    def connections_per_peer(self, limits: Limits) -> int:
        return limits.connections_per_peer


def _check_port(port: int, *, lowest: int, where: str) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not lowest <= port <= 65_535:
        raise ConfigError(f"a port is a number from {lowest} to 65535, got {port!r}", where=where)
