"""Made-up data that behaves like the real thing: prices that wander, rooms that warm up, shoppers who leave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from riverrun.sources.chance import BELL_SD, bell, bits, uniform

#: What the rows before left behind for those that follow: where prices have wandered to.
Memory = tuple[int, ...]

#: Makes the columns of some rows out of what was before, their numbers (UInt64) and instants (Datetime).
Maker = Callable[[Memory, pl.Series, pl.Series], tuple[Memory, pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One kind of made-up data.

    Parameters
    ----------
    columns : what each column holds, for the reference.
    start : the maker, given the seed.
    memory : before the first row.
    """

    summary: str
    columns: Mapping[str, str]
    start: Callable[[int], Maker]
    memory: Memory = ()


SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMZN", "TSLA", "JPM", "XOM", "KO")
_BASE_PRICES = (232.0, 428.0, 137.0, 196.0, 251.0, 243.0, 112.0, 63.0)
#: Of 64 trades, how many are in each symbol.
_SYMBOL_WEIGHTS = (16, 12, 12, 8, 6, 4, 4, 2)
#: What one trade moves the price by, as a part of it (standard deviation).
_TRADE_MOVE = 0.0002

_SIDES = pl.Series(["buy", "sell"])

SENSORS = tuple(f"sensor-{number:02d}" for number in range(1, 13))
_DAY_US = 86_400_000_000

_PAGES = ("/", "/search", "/item", "/cart", "/checkout", "/help")
_PAGE_WEIGHTS = (14, 16, 22, 6, 3, 3)
_CART, _CHECKOUT = 3, 4
_ACTIONS = pl.Series(["view", "cart", "buy"])
_USERS = 5_000


def trades(seed: int) -> Maker:
    """Trades of a few stocks; each price is a random walk of its own."""
    table = _table(_SYMBOL_WEIGHTS)
    symbols, bases = pl.Series(SYMBOLS), pl.Series(_BASE_PRICES)

    def make(memory: Memory, row: pl.Series, instant: pl.Series) -> tuple[Memory, pl.DataFrame]:
        walked = pl.Series(memory, dtype=pl.Int64)
        which = _picked(table, row, seed, 0)
        steps = pl.DataFrame({"which": which, "walk": bell(row, seed, 1)})
        # Whole numbers: where rows are cut into frames does not show in the sum.
        walk = steps.select(pl.col("walk").cum_sum().over("which")).to_series() + walked.gather(which)
        change = (walk.cast(pl.Float64) * (_TRADE_MOVE / BELL_SD)).exp()
        rows = pl.DataFrame(
            {
                "ts": instant,
                "symbol": symbols.gather(which),
                "price": (bases.gather(which) * change).round(2),
                "size": (_skewed(row, seed, 2) * 120).ceil().clip(1).cast(pl.Int64),
                "side": _SIDES.gather(bits(row, seed, 3) % 2),
            }
        )
        return _last_of_each(which, walk, memory), rows

    return make


def sensors(seed: int) -> Maker:
    """Rooms with a daily rhythm, now and then a gap or a spike."""
    names = pl.Series(SENSORS)
    rooms = pl.Series([19.0 + 0.4 * index for index in range(len(SENSORS))])

    def make(memory: Memory, row: pl.Series, instant: pl.Series) -> tuple[Memory, pl.DataFrame]:
        which = bits(row, seed, 0) % len(SENSORS)
        angle = (instant.to_physical() % _DAY_US).cast(pl.Float64) * (2 * math.pi / _DAY_US)
        warmth = (angle - math.pi / 2).sin()
        chance = bits(row, seed, 3)
        spike = (chance % 5_000 == 1).cast(pl.Float64) * 25
        temperature = rooms.gather(which) + warmth * 3 + bell(row, seed, 1) * (0.3 / BELL_SD) + spike
        humidity = warmth * -6 + 45 + bell(row, seed, 2) * (1.5 / BELL_SD)
        rows = pl.DataFrame(
            {
                "ts": instant,
                "sensor": names.gather(which),
                "temperature": _where(chance % 500 != 0, temperature.round(2)),
                "humidity": humidity.clip(0, 100).round(1),
                "vibration": (_skewed(row, seed, 4) * 0.8).round(3),
            }
        )
        return memory, rows

    return make


def clicks(seed: int) -> Maker:
    """Visits of a shop: many look, some fill a cart, few buy."""
    table = _table(_PAGE_WEIGHTS)
    pages = pl.Series(_PAGES)
    users = pl.Series([f"u{number:04}" for number in range(_USERS)])

    def make(memory: Memory, row: pl.Series, instant: pl.Series) -> tuple[Memory, pl.DataFrame]:
        which = _picked(table, row, seed, 0)
        # The third power: a few visitors come often.
        user = (uniform(row, seed, 1).pow(3) * _USERS).cast(pl.UInt32)
        buys = (which == _CHECKOUT) & (uniform(row, seed, 2) < 0.6)
        fills = (which == _CART).cast(pl.UInt32)
        rows = pl.DataFrame(
            {
                "ts": instant,
                "user": users.gather(user),
                "page": pages.gather(which),
                "action": _ACTIONS.gather(fills + buys.cast(pl.UInt32) * 2),
                "seconds": (_skewed(row, seed, 3) * 18).round(1),
                "amount": _where(buys, (_skewed(row, seed, 4) * 40 + 5).round(2)),
            }
        )
        return memory, rows

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
        memory=(0,) * len(SYMBOLS),
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


def _table(weights: tuple[int, ...]) -> pl.Series:
    """Each index as often as its weight says, to be picked from by number."""
    return pl.Series([index for index, weight in enumerate(weights) for _ in range(weight)], dtype=pl.UInt32)


def _picked(table: pl.Series, row: pl.Series, seed: int, draw: int) -> pl.Series:
    return table.gather(bits(row, seed, draw) % len(table))


def _skewed(row: pl.Series, seed: int, draw: int) -> pl.Series:
    """Exponentially distributed around 1: mostly small, now and then large."""
    return (1 - uniform(row, seed, draw)).log() * -1


def _where(holds: pl.Series, values: pl.Series) -> pl.Series:
    """The values where something holds, missing elsewhere."""
    return values.zip_with(holds, pl.Series([None], dtype=values.dtype))


def _last_of_each(which: pl.Series, values: pl.Series, before: Memory) -> Memory:
    """The last value for each index; what was there before where there is none."""
    found = dict(zip(which.to_list(), values.to_list(), strict=True))
    return tuple(found.get(index, value) for index, value in enumerate(before))
