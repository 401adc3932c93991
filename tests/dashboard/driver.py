"""A made-up pipeline that feeds a dashboard: the same results for the same seed, one step at a time.

Look at it with ``python -m tests.dashboard.driver --keys 5 --port 8765``.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import threading
from collections.abc import Sequence

import polars as pl

from riverrun.charts.view import Correlation, View
from riverrun.clock import Clock, SystemClock
from riverrun.dashboard import Dashboard
from riverrun.runtime.health import Health, RejectedSample, SourceHealth, StateHealth, StepHealth

STOCKS = ("AAPL", "MSFT", "GOOG", "AMZN", "NVDA", "META", "TSLA", "IBM", "INTC", "ORCL", "CSCO", "ADBE")
PAIRS = (("price", "size"), ("price", "spread"), ("size", "spread"))

MARKET = View(
    id="per_symbol",
    title="Trades in windows of 1 s",
    time="window_end",
    keys=("symbol",),
    statistics=("mean", "sd", "p99", "n", "vwap", "volume"),
    correlations=tuple(Correlation(f"r_{x}_{y}", x, y) for x, y in PAIRS),
    every_us=1_000_000,
)


def key_names(count: int) -> list[str]:
    """The first `count` keys: real tickers, then numbered ones."""
    return [STOCKS[i] if i < len(STOCKS) else f"SYM{i:03d}" for i in range(count)]


class Market:
    """Random walks for some keys; each call of `step` is one window for all of them."""

    def __init__(
        self, keys: Sequence[str | None], *, start_us: int, every_us: int = 1_000_000, seed: int = 7
    ) -> None:
        self.keys = list(keys)
        self._random = random.Random(seed)
        self._time_us = start_us
        self._every_us = every_us
        self._prices = [40.0 + 22.0 * i + self._random.uniform(-5, 5) for i in range(len(self.keys))]
        self._steps = 0

    def step(self) -> pl.DataFrame:
        """The results of the next window."""
        self._time_us += self._every_us
        self._steps += 1
        rows = [self._row(i, key) for i, key in enumerate(self.keys) if not self._silent(i)]
        frame = pl.DataFrame(rows, schema_overrides={"symbol": pl.String})
        return frame.with_columns(pl.col("window_end").cast(pl.Datetime("us", "UTC")))

    def steps(self, count: int) -> pl.DataFrame:
        """The results of the next windows."""
        return pl.concat([self.step() for _ in range(count)])

    def _silent(self, i: int) -> bool:
        return i == 2 and 150 < self._steps % 400 < 175

    def _row(self, i: int, key: str | None) -> dict[str, object]:
        chance = self._random
        self._prices[i] *= 1 + chance.gauss(0, 0.0016) + 0.0004 * math.sin(self._steps / 60 + i)
        price = self._prices[i]
        wave = math.sin(self._steps / 90 + i)
        count = max(1, round(40 + 22 * wave + chance.gauss(0, 6)))
        sd = price * (0.002 + 0.0012 * abs(wave) + abs(chance.gauss(0, 0.0003)))
        return {
            "symbol": key,
            "window_end": self._time_us,
            "mean": price,
            "sd": sd,
            "p99": price + 2.3 * sd,
            "n": count,
            "vwap": price * (1 + chance.gauss(0, 0.0004)),
            "volume": count * chance.uniform(80, 130),
            "r_price_size": math.tanh(0.9 * wave + chance.gauss(0, 0.1)),
            "r_price_spread": math.tanh(-0.7 + 0.5 * math.cos(self._steps / 70) + chance.gauss(0, 0.08)),
            "r_size_spread": math.tanh(0.15 + chance.gauss(0, 0.15)),
        }


class FakeHealth:
    """A health that adds up, and grows with every call of `advance`."""

    def __init__(self, clock: Clock, *, rows_per_s: float = 98_400.0) -> None:
        self._clock = clock
        self._started_us = clock.now_us()
        self.rows_per_s = rows_per_s
        self._busy_s = 0.0
        self.received = 0
        self.results = 0
        self.watermark_us: int | None = None
        self.running = True
        self.quiet = False
        self.extra_steps: tuple[StepHealth, ...] = ()
        self.state: StateHealth | None = None

    def advance(self, results: int, seconds: float, watermark_us: int) -> None:
        """Rows came in for so long."""
        self.received += round(self.rows_per_s * seconds)
        self._busy_s += seconds
        self.results += results
        self.watermark_us = watermark_us

    def __call__(self) -> Health:
        received, late, bad = self.received, self.received // 4_000, self.received // 9_000
        flying = min(640, received)
        now_us = self._clock.now_us()
        lag_ms = None if self.watermark_us is None else (now_us - self.watermark_us) / 1_000
        source = SourceHealth(
            name="trades",
            url="tcp://localhost:9999",
            status="connected" if received else "connecting (refused, next try in 2 s)",
            received=received,
            applied=received - late - bad - flying,
            late=late,
            dead_lettered=bad,
            in_flight=flying,
            bytes=received * 34,
            rows_per_s=self.rows_per_s if received else 0.0,
            watermark_us=self.watermark_us,
            newest_us=self.watermark_us,
            lag_ms=lag_ms,
            partitions=1,
            reasons={"csv": bad - bad // 3, "number-range": bad // 3} if bad else {},
        )
        return Health(
            name="market",
            now_us=now_us,
            started_us=self._started_us,
            running=self.running,
            sources=(source,),
            steps=self._steps(received, late, bad) + self.extra_steps,
            edges=((0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6)),
            rejected=self._samples(bad, now_us),
            results=self.results,
            memory_bytes=187 * 2**20,
            latency_ms_p50=2.31 if received else None,
            latency_ms_p99=7.84 if received else None,
            state=self.state,
        )

    def _steps(self, received: int, late: int, bad: int) -> tuple[StepHealth, ...]:
        clean = received - bad
        busy = self._busy_s
        return (
            StepHealth("read trades", received, clean, 0, busy * 0.31),
            StepHealth("filter price > 0", clean, clean, 0, busy * 0.06),
            StepHealth("with_columns notional", clean, clean, 0, busy * 0.09),
            StepHealth("window 1s by symbol", clean, self.results, late, busy * 0.52, 1_420),
            StepHealth("chart.line", self.results, self.results, 0, busy * 0.01),
            StepHealth("detect mean", self.results, self.results, 0, busy * 0.03, 24),
            StepHealth("write duckdb:stats.duckdb", self.results, self.results, 0, busy * 0.12),
        )

    def _samples(self, bad: int, now_us: int) -> tuple[RejectedSample, ...]:
        if not bad:
            return ()
        rows = [
            ("csv", "5 fields, 4 expected", '1763812345678,"AAPL,189.32,100,x'),
            ("number-range", "price: 1e400 is beyond float64", "1763812345702,MSFT,1e400,200"),
            ("csv", "not a number: 'n/a' in price", "1763812345713,<img src=x onerror=alert(1)>,n/a,100"),
        ]
        return tuple(
            RejectedSample(
                "trades", reason, detail, "127.0.0.1:51422", 120_000 + 977 * i, head, now_us - i * 2_400_000
            )
            for i, (reason, detail, head) in enumerate(rows)
        )


def run(keys: int, port: int, *, history: int, period_s: float, stop: threading.Event) -> None:
    """Serve until `stop` is set."""
    clock = SystemClock()
    health = FakeHealth(clock)
    dashboard = Dashboard(("127.0.0.1", port), title="market", views=[MARKET], health=health, clock=clock)
    dashboard.start()
    print(dashboard.url, flush=True)
    start_us = (clock.now_us() // 1_000_000 - history) * 1_000_000
    market = Market(key_names(keys), start_us=start_us)
    dashboard.publish(MARKET.id, market.steps(history))
    now_us = start_us + history * 1_000_000
    while not stop.wait(period_s):
        frame = market.step()
        now_us += 1_000_000
        health.advance(frame.height, 1.0, now_us)
        dashboard.publish(MARKET.id, frame)
    dashboard.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=5)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--history", type=int, default=900)
    parser.add_argument("--period", type=float, default=1.0, help="seconds of real time per window")
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        run(asked.keys, asked.port, history=asked.history, period_s=asked.period, stop=threading.Event())
