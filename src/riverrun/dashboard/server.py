"""The web server in its own thread and event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from riverrun.dashboard.feed import Feed

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Least seconds between two updates of the page.
TICK_S = 0.1
#: Seconds that the first result after a pause waits for others.
GATHER_S = 0.01
#: Seconds between two reports of health.
HEALTH_S = 0.5
#: Seconds that open connections get when the server stops.
GRACE_S = 1
FAILURES_LOGGED = 3

log = logging.getLogger("riverrun.dashboard")


class ServerThread:
    """Serves an app on a listening socket until `stop`.

    Parameters
    ----------
    app : what to serve.
    feed : ticked in the same loop, so that nothing needs a lock.
    listening : the bound socket; closed at the end.
    """

    def __init__(self, app: ASGIApp, feed: Feed, listening: socket.socket) -> None:
        self._feed = feed
        self._listening = listening
        self._failures = 0
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=1_024,
                timeout_graceful_shutdown=GRACE_S,
                h11_max_incomplete_event_size=16 * 1024,
            )
        )
        # A daemon: a page that is being watched must never keep a finished pipeline alive.
        self._thread = threading.Thread(target=self._run, name="riverrun-dashboard", daemon=True)

    def start(self) -> None:
        """Begin to serve; requests that come before the loop turns wait in the socket's queue."""
        self._thread.start()

    def stop(self) -> None:
        """End all streams and wait for the thread."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=2 * GRACE_S + 3)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._listening.close()

    async def _serve(self) -> None:
        ticker = asyncio.create_task(self._tick_until_exit())
        await self._server.serve(sockets=[self._listening])
        await ticker

    async def _tick_until_exit(self) -> None:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        self._feed.inbox.wake = lambda: _call_in(loop, arrived.set)
        health_due = loop.time()
        while not self._server.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), TICK_S)
            # What belongs together comes together: views of one window are published one after the other.
            await asyncio.sleep(GATHER_S)
            arrived.clear()
            with_health = loop.time() >= health_due
            if with_health:
                health_due = loop.time() + HEALTH_S
            self._tick(with_health=with_health)
            await asyncio.sleep(TICK_S - GATHER_S)
        # Uvicorn waits for open responses; streams would keep it for the whole grace time.
        self._tick(with_health=True)
        await asyncio.sleep(0.02)
        self._feed.hub.close()

    def _tick(self, *, with_health: bool) -> None:
        # The page must outlive a mistake in what it shows, and not fill the log with it either.
        try:
            self._feed.publish_results()
            if with_health:
                self._feed.publish_health()
        except Exception:
            self._failures += 1
            if self._failures <= FAILURES_LOGGED:
                log.exception("dashboard: an update failed")


def _call_in(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    # Results may still come while the server stops; nobody is left to be woken then.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(what)
