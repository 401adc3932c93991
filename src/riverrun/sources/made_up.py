"""Made-up data that behaves like the real thing: prices that wander, rooms that warm up, shoppers who leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import polars as pl

from riverrun.sources.chance import BELL_SD, bell, bits, uniform

#: The columns that every maker is given: the row's number and its instant in microseconds.
ROW, INSTANT_US = "row", "instant_us"

#: Makes the columns of some rows out of `ROW` and `INSTANT_US`.
Maker = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One kind of made-up data.

    Parameters
    ----------
    columns : what each column holds, for the reference.
    start : begins a run, given the seed.
    """

    summary: str
    columns: Mapping[str, str]
    start: Callable[[int], Maker]


SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMZN", "TSLA", "JPM", "XOM", "KO")
_BASE_PRICES = (232.0, 428.0, 137.0, 196.0, 251.0, 243.0, 112.0, 63.0)
#: Of 64 trades, how many are in each symbol.
_SYMBOL_WEIGHTS = (16, 12, 12, 8, 6, 4, 4, 2)
#: What one trade moves the price by, as a part of it (standard deviation).
_TRADE_MOVE = 0.0002

SENSORS = tuple(f"sensor-{number:02d}" for number in range(1, 13))
_DAY_US = 86_400_000_000

_PAGES = ("/", "/search", "/item", "/cart", "/checkout", "/help")
_PAGE_WEIGHTS = (14, 16, 22, 6, 3, 3)
_USERS = 5_000


def trades(seed: int) -> Maker:
    """Trades of a few stocks; each price is a random walk of its own."""
    table = _table(SYMBOLS, _SYMBOL_WEIGHTS)
    bases = pl.Series("base", _BASE_PRICES, dtype=pl.Float64)
    walks = pl.DataFrame(
        {"symbol": SYMBOLS, "base": bases, "walked": [0] * len(SYMBOLS)},
        schema_overrides={"walked": pl.Int64},
    )

    def make(rows: pl.DataFrame) -> pl.DataFrame:
        nonlocal walks
        row = pl.col(ROW)
        steps = rows.with_columns(
            symbol=_picked(rows, table, seed, 0),
            step=bell(row, seed, 1),
            size=(1 - uniform(row, seed, 2)).log() * -120,
            side=pl.when(bits(row, seed, 3) % 2 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell")),
        )
        walking = steps.join(walks, on="symbol", how="left", maintain_order="left").with_columns(
            # Whole numbers: where rows are cut into frames does not show in the sum.
            walked=pl.col("walked") + pl.col("step").cum_sum().over("symbol")
        )
        ends = walking.group_by("symbol").agg(moved=pl.col("walked").last())
        walks = walks.join(ends, on="symbol", how="left", maintain_order="left").select(
            "symbol", "base", walked=pl.coalesce("moved", "walked")
        )
        change = (pl.col("walked").cast(pl.Float64) * (_TRADE_MOVE / BELL_SD)).exp()
        return walking.select(
            _instant(),
            "symbol",
            price=(pl.col("base") * change).round(2),
            size=pl.col("size").ceil().clip(1).cast(pl.Int64),
            side="side",
        )

    return make


def sensors(seed: int) -> Maker:
    """Rooms with a daily rhythm, now and then a gap or a spike."""
    table = _table(SENSORS, (1,) * len(SENSORS))
    offsets = {name: 19.0 + 0.4 * index for index, name in enumerate(SENSORS)}

    def make(rows: pl.DataFrame) -> pl.DataFrame:
        row = pl.col(ROW)
        angle = (pl.col(INSTANT_US) % _DAY_US).cast(pl.Float64) * (2 * math.pi / _DAY_US)
        warmth = (angle - math.pi / 2).sin()
        chance = bits(row, seed, 3)
        room = pl.col("sensor").replace_strict(offsets, return_dtype=pl.Float64)
        spike = pl.when(chance % 5_000 == 1).then(25.0).otherwise(0.0)
        temperature = room + 3 * warmth + bell(row, seed, 1) * (0.3 / BELL_SD) + spike
        humidity = 45 - 6 * warmth + bell(row, seed, 2) * (1.5 / BELL_SD)
        return rows.with_columns(sensor=_picked(rows, table, seed, 0)).select(
            _instant(),
            "sensor",
            temperature=pl.when(chance % 500 != 0).then(temperature.round(2)),
            humidity=humidity.clip(0, 100).round(1),
            vibration=((1 - uniform(row, seed, 4)).log() * -0.8).round(3),
        )

    return make


def clicks(seed: int) -> Maker:
    """Visits of a shop: many look, some fill a cart, few buy."""
    table = _table(_PAGES, _PAGE_WEIGHTS)

    def make(rows: pl.DataFrame) -> pl.DataFrame:
        row = pl.col(ROW)
        # The third power: a few visitors come often.
        user = (uniform(row, seed, 1).pow(3) * _USERS).floor().cast(pl.Int64)
        page = pl.col("page")
        buys = (page == "/checkout") & (uniform(row, seed, 2) < 0.6)
        action = (
            pl.when(buys)
            .then(pl.lit("buy"))
            .when(page == "/cart")
            .then(pl.lit("cart"))
            .otherwise(pl.lit("view"))
        )
        amount = ((1 - uniform(row, seed, 4)).log() * -40 + 5).round(2)
        return rows.with_columns(page=_picked(rows, table, seed, 0)).select(
            _instant(),
            user=pl.lit("u") + user.cast(pl.String).str.zfill(4),
            page="page",
            action=action,
            seconds=((1 - uniform(row, seed, 3)).log() * -18).round(1),
            amount=pl.when(buys).then(amount),
        )

    return make


DATASETS: Mapping[str, Dataset] = {
    "trades": Dataset(
        "stock trades; each price wanders on its own",
        {
            "ts": "when the trade took place (Datetime, UTC)",
            "symbol": f"one of {len(SYMBOLS)} stocks, some traded more than others",
            "price": "dollars, two decimals",
            "size": "shares, at least 1",
            "side": "buy or sell",
        },
        trades,
    ),
    "sensors": Dataset(
        "climate sensors of a building, with gaps and spikes",
        {
            "ts": "when it was measured (Datetime, UTC)",
            "sensor": f"one of {len(SENSORS)} sensors",
            "temperature": "degrees Celsius over a daily rhythm; 1 in 500 missing, 1 in 5,000 a spike of 25",
            "humidity": "percent, falls as it gets warmer",
            "vibration": "mm/s, always positive, skewed",
        },
        sensors,
    ),
    "clicks": Dataset(
        "visits of a web shop",
        {
            "ts": "when the page was opened (Datetime, UTC)",
            "user": f"one of {_USERS:,} visitors, some come often",
            "page": "the page",
            "action": "view, cart or buy",
            "seconds": "how long the visitor stayed",
            "amount": "dollars of the purchase; missing when nothing was bought",
        },
        clicks,
    ),
}


def _instant() -> pl.Expr:
    return pl.col(INSTANT_US).cast(pl.Datetime("us", "UTC")).alias("ts")


def _table(names: tuple[str, ...], weights: tuple[int, ...]) -> pl.Series:
    """Each name as often as its weight says, to be picked from by number."""
    ends = list(accumulate(weights))
    index = [next(i for i, end in enumerate(ends) if slot < end) for slot in range(ends[-1])]
    return pl.Series([names[i] for i in index])


def _picked(rows: pl.DataFrame, table: pl.Series, seed: int, draw: int) -> pl.Series:
    return table.gather(rows.select(bits(pl.col(ROW), seed, draw) % len(table)).to_series())
