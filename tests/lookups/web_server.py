"""A small web server on loopback, which answers from a table in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Status, headers and body.
Page = tuple[int, dict[str, str], bytes]


@dataclass
class Served:
    """What a server is asked, and what it says.

    Parameters
    ----------
    answer : makes the page of a path.
    together : the most requests that were under way at one time.
    """

    answer: Callable[[str, dict[str, str]], Page]
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    together: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], Page]) -> Iterator[Served]:
    served = Served(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with served.lock:
                served.under_way += 1
                served.together = max(served.together, served.under_way)
                served.asked[self.path] += 1
                served.headers.append(dict(self.headers))
            try:
                status, headers, body = served.answer(self.path, dict(self.headers))
            finally:
                with served.lock:
                    served.under_way -= 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
