"""The routes of the dashboard."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from riverrun.dashboard import wire
from riverrun.dashboard.assets import Asset
from riverrun.dashboard.feed import Feed
from riverrun.dashboard.guard import METHODS, Guard
from riverrun.dashboard.stream import stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

JSON = "application/json"


class Routes:
    """What answers which path."""

    def __init__(self, page: Mapping[str, Any], feed: Feed, assets: Mapping[str, Asset]) -> None:
        self._page = Asset(wire.dumps(page), JSON)
        self._feed = feed
        self._assets = assets

    def table(self) -> list[Route]:
        """The route table; tests walk through it."""
        methods = list(METHODS)
        return [
            Route("/", self.index, methods=methods),
            Route("/static/{name}", self.static, methods=methods),
            Route("/api/page", self.page, methods=methods),
            Route("/api/snapshot", self.snapshot, methods=methods),
            Route("/api/stream", self.stream, methods=methods),
            Route("/api/health", self.health, methods=methods),
            Route("/live", self.live, methods=methods),
            Route("/ready", self.ready, methods=methods),
        ]

    async def index(self, request: Request) -> Response:
        return _send_asset(request, self._assets["index.html"])

    async def static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        return (
            Response("not found", 404, media_type="text/plain")
            if asset is None
            else _send_asset(request, asset)
        )

    async def page(self, request: Request) -> Response:
        return _send_asset(request, self._page)

    async def snapshot(self, request: Request) -> Response:
        body = self._feed.snapshot()
        headers = {"cache-control": "no-store", "vary": "accept-encoding"}
        if _takes_gzip(request):
            # In a thread, since a long history takes a while; zlib lets other threads run meanwhile.
            body = await asyncio.to_thread(gzip.compress, body, 1)
            headers["content-encoding"] = "gzip"
        return Response(body, media_type=JSON, headers=headers)

    async def stream(self, request: Request) -> Response:
        if self._feed.hub.full:
            return Response("too many viewers", 503, {"retry-after": "5"}, "text/plain")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers={"cache-control": "no-store"})
        last_seen = request.headers.get("last-event-id") or request.query_params.get("after")
        return _Stream(self._feed, last_seen)

    async def health(self, _: Request) -> Response:
        return Response(self._feed.health_json(), media_type=JSON, headers={"cache-control": "no-store"})

    async def live(self, _: Request) -> Response:
        return Response("live\n", media_type="text/plain", headers={"cache-control": "no-store"})

    async def ready(self, _: Request) -> Response:
        ready = self._feed.ready()
        text = "ready\n" if ready else "the pipeline is not running\n"
        return Response(text, 200 if ready else 503, {"cache-control": "no-store"}, "text/plain")


class _Stream(Response):
    """A response that goes on until the viewer leaves."""

    def __init__(self, feed: Feed, last_seen: str | None) -> None:
        super().__init__()
        self._hub = feed.hub
        self._last_seen = last_seen

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await stream(self._hub, self._last_seen, receive, send)


def make_app(routes: Routes, host_allowed: Callable[[str], bool]) -> ASGIApp:
    """The whole app behind its guard."""
    return Guard(Starlette(routes=routes.table()), host_allowed)


def _send_asset(request: Request, asset: Asset) -> Response:
    headers = {"etag": asset.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    if not _takes_gzip(request):
        return Response(asset.content, media_type=asset.kind, headers=headers)
    return Response(asset.compressed, media_type=asset.kind, headers={**headers, "content-encoding": "gzip"})


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
