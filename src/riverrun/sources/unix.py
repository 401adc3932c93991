"""Unix sockets: as TCP, between processes of one machine, guarded by the rights of a file."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.component import setting
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.sources.sockets import ConnectingSource, ListeningSource
from riverrun.world import UnixAddress


@dataclass(frozen=True, slots=True)
class Unix(ConnectingSource):
    """Connect to a Unix socket and read what comes, again whenever the connection ends.

    Behaves as `riverrun.sources.tcp.Tcp`.

    >>> Unix("/run/feed.sock").url
    'unix:/run/feed.sock'
    """

    path: str = setting(help="the socket's file", example="/run/feed.sock")

    def __post_init__(self) -> None:
        _check_path(self.path, self.url)
        ConnectingSource.__post_init__(self)

    @property
    def address(self) -> UnixAddress:
        return UnixAddress(self.path)

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

    @property
    def timeout_us(self) -> int:
        return 1_000_000  # a Unix socket answers at once or not at all

    @property
    def refused_hint(self) -> str:
        return f"is the producer listening at {self.path}?"


@dataclass(frozen=True, slots=True)
class UnixListen(ListeningSource):
    """Let producers of the same user connect to a Unix socket of ours, many at a time.

    The file has mode 0600, replaces one that nobody listens at any more, and is removed at the end.
    Otherwise as `riverrun.sources.tcp.TcpListen`; the limit per peer does not apply.

    >>> UnixListen("feed.sock").url
    'unix+listen:feed.sock'
    """

    path: str = setting(help="the socket's file", example="/run/user/1000/feed.sock")

    def __post_init__(self) -> None:
        _check_path(self.path, self.url)
        ListeningSource.__post_init__(self)

    @property
    def address(self) -> UnixAddress:
        return UnixAddress(self.path)

    @property
    def url(self) -> str:
        return f"unix+listen:{self.path}"

    def connections_per_peer(self, limits: Limits) -> int:
        return limits.connections  # all of them are one peer


def _check_path(path: str, where: str) -> None:
    if not path:
        raise ConfigError("the socket's path is missing", where=where, hint="unix:/run/feed.sock")
