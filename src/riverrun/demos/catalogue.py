"""The demos there are: what each feeds, and the pipeline that reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

from riverrun.demos import market, market_feed, ward, ward_feed
from riverrun.demos.feeder import Feeder, Line, ToListener
from riverrun.plan.pipeline import Pipeline
from riverrun.world import TcpAddress, World

#: Where `riverrun demo NAME --feed` serves; the pipelines in the files read from here.
FIRST_PORT = 9101


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo.

    Parameters
    ----------
    module : the file with its pipeline.
    about : for people, a line each.
    """

    name: str
    module: str
    about: tuple[str, ...]

    def feeds(self, world: World) -> list[tuple[bytes, Iterator[Line]]]:
        """Header and lines of each of its feeds."""
        if self.name == "market":
            return [market_feed.prices(), market_feed.returns()]
        return [ward_feed.samples(world.clock)]

    def pipeline(self, urls: list[str]) -> Pipeline:
        """The pipeline that reads the feeds at these URLs."""
        return market.build(*urls) if self.name == "market" else ward.build(*urls)

    def code(self) -> str:
        """The file with the pipeline, to read and to copy."""
        return (resources.files("riverrun.demos") / self.module).read_text(encoding="utf-8")


DEMOS = {
    "market": Demo(
        "market",
        "market.py",
        (
            "real daily prices of AAPL, GOOG, IBM and MSFT (2004 to 2013), eight trading days a second,",
            "over a real TCP socket: cleaning, returns, volatility, covariance and correlation per window.",
            "One line in 300 is broken on purpose.",
        ),
    ),
    "ward": Demo(
        "ward",
        "ward.py",
        (
            "two real pulse recordings at their true rate (117 and 100 samples a second), over real TCP:",
            "level, spread, swing and contact of each sensor over two seconds.",
        ),
    ),
}


@contextmanager
def feeding(demo: Demo, world: World, ports: list[int] | None = None) -> Iterator[list[str]]:
    """Serve the feeds of a demo on loopback while the body runs; gives their URLs.

    Parameters
    ----------
    ports : where; any that are free when left out.

    Raises ``OSError`` when a port is taken.
    """
    feeders: list[Feeder] = []
    urls: list[str] = []
    threads: list[threading.Thread] = []
    try:
        for number, (header, lines) in enumerate(demo.feeds(world)):
            listener = world.network.listen(TcpAddress("127.0.0.1", ports[number] if ports else 0))
            urls.append(f"tcp://{listener.address}")
            feeder = Feeder(world, ToListener(listener, header), lines)
            feeders.append(feeder)
            threads.append(threading.Thread(target=feeder.run, name=f"riverrun-feed-{number}", daemon=True))
        for thread in threads:
            thread.start()
        yield urls
    finally:
        for feeder in feeders:
            feeder.stop()
        for thread in threads:
            thread.join(timeout=2)
