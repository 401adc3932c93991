"""Real web servers behind `riverrun.world.Web`: the client of the standard library, in several threads."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from riverrun.clock import Clock
from riverrun.runtime.addresses import refusal
from riverrun.world import NotAskedError, WebAnswer, WebRequest

#: Bytes of an answer that are read between two looks at the clock.
PIECE_BYTES = 64 * 1024

#: The addresses of a host and port, as `socket.create_connection` takes them.
Resolve = Callable[[str, int], Sequence[tuple[str, int]]]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class RealWeb:
    """The web of the machine's own network.

    Parameters
    ----------
    resolve : the addresses of a host.
    """

    def __init__(self, clock: Clock, resolve: Resolve | None = None) -> None:
        self._clock = clock
        self._resolve = resolve if resolve is not None else _resolved

    def get(self, requests: Sequence[WebRequest], *, at_once: int, until_us: int) -> list[WebAnswer | OSError]:
        """As `Web.get`. Each of the lanes keeps its connection from request to request."""
        lanes = min(at_once, len(requests))
        if not lanes:
            return []
        answers: list[WebAnswer | OSError] = [OSError()] * len(requests)
        with ThreadPoolExecutor(lanes, thread_name_prefix="riverrun-web") as pool:
            shares = (requests[at::lanes] for at in range(lanes))
            for lane, found in enumerate(pool.map(lambda share: self._in_turn(share, until_us), shares)):
                answers[lane::lanes] = found
        return answers

    def _in_turn(self, requests: Sequence[WebRequest], until_us: int) -> list[WebAnswer | OSError]:
        answers: list[WebAnswer | OSError] = []
        connection: http.client.HTTPConnection | None = None
        try:
            for request in requests:
                if self._clock.monotonic_us() >= until_us:
                    answers.append(NotAskedError(errno.ETIMEDOUT, "no time was left to ask"))
                    continue
                kept = connection is not None and connection.sock is not None
                if connection is None:
                    connection = self._connection(request)
                answer = self._asked(connection, request, until_us)
                if kept and isinstance(answer, ConnectionError):
                    # Between two requests a server may close; this one has not seen the second.
                    answer = self._asked(connection, request, until_us)
                answers.append(answer)
        finally:
            if connection is not None:
                connection.close()
        return answers

    def _connection(self, request: WebRequest) -> http.client.HTTPConnection:
        parts = urlsplit(request.url)
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"neither http nor https: {parts.scheme!r}")
        made = _CheckedTls if parts.scheme == "https" else _Checked
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        return made(parts.hostname or "", port, self._resolve, private=request.private)

    def _asked(
        self, connection: http.client.HTTPConnection, request: WebRequest, until_us: int
    ) -> WebAnswer | OSError:
        end_us = min(until_us, self._clock.monotonic_us() + request.timeout_us)
        try:
            if connection.sock is None:
                # Here and not by the first request, since looking a name up may take long, and knows no limit.
                self._allow(connection, end_us)
                connection.connect()
            self._allow(connection, end_us)
            parts = urlsplit(request.url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept-Encoding": "identity", **request.headers})
            response = connection.getresponse()
            body = self._body(connection, response, request.max_bytes, end_us)
            headers = {name.lower(): value for name, value in response.getheaders()}
            return WebAnswer(response.status, body, headers)
        except (OSError, http.client.HTTPException) as error:
            with contextlib.suppress(OSError):
                connection.close()
            if isinstance(error, OSError):
                return error
            return OSError(errno.EPROTO, f"not an answer of a web server ({type(error).__name__})")

    def _body(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        max_bytes: int,
        end_us: int,
    ) -> bytes:
        pieces, size = [], 0
        while piece := response.read1(PIECE_BYTES):
            size += len(piece)
            if size > max_bytes:
                raise OSError(errno.EFBIG, f"an answer of more than {max_bytes} bytes")
            pieces.append(piece)
            self._allow(connection, end_us)
        return b"".join(pieces)

    def _allow(self, connection: http.client.HTTPConnection, end_us: int) -> None:
        """Wait no longer than until then, whatever comes next. Raises `TimeoutError` when it is over."""
        left_us = end_us - self._clock.monotonic_us()
        if left_us <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "no answer in time")
        connection.timeout = left_us / 1e6
        if connection.sock is not None:
            connection.sock.settimeout(left_us / 1e6)


class _Checked(http.client.HTTPConnection):
    """A connection that is made to an address that was looked at, never to a name."""

    def __init__(self, host: str, port: int, resolve: Resolve, *, private: bool) -> None:
        super().__init__(host, port)
        self._resolve = resolve
        self._private = private

    def connect(self) -> None:
        self.sock = self._dialled()

    def _dialled(self) -> socket.socket:
        targets = self._resolve(self.host, self.port)
        for address, _ in targets:
            reason = refusal(self.host.lower(), address, private=self._private)
            if reason:
                raise OSError(errno.EACCES, f"{self.host} must not be asked: {reason}")
        failure = OSError(errno.EADDRNOTAVAIL, "the host name has no address")
        for target in targets:
            try:
                return socket.create_connection(target, self.timeout)
            except OSError as error:
                failure = error
        raise failure


class _CheckedTls(_Checked):
    """The same, with a certificate of the name in the URL."""

    def connect(self) -> None:
        self.sock = ssl.create_default_context().wrap_socket(self._dialled(), server_hostname=self.host)


def _resolved(host: str, port: int) -> Sequence[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from None
    return [(str(target[0]), port) for *_, target in found]
