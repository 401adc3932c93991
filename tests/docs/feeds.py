"""Made-up feeds that pages connect to, the same each time, and the loopback server that sends them."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Callable, Iterator

#: 2026-01-05 14:30:00 UTC, the beginning of every feed.
START_MS = 1_767_623_400_000
ROWS = 3_000


def _trades() -> Iterator[tuple[int, str, float, float]]:
    chance = random.Random(7)
    prices = {"AAPL": 187.0, "MSFT": 402.0, "NVDA": 131.0}
    for row in range(ROWS):
        symbol = chance.choice(list(prices))
        prices[symbol] *= 1 + chance.gauss(0, 0.0004)
        yield START_MS + row * 100, symbol, round(prices[symbol], 2), float(chance.randint(1, 500))


def _csv() -> bytes:
    return "".join(f"{ts},{symbol},{price},{size}\n" for ts, symbol, price, size in _trades()).encode()


def _json() -> bytes:
    names = ("ts", "symbol", "price", "size")
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in _trades()).encode()


#: Five minutes of trades, ten rows a second: ts (milliseconds), symbol, price, size.
FEEDS: dict[str, Callable[[], bytes]] = {
    "trades": _csv,
    "trades-with-header": lambda: b"ts,symbol,price,size\n" + _csv(),
    "trades-json": _json,
}


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FeedServer:
    """Sends a whole feed to everyone who connects, then closes; with `hold` it stays connected instead.

    >>> with FeedServer(b"1,2", hold=False) as server:
    ...     with socket.create_connection(("127.0.0.1", server.port)) as me:
    ...         me.recv(10)
    b'1,2'
    """

    def __init__(self, data: bytes, *, hold: bool) -> None:
        self._data = data
        self._hold = hold
        self._over = threading.Event()
        #: Somebody has been sent the whole feed.
        self.sent = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(self._data)
            except OSError:
                return  # the page had enough
            self.sent.set()
            if self._hold:
                self._over.wait()

    def close(self) -> None:
        self._over.set()
        # Wakes the thread that waits in accept(), which closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> FeedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
