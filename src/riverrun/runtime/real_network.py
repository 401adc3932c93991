"""Real sockets behind `riverrun.world.Network`: never blocking, but for the look-up of host names."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from riverrun.world import Address, Connection, Listener, TcpAddress, UnixAddress

#: Connections that may wait at a listener's door. The system turns away the rest without a word, and they try
#: again after a second, then after three. Linux has a limit of its own (4,096 on most machines).
BACKLOG = 4_096
#: A peer that vanished without a word (pulled cable, crashed machine) is noticed after about two minutes.
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 60, 15, 4

_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)


class SocketConnection:
    """A connected socket.

    The receive buffer is left to the kernel, which grows it as needed: a size of our own would switch
    that off, and is capped at 208 kB on most machines.
    """

    def __init__(self, opened: socket.socket, peer: str) -> None:
        self._socket = opened
        self._peer = peer

    @property
    def peer(self) -> str:
        return self._peer

    @property
    def connected(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, size: int) -> bytes | None:
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            return None

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self._socket.close()


class PendingConnection:
    """A connection that is being made: tries one resolved address after the other."""

    def __init__(self, address: Address) -> None:
        self._peer = str(address)
        self._candidates = _candidates(address)
        self._socket: socket.socket | None = None
        self._made: SocketConnection | None = None
        self._failure: OSError | None = None
        self._try_next(OSError(errno.EADDRNOTAVAIL, "the host name has no address"))

    @property
    def peer(self) -> str:
        return self._peer

    @property
    def connected(self) -> bool:
        return self._made is not None or self._progress()

    @property
    def waits_to_write(self) -> bool:
        """Whether readiness shows as "can be written": the answer to a connect does."""
        return self._made is None

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket else -1

    def receive(self, size: int) -> bytes | None:
        made = self._connection()
        return made.receive(size) if made else None

    def send(self, data: bytes | memoryview) -> int:
        made = self._connection()
        return made.send(data) if made else 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _connection(self) -> SocketConnection | None:
        if self._made is not None or self._progress():
            return self._made
        if self._failure is not None:
            raise self._failure
        return None

    def _progress(self) -> bool:
        """Look whether the connect has been answered; a refusal moves on to the next address."""
        while self._socket is not None and self._failure is None:
            if not _can_write(self._socket):
                return False
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0 and not _meets_itself(self._socket):
                self._made = SocketConnection(self._socket, self._peer)
                return True
            self._try_next(_os_error(code or errno.ECONNREFUSED))
        return False

    def _try_next(self, failure: OSError) -> None:
        for family, target in self._candidates:
            self.close()
            try:
                self._socket = _open_socket(family)
                code = self._socket.connect_ex(target)
            except OSError as error:
                failure = error
                continue
            if code == 0 or code in _UNDER_WAY:
                return
            failure = _os_error(code)
        self._failure = failure


class SocketListener:
    """A listening socket; that of a Unix address removes its file when closed."""

    def __init__(self, opened: socket.socket, address: Address) -> None:
        self._socket = opened
        self._address = address
        self._file = _identity(address.path) if isinstance(address, UnixAddress) else None

    @property
    def address(self) -> Address:
        return self._address

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> Connection | None:
        try:
            accepted, name = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        accepted.setblocking(False)
        if isinstance(self._address, UnixAddress):
            return SocketConnection(accepted, self._address.path)
        _keep_alive(accepted)
        # What goes back are short answers, which nobody shall wait for.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return SocketConnection(accepted, str(TcpAddress(name[0], name[1])))

    def close(self) -> None:
        self._socket.close()
        # Only our own file: another process may have replaced it since.
        if isinstance(self._address, UnixAddress) and _identity(self._address.path) == self._file:
            with contextlib.suppress(OSError):
                Path(self._address.path).unlink()
        self._file = None


class RealNetwork:
    """The machine's own network."""

    def connect(self, address: Address) -> Connection:
        return PendingConnection(address)

    def listen(self, address: Address) -> Listener:
        if isinstance(address, UnixAddress):
            return _listen_unix(address)
        return _listen_tcp(address)


def _listen_tcp(address: TcpAddress) -> SocketListener:
    found = _resolve(address)
    # "localhost" is both; most senders try the old protocol as well, some know nothing else.
    family, target = min(found, key=lambda item: item[0] != socket.AF_INET)
    opened = _open_socket(family)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(target)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return SocketListener(opened, TcpAddress(address.host, opened.getsockname()[1]))


def _listen_unix(address: UnixAddress) -> SocketListener:
    _remove_stale(address.path)
    opened = _open_socket(socket.AF_UNIX)
    # The file must never be open to others, not even between bind and chmod.
    mask = os.umask(0o177)
    try:
        opened.bind(address.path)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    finally:
        os.umask(mask)
    return SocketListener(opened, address)


def _remove_stale(path: str) -> None:
    """Remove a socket file that nobody listens at; anything else there is an error."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(path)
    if code == 0 or code in _UNDER_WAY:
        raise OSError(errno.EADDRINUSE, "another process listens there")
    if code == errno.ECONNREFUSED:
        Path(path).unlink()


def _candidates(address: Address) -> Iterator[tuple[int, Any]]:
    if isinstance(address, UnixAddress):
        return iter([(int(socket.AF_UNIX), address.path)])
    return iter(_resolve(address))


def _resolve(address: TcpAddress) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from None
    return [(int(family), target) for family, _, _, _, target in found]


def _open_socket(family: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setblocking(False)
    if family != socket.AF_UNIX:
        _keep_alive(opened)
    return opened


def _keep_alive(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Not every system has each of these names; their defaults (two hours) are a fallback, not an error.
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _meets_itself(opened: socket.socket) -> bool:
    """Whether the socket is connected to itself.

    Happens when a local port that nobody listens at is tried again and again: one day the system gives the
    socket that very port for its own end.
    """
    with contextlib.suppress(OSError):
        return opened.family != socket.AF_UNIX and opened.getsockname() == opened.getpeername()
    return False


def _can_write(opened: socket.socket) -> bool:
    poller = select.poll()
    poller.register(opened, select.POLLOUT)
    return bool(poller.poll(0))


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
