"""Where the dashboard listens, and by which names it may be called.

A page on a loopback port is still reachable by every web page that the same browser has open: a foreign site
can point its own name at 127.0.0.1 (DNS rebinding). So the ``Host`` header has to be on a list.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable

from riverrun.errors import ConfigError
from riverrun.world import TcpAddress

DEFAULT_PORT = 8765
#: Seconds after which a viewer that takes nothing is cut off.
PATIENCE_S = 10.0
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def parse_address(address: str | tuple[str, int]) -> TcpAddress:
    """The host and port of a ``dashboard=`` setting. Raises `ConfigError` for anything else.

    >>> parse_address("127.0.0.1:8765")
    TcpAddress(host='127.0.0.1', port=8765)
    >>> parse_address(":0"), parse_address("[::1]:80").host
    (TcpAddress(host='127.0.0.1', port=0), '::1')
    """
    host, port = address if isinstance(address, tuple) else _split(address)
    if not 0 <= port <= 65_535:
        raise ConfigError(f"a port is between 0 and 65535, got {port}", where="dashboard")
    return TcpAddress(host, port)


def _split(text: str) -> tuple[str, int]:
    bare = text.strip().removeprefix("http://").rstrip("/")
    if bare.isdigit():
        return "127.0.0.1", int(bare)
    host, colon, port = bare.rpartition(":")
    if not colon or bare.endswith("]"):
        host, port = bare, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdigit() or "/" in host or " " in host:
        raise ConfigError(
            f"not an address: {text!r}",
            where="dashboard",
            hint=f'a host and a port, as in "127.0.0.1:{DEFAULT_PORT}"; port 0 takes any free one',
        )
    return host or "127.0.0.1", int(port)


def check_reach(address: TcpAddress, *, allow_unauthenticated: bool) -> None:
    """Refuse to show data to a whole network by accident. Raises `ConfigError`."""
    if address.is_loopback or allow_unauthenticated:
        return
    raise ConfigError(
        f"{address} can be reached from other machines, and the dashboard has no login",
        where="dashboard",
        hint=f'dashboard="127.0.0.1:{address.port}" (and an SSH tunnel to look from afar), '
        "or allow_unauthenticated=True (--allow-unauthenticated) if everybody on that network may see the data",
    )


def host_check(address: TcpAddress) -> Callable[[str], bool]:
    """A test for ``Host`` headers: the loopback names with our port, and what we were told to listen on.

    When bound wider, any literal IP address is fine as well: a rebound name shows as a name.
    """
    names = {*LOOPBACK_NAMES, address.host.lower()}
    wide = not address.is_loopback
    if wide:
        names.add(socket.gethostname().lower())

    def allowed(host: str) -> bool:
        name, port = _host_and_port(host.lower())
        return port == address.port and (name in names or (wide and _is_ip(name)))

    return allowed


def _host_and_port(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host, 80
    return name, int(port) if port.isascii() and port.isdigit() else -1


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def listen(address: TcpAddress, patience_s: float = PATIENCE_S) -> socket.socket:
    """A listening socket. Raises `ConfigError` that says what holds the port and what to try.

    Parameters
    ----------
    patience_s : connections whose other end takes nothing for so long are given up, where the system can do it.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as error:
        raise _explain(address, error) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections take this over. A web server closes one politely, that is after all that waits was taken,
        # which for a viewer that has stopped reading would be never.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1_000 * patience_s))
    return listening


def _explain(address: TcpAddress, error: OSError) -> ConfigError:
    where = f"dashboard {address}"
    other = TcpAddress(address.host, address.port + 1 if address.port < 65_535 else 0)
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {address.port} is already in use by another program",
            where=where,
            hint=f'another port, as in dashboard="{other}", or port 0 for any free one',
        )
    if error.errno == errno.EACCES:
        return ConfigError(
            f"no permission to listen on port {address.port}",
            where=where,
            hint=f'a port above 1023, as in dashboard="{TcpAddress(address.host, DEFAULT_PORT)}"',
        )
    return ConfigError(
        f"cannot listen there: {_reason(error)}",
        where=where,
        hint=f'an address of this machine, as in dashboard="127.0.0.1:{address.port}"',
    )


def _reason(error: OSError) -> str:
    # The words of a failed name lookup are its own; other texts repeat the address, in Python's spelling.
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)
