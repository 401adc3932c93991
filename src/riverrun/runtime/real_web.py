"""Real web servers behind `riverrun.world.Web`: the client of the standard library, in several threads."""

from __future__ import annotations

import contextlib
import errno
import http.client
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from riverrun.clock import Clock
from riverrun.world import WebAnswer, WebRequest

#: Bytes of an answer that are read between two looks at the clock.
PIECE_BYTES = 64 * 1024


class RealWeb:
    """The web of the machine's own network."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def get(self, requests: Sequence[WebRequest], *, at_once: int) -> list[WebAnswer | OSError]:
        """As `Web.get`. Each of the lanes keeps its connection from request to request."""
        lanes = min(at_once, len(requests))
        if not lanes:
            return []
        answers: list[WebAnswer | OSError] = [OSError()] * len(requests)
        with ThreadPoolExecutor(lanes, thread_name_prefix="riverrun-web") as pool:
            for lane, found in enumerate(pool.map(self._in_turn, (requests[at::lanes] for at in range(lanes)))):
                answers[lane::lanes] = found
        return answers

    def _in_turn(self, requests: Sequence[WebRequest]) -> list[WebAnswer | OSError]:
        answers: list[WebAnswer | OSError] = []
        connection: http.client.HTTPConnection | None = None
        try:
            for request in requests:
                kept = connection is not None and connection.sock is not None
                if connection is None:
                    connection = _connection(request.url)
                answer = self._asked(connection, request)
                if kept and isinstance(answer, ConnectionError):
                    # Between two requests a server may close; this one has not seen the second.
                    answer = self._asked(connection, request)
                answers.append(answer)
        finally:
            if connection is not None:
                connection.close()
        return answers

    def _asked(self, connection: http.client.HTTPConnection, request: WebRequest) -> WebAnswer | OSError:
        end_us = self._clock.monotonic_us() + request.timeout_us
        try:
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


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port)
