"""TCP: connect to a server, or let producers connect to us."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from riverrun.clock import parse_duration
from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.sources.acknowledging import AcknowledgingReader
from riverrun.sources.backoff import Backoff
from riverrun.sources.connecting import ConnectingReader
from riverrun.sources.defaults import Defaults
from riverrun.sources.listening import ListeningReader
from riverrun.world import TcpAddress, World


@dataclass(frozen=True, slots=True)
class Tcp(Defaults):
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
    reconnect: bool = setting(
        True, help="connect again when the server refuses or closes; otherwise the input ends then"
    )
    retry: str = setting("200ms", help="the first wait before connecting again; doubles with each failure")
    retry_max: str = setting(
        "10s", help="what no wait goes beyond; waits are shortened at random by up to half"
    )
    timeout: str = setting("10s", help="how long the server may take to answer")

    def __post_init__(self) -> None:
        check_port(self.port, lowest=1, where=self.url)
        _durations(self.url, retry=self.retry, retry_max=self.retry_max, timeout=self.timeout)

    @property
    def url(self) -> str:
        return f"tcp://{TcpAddress(self.host, self.port)}"

    @property
    def bounded(self) -> bool:
        """With ``reconnect=False`` the input ends when the server closes."""
        return not self.reconnect

    @property
    def format_hint(self) -> str | None:
        return None

    def open(self, world: World, limits: Limits) -> ConnectingReader:
        return ConnectingReader(
            world,
            TcpAddress(self.host, self.port),
            url=self.url,
            line_bytes=limits.line_bytes,
            reconnect=self.reconnect,
            backoff=Backoff(parse_duration(self.retry), parse_duration(self.retry_max)),
            timeout_us=parse_duration(self.timeout),
            hint=f"is the producer listening? for a trial: nc -lk {self.port}; "
            "with reconnect=True riverrun waits for it",
        )


@dataclass(frozen=True, slots=True)
class TcpListen(Defaults):
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
    ack: bool = setting(False, help="tell senders which of their lines are on the disk (with a state folder)")
    max_producers: int = setting(10_000, help="with ack: how many named producers are remembered")
    producer_ttl: str = setting("7d", help="with ack: how long after it was last heard of one is remembered")

    def __post_init__(self) -> None:
        check_port(self.port, lowest=0, where=self.url)
        if not self.allow_unauthenticated and not is_loopback(self.host):
            raise ConfigError(
                f"{self.host} can be reached from other machines, and this source asks nobody who they are",
                where=self.url,
                hint="listen at 127.0.0.1, or say allow_unauthenticated=True if the network can be trusted",
            )
        check_producers(self.max_producers, self.producer_ttl, where=self.url)

    @property
    def acknowledges(self) -> bool:
        return self.ack

    @property
    def url(self) -> str:
        return f"tcp+listen://{TcpAddress(self.host, self.port)}"

    @property
    def partitioned(self) -> bool:
        return True

    @property
    def bounded(self) -> bool:
        return False

    @property
    def format_hint(self) -> str | None:
        return None

    def open(self, world: World, limits: Limits) -> ListeningReader:
        address, per_peer = TcpAddress(self.host, self.port), limits.connections_per_peer
        if not self.ack:
            return ListeningReader(world, address, limits, url=self.url, per_peer=per_peer)
        return AcknowledgingReader(
            world,
            address,
            limits,
            url=self.url,
            per_peer=per_peer,
            max_producers=self.max_producers,
            ttl_us=parse_duration(self.producer_ttl),
        )


def is_loopback(host: str) -> bool:
    """Whether only the machine itself can reach `host`. Names other than ``localhost`` are not looked up.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(port: int, *, lowest: int, where: str) -> None:
    """Raise `ConfigError` unless `port` is one."""
    if isinstance(port, bool) or not isinstance(port, int) or not lowest <= port <= 65_535:
        raise ConfigError(f"a port is a number from {lowest} to 65535, got {port!r}", where=where)


def check_producers(most: int, ttl: str, *, where: str) -> None:
    """Raise `ConfigError` unless so many producers can be remembered for so long."""
    if most < 1:
        raise ConfigError(f"max_producers is at least 1, got {most}", where=where, hint="max_producers=10_000")
    if not parse_duration(ttl, where=f"{where}, producer_ttl"):
        raise ConfigError("producer_ttl must be longer than nothing", where=where, hint='producer_ttl="7d"')


def _durations(where: str, **values: str) -> None:
    for name, value in values.items():
        parse_duration(value, where=f"{where}, {name}")
