"""The event stream of one viewer, as a small ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from riverrun.dashboard.hub import Hub, Viewer

if TYPE_CHECKING:
    from starlette.types import Receive, Send

KEEP_ALIVE_S = 15.0

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def stream(hub: Hub, last_seen: str | None, receive: Receive, send: Send) -> None:
    """Send messages until the viewer leaves, falls asleep, or the server stops."""
    viewer, first = hub.join(last_seen)
    watcher = asyncio.create_task(_close_on_disconnect(viewer, receive))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _pump(viewer, b"retry: 1000\n\n" + first, send, hub.patience_s)
    finally:
        hub.leave(viewer)
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


async def _pump(viewer: Viewer, first: bytes, send: Send, patience_s: float) -> None:
    message: bytes | None = first
    while message is not None:
        try:
            async with asyncio.timeout(patience_s):
                await send(
                    {"type": "http.response.body", "body": message or b": still here\n\n", "more_body": True}
                )
        except TimeoutError:
            return
        message = await viewer.next(KEEP_ALIVE_S)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _close_on_disconnect(viewer: Viewer, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.close()
