"""Unix sockets: as TCP, between processes of one machine, guarded by the rights of a file."""

from __future__ import annotations

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
from riverrun.sources.tcp import check_producers
from riverrun.world import UnixAddress, World


@dataclass(frozen=True, slots=True)
class Unix(Defaults):
    """Connect to a Unix socket and read what comes, again whenever the connection ends.

    Behaves as `riverrun.sources.tcp.Tcp`.

    >>> Unix("/run/feed.sock").url
    'unix:/run/feed.sock'
    """

    path: str = setting(help="the socket's file", example="/run/feed.sock")
    reconnect: bool = setting(
        True, help="connect again when the server refuses or closes; otherwise the input ends then"
    )
    retry: str = setting("200ms", help="the first wait before connecting again; doubles with each failure")
    retry_max: str = setting(
        "10s", help="what no wait goes beyond; waits are shortened at random by up to half"
    )

    def __post_init__(self) -> None:
        _check_path(self.path, self.url)
        parse_duration(self.retry, where=f"{self.url}, retry")
        parse_duration(self.retry_max, where=f"{self.url}, retry_max")

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

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
            UnixAddress(self.path),
            url=self.url,
            line_bytes=limits.line_bytes,
            reconnect=self.reconnect,
            backoff=Backoff(parse_duration(self.retry), parse_duration(self.retry_max)),
            # A Unix socket answers at once or not at all.
            timeout_us=1_000_000,
            hint=f"is the producer listening at {self.path}? with reconnect=True riverrun waits for it",
        )


@dataclass(frozen=True, slots=True)
class UnixListen(Defaults):
    """Let producers of the same user connect to a Unix socket of ours, many at a time.

    The file has mode 0600, replaces one that nobody listens at any more, and is removed at the end.
    Otherwise as `riverrun.sources.tcp.TcpListen`; the limit per peer does not apply.

    >>> UnixListen("feed.sock").url
    'unix+listen:feed.sock'
    """

    path: str = setting(help="the socket's file", example="/run/user/1000/feed.sock")
    ack: bool = setting(False, help="tell senders which of their lines are on the disk (with a state folder)")
    max_producers: int = setting(10_000, help="with ack: how many named producers are remembered")
    producer_ttl: str = setting("7d", help="with ack: how long after it was last heard of one is remembered")

    def __post_init__(self) -> None:
        _check_path(self.path, self.url)
        check_producers(self.max_producers, self.producer_ttl, where=self.url)

    @property
    def acknowledges(self) -> bool:
        return self.ack

    @property
    def url(self) -> str:
        return f"unix+listen:{self.path}"

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
        address, per_peer = UnixAddress(self.path), limits.connections
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


def _check_path(path: str, where: str) -> None:
    if not path:
        raise ConfigError("the socket's path is missing", where=where, hint="unix:/run/feed.sock")
