"""The live dashboard of a pipeline, as the runtime uses it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from riverrun.charts.view import View
from riverrun.clock import Clock
from riverrun.dashboard.address import PATIENCE_S, check_reach, host_check, listen, parse_address
from riverrun.errors import MissingExtraError
from riverrun.runtime.health import Health
from riverrun.world import TcpAddress

if TYPE_CHECKING:
    import polars as pl

    from riverrun.dashboard.feed import Feed
    from riverrun.dashboard.server import ServerThread

log = logging.getLogger("riverrun.dashboard")

PACKAGES = ("starlette", "uvicorn", "bokeh")


class Dashboard:
    """A web page that shows results as they come.

    Parameters
    ----------
    address : ``"host:port"`` or a pair; port 0 takes any free one.
    title : the pipeline's name.
    views : what to show; the page is made from them.
    health : asked twice a second, from the dashboard's thread.
    clock : the time.
    allow_unauthenticated : let other machines look; without it only loopback addresses are accepted.
    patience_s : a viewer that takes nothing for so long is cut off; its page comes back by itself.

    Raises `ConfigError` for an address that cannot or should not be used, `MissingExtraError` when the packages
    of the extra ``dashboard`` are not installed.
    """

    def __init__(
        self,
        address: str | tuple[str, int],
        *,
        title: str,
        views: Sequence[View],
        health: Callable[[], Health],
        clock: Clock,
        allow_unauthenticated: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._asked = parse_address(address)
        check_reach(self._asked, allow_unauthenticated=allow_unauthenticated)
        _check_packages()
        self._title = title
        self._views = tuple(views)
        self._clock = clock
        self._patience_s = patience_s
        self._feed = self._make_feed(health)
        self._ids = frozenset(view.id for view in self._views)
        self._server: ServerThread | None = None
        self._bound: TcpAddress | None = None

    @property
    def url(self) -> str:
        """Where the page is, for people to open."""
        bound = self._bound or self._asked
        host = "127.0.0.1" if bound.host in ("0.0.0.0", "::", "localhost") else bound.host  # noqa: S104
        return f"http://{TcpAddress(host, bound.port)}/"

    def start(self) -> None:
        """Listen and serve in the background. Raises `ConfigError` when the port cannot be had."""
        from riverrun.dashboard.app import Routes, make_app
        from riverrun.dashboard.assets import load_assets
        from riverrun.dashboard.history import Bounds
        from riverrun.dashboard.page import describe_page
        from riverrun.dashboard.server import ServerThread

        listening = listen(self._asked, self._patience_s)
        self._bound = TcpAddress(self._asked.host, listening.getsockname()[1])
        exposed = not self._bound.is_loopback
        if exposed:
            log.warning("the dashboard at %s can be seen by everybody who reaches this machine", self.url)
        page = describe_page(self._title, self._views, exposed=exposed, bounds=Bounds())
        app = make_app(Routes(page, self._feed, load_assets()), host_check(self._bound))
        self._server = ServerThread(app, self._feed, listening)
        self._server.start()

    def publish(self, view_id: str, frame: pl.DataFrame) -> None:
        """Show results: rows replace older ones with the same keys and time.

        Called from the engine's thread; takes microseconds and never waits. Raises ``KeyError`` for a view that
        was not declared.
        """
        if view_id not in self._ids:
            raise KeyError(view_id)
        self._feed.inbox.put(view_id, frame)

    def stop(self) -> None:
        """End all viewers' streams and stop serving."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _make_feed(self, health: Callable[[], Health]) -> Feed:
        from riverrun.dashboard.feed import Feed
        from riverrun.dashboard.history import Bounds
        from riverrun.dashboard.hub import Hub
        from riverrun.dashboard.page import fingerprint

        # Different at each start, so that nobody resumes in the history of an earlier run; the fingerprint
        # in it tells an old page that the pipeline has changed.
        epoch = f"{self._clock.now_us():x}-{fingerprint(self._title, self._views)}"
        return Feed(self._views, Hub(epoch, patience_s=self._patience_s), health, self._clock, Bounds())


def _check_packages() -> None:
    import importlib

    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise MissingExtraError("the dashboard", package, "dashboard") from None
