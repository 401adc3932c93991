"""Daily prices of four stocks, live: returns, volatility, covariance and correlation.

The feed replays real prices at about eight trading days a second, and begins again, with later dates, when it
comes to its end. About one line in 300 is broken on purpose: see what becomes of it on the dashboard.

To play with this file:

    riverrun demo market --show > market.py
    riverrun demo market --feed            (in another terminal: the feed alone, at ports 9101 and 9102)
    riverrun run market.py --dashboard
"""

from __future__ import annotations

from itertools import combinations

import polars as pl

import riverrun as rr

STOCKS = ("AAPL", "GOOG", "IBM", "MSFT")
TRADING_DAYS = 252

# The dates of the feed run on beyond today when it begins again; usually that is a sign of a broken clock.
LIMITS = rr.Limits(future="5200w")


def build(prices_url: str, returns_url: str) -> rr.Pipeline:
    """The pipeline, given where the two feeds are."""
    prices = rr.read(
        prices_url,
        format="csv",
        schema={
            "date": pl.Date,
            "symbol": pl.String,
            "open": pl.Float64,
            "high": pl.Float64,
            "low": pl.Float64,
            "close": pl.Float64,
            "prev_close": pl.Float64,
            "volume": pl.Float64,
        },
        time="date",
        delay="1d",
        limits=LIMITS,
        name="prices",
    )
    per_stock = (
        prices.drop_nulls(["close", "prev_close"])
        .filter(pl.col("close") > 0, pl.col("prev_close") > 0)
        .with_columns(ret=(pl.col("close") / pl.col("prev_close") - 1) * 100)
        .group_by("symbol")
        .window(rr.hopping("30d", every="5d"))
        .agg(
            close=rr.last("close"),
            vwap=rr.weighted_mean("close", "volume"),
            mean_return=rr.mean("ret"),
            volatility=rr.std(pl.col("ret") * TRADING_DAYS**0.5, ddof=1),
            worst_day=rr.min("ret"),
            best_day=rr.max("ret"),
        )
    )

    # One row a day with the returns of all stocks side by side, in percent: pairs need that.
    returns = rr.read(
        returns_url,
        format="csv",
        schema={"date": pl.Date} | dict.fromkeys(STOCKS, pl.Float64),
        time="date",
        delay="1d",
        limits=LIMITS,
        name="returns",
    )
    pairs = list(combinations(STOCKS, 2))
    together = returns.drop_nulls().group_by().window(rr.hopping("60d", every="5d"))
    covariances = {f"cov_{x}_{y}": rr.cov(x, y, ddof=1) for x, y in pairs}
    correlations = {f"corr_{x}_{y}": rr.corr(x, y) for x, y in pairs}
    per_pair = together.agg(**covariances, **correlations)
    return rr.Pipeline("market", [per_stock, per_pair])


pipeline = build("tcp://127.0.0.1:9101", "tcp://127.0.0.1:9102")
