"""What single steps cost: frames in memory through riverrun, against the same answer by Polars or NumPy.

No bytes are received or decoded here, so a ratio is that of the step alone, and lower than that of a whole job.
The baseline has all rows at once and knows where they end; riverrun gets them in batches.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import polars as pl

import riverrun as rr
from benchmarks.feed import SCHEMA, START_MS, rows
from benchmarks.throughput import WINDOW_MS, Run, ratios, timed

BATCH_ROWS = 50_000
ROUNDS = 3

#: A column of instants made of milliseconds, as `SCHEMA` declares it.
INSTANTS = pl.col("ts").cast(pl.Datetime("ms"))


def matrix(columns: int = 50, windows: int = 40, window_rows: int = 10_000) -> dict[str, float]:
    """A correlation matrix of many columns for each window, against `numpy.corrcoef` window by window.

    So many windows that what a run costs to begin with, about 40 ms, is a small part of it.
    """
    chance = np.random.default_rng(0)
    common = chance.normal(size=(windows * window_rows, 1))
    values = common + chance.normal(size=(windows * window_rows, columns))
    frame = pl.DataFrame(values, schema=[f"x{at}" for at in range(columns)])
    names = frame.columns
    ts = START_MS + pl.int_range(frame.height, eager=True) * WINDOW_MS // window_rows
    frame = frame.insert_column(0, ts.alias("ts")).with_columns(INSTANTS)

    def own() -> pl.DataFrame:
        grouped = _read(frame, batch_rows=window_rows).group_by().window(rr.tumbling(f"{WINDOW_MS}ms"))
        return grouped.agg(r=rr.corr_matrix(names)).collect()

    def base() -> pl.DataFrame:
        panes = frame["ts"].cast(pl.Int64) // WINDOW_MS
        made = [
            np.corrcoef(part.select(names).to_numpy(order="fortran"), rowvar=False)
            for part in frame.with_columns(panes.alias("pane")).partition_by("pane", maintain_order=True)
        ]
        return pl.DataFrame({"r": np.stack(made)})

    return {"columns": columns, **_compared(own, base, frame.height)}


def asof(count: int = 500_000) -> dict[str, float]:
    """The newest quote at the time of each trade, 100 keys, three quotes a trade, against `join_asof`."""
    trades = rows(count, rows_per_ms=1).with_columns(INSTANTS)
    quotes = rows(3 * count, rows_per_ms=3, seed=2).with_columns(INSTANTS)

    def own() -> pl.DataFrame:
        newest = _read(quotes, batch_rows=3 * BATCH_ROWS)
        return _read(trades).join_asof(newest, by="symbol").collect()

    def base() -> pl.DataFrame:
        return trades.join_asof(quotes, on="ts", by="symbol", check_sortedness=False)

    return _compared(own, base, trades.height + quotes.height)


def sessions(count: int = 200_000, keys: int = 2_000) -> dict[str, float]:
    """Sessions with a mean and a deviation, 2,000 keys, against sorting and counting gaps in Polars."""
    # A key has a row every two seconds on average; a tenth of the gaps end a session.
    frame = rows(count, keys, rows_per_ms=1).with_columns(INSTANTS)
    gap_ms = 4_600

    def own() -> pl.DataFrame:
        grouped = _read(frame).group_by("symbol").window(rr.session(f"{gap_ms}ms"))
        return grouped.agg(n=rr.count(), mean=rr.mean("price"), std=rr.std("price")).collect()

    def base() -> pl.DataFrame:
        begins = (pl.col("ts").diff().dt.total_milliseconds().fill_null(gap_ms) >= gap_ms).cum_sum()
        price = pl.col("price")
        numbered = frame.lazy().sort("symbol", "ts").with_columns(begins.over("symbol").alias("session"))
        grouped = numbered.group_by("symbol", "session")
        return grouped.agg(pl.len(), price.mean(), price.std(ddof=0).alias("std")).collect()

    return _compared(own, base, frame.height)


def unique(count: int = 500_000) -> dict[str, float]:
    """Half of all rows repeat one of the last second, against `unique` in Polars over all of them."""
    first = rows(count // 2, rows_per_ms=1).with_row_index("id")
    both = pl.concat([first, first.with_columns(pl.col("ts") + 500)])
    frame = both.sort("ts", maintain_order=True).with_columns(INSTANTS)

    def own() -> pl.DataFrame:
        return _read(frame).unique("id", within="1s").collect()

    def base() -> pl.DataFrame:
        return frame.unique("id", keep="first", maintain_order=True)

    return _compared(own, base, frame.height)


def _read(frame: pl.DataFrame, batch_rows: int = BATCH_ROWS) -> rr.Stream:
    schema = {name: SCHEMA.get(name, dtype) for name, dtype in frame.schema.items()}
    return rr.read(_batches(frame, batch_rows), schema=schema, time="ts")


def _batches(frame: pl.DataFrame, batch_rows: int) -> Iterator[pl.DataFrame]:
    return (frame[at : at + batch_rows] for at in range(0, frame.height, batch_rows))


def _compared(
    own: Callable[[], pl.DataFrame], base: Callable[[], pl.DataFrame], count: int
) -> dict[str, float]:
    """Medians of interleaved rounds; the first only warms up."""
    both: list[tuple[Run, Run]] = []
    for _ in range(ROUNDS + 1):
        frames: list[pl.DataFrame] = []
        both.append((timed(partial(_keep, base, frames)), timed(partial(_keep, own, frames))))
        assert frames[0].height == frames[1].height
    both = both[1:]
    return {
        "rows": count,
        **ratios(both),
        "cpu_s_per_million_rows": statistics.median(run.cpu_s for _, run in both) / (count / 1e6),
    }


def _keep(work: Callable[[], pl.DataFrame], frames: list[pl.DataFrame]) -> None:
    frames.append(work())
