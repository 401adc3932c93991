"""A running dashboard on a free port, and a plain client for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from riverrun.clock import SystemClock
from riverrun.dashboard import Dashboard
from tests.dashboard.driver import MARKET, FakeHealth


@dataclass
class Served:
    """A dashboard that serves, with the health that it shows."""

    dashboard: Dashboard
    health: FakeHealth
    port: int

    def ask(self, path, method="GET", headers=None):
        """Status, headers and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@dataclass
class Events:
    """The event stream as a viewer reads it: ``(id, name, data)``."""

    connection: socket.socket
    buffer: bytes = b""
    seen: list[tuple[str, str, object]] = field(default_factory=list)

    def next(self, *names):
        """The next event with one of these names; others are remembered in `seen`."""
        while True:
            while b"\n\n" not in self.buffer:
                part = self.connection.recv(65_536)
                if not part:
                    raise EOFError("the stream has ended")
                self.buffer += part
            block, _, self.buffer = self.buffer.partition(b"\n\n")
            fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if ": " in line)
            if "event" not in fields:
                continue
            event = (fields["id"], fields["event"], json.loads(fields["data"]))
            self.seen.append(event)
            if event[1] in names:
                return event


@contextmanager
def open_stream(port: int, after: str | None = None, receive_bytes: int | None = None) -> Iterator[Events]:
    """A viewer."""
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    last = f"Last-Event-ID: {after}\r\n" if after else ""
    # HTTP/1.0, so that no chunk headers come between the events.
    connection.sendall(f"GET /api/stream HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{last}\r\n".encode())
    events = Events(connection)
    try:
        while b"\r\n\r\n" not in events.buffer:
            events.buffer += connection.recv(65_536)
        head, _, events.buffer = events.buffer.partition(b"\r\n\r\n")
        assert head.split()[1] == b"200", head
        yield events
    finally:
        connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Makes running dashboards, and stops them."""
    started: list[Dashboard] = []

    def start(views=(MARKET,), **options):
        clock = SystemClock()
        health = FakeHealth(clock)
        dashboard = Dashboard("127.0.0.1:0", title="market", views=views, health=health, clock=clock, **options)
        dashboard.start()
        started.append(dashboard)
        return Served(dashboard, health, int(dashboard.url.rstrip("/").rpartition(":")[2]))

    yield start
    for dashboard in started:
        dashboard.stop()


@pytest.fixture
def served(serve) -> Served:
    return serve()
