"""What sources on sockets share, whatever the address is: settings, checks, and how their readers are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from riverrun.world import Address, World


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSource(Defaults, ABC):
    """A source at an address."""

    @property
    @abstractmethod
    def address(self) -> Address:
        """Where to connect to, or to listen at."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The source as it is written and shown."""

    @property
    def format_hint(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectingSource(SocketSource):
    """A source that connects to a server, again whenever the connection ends."""

    reconnect: bool = setting(
        True, help="connect again when the server refuses or closes; otherwise the input ends then"
    )
    retry: str = setting("200ms", help="the first wait before connecting again; doubles with each failure")
    retry_max: str = setting(
        "10s", help="what no wait goes beyond; waits are shortened at random by up to half"
    )

    def __post_init__(self) -> None:
        parse_duration(self.retry, where=f"{self.url}, retry")
        parse_duration(self.retry_max, where=f"{self.url}, retry_max")

    @property
    def bounded(self) -> bool:
        """With ``reconnect=False`` the input ends when the server closes."""
        return not self.reconnect

    @property
    @abstractmethod
    def timeout_us(self) -> int:
        """How long the server may take to answer, in microseconds."""

    @property
    @abstractmethod
    def refused_hint(self) -> str:
        """What to try when nobody answers."""

    def open(self, world: World, limits: Limits) -> ConnectingReader:
        return ConnectingReader(
            world,
            self.address,
            url=self.url,
            line_bytes=limits.line_bytes,
            reconnect=self.reconnect,
            backoff=Backoff(parse_duration(self.retry), parse_duration(self.retry_max)),
            timeout_us=self.timeout_us,
            hint=f"{self.refused_hint}; with reconnect=True riverrun waits for it",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningSource(SocketSource):
    """A source that producers connect to, many at a time."""

    ack: bool = setting(False, help="tell senders which of their lines are on the disk (with a state folder)")
    max_producers: int = setting(10_000, help="with ack: how many named producers are remembered")
    producer_ttl: str = setting("7d", help="with ack: how long after it was last heard of one is remembered")

    def __post_init__(self) -> None:
        if self.max_producers < 1:
            raise ConfigError(
                f"max_producers is at least 1, got {self.max_producers}",
                where=self.url,
                hint="max_producers=10_000",
            )
        if not parse_duration(self.producer_ttl, where=f"{self.url}, producer_ttl"):
            raise ConfigError(
                "producer_ttl must be longer than nothing", where=self.url, hint='producer_ttl="7d"'
            )

    @property
    def acknowledges(self) -> bool:
        return self.ack

    @property
    def partitioned(self) -> bool:
        return True

    @property
    def bounded(self) -> bool:
        return False

    @abstractmethod
    def connections_per_peer(self, limits: Limits) -> int:
        """How many connections one peer may have."""

    def open(self, world: World, limits: Limits) -> ListeningReader:
        per_peer = self.connections_per_peer(limits)
        if not self.ack:
            return ListeningReader(world, self.address, limits, url=self.url, per_peer=per_peer)
        return AcknowledgingReader(
            world,
            self.address,
            limits,
            url=self.url,
            per_peer=per_peer,
            max_producers=self.max_producers,
            ttl_us=parse_duration(self.producer_ttl),
        )
