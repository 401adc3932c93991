"""Rows a second over loopback TCP against one-shot Polars over the same bytes."""

from __future__ import annotations

import io
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

import riverrun as rr
from benchmarks.feed import SCHEMA, as_csv, as_json, rows, sender

WINDOW_MS = 10_000


@dataclass(frozen=True, slots=True)
class Run:
    """One timed run: wall and CPU seconds of this process."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Run:
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Run(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Collected:
    """A stream to be collected while the clock runs; what came is looked at later."""

    def __init__(self, stream: rr.Stream) -> None:
        self._stream = stream
        self.frame = pl.DataFrame()

    def __call__(self) -> None:
        self.frame = self._stream.collect()


def statistics_of() -> list[pl.Expr]:
    price, size = pl.col("price"), pl.col("size")
    return [
        pl.len().alias("n"),
        price.mean().alias("mean"),
        price.var(ddof=0).alias("var"),
        pl.cov(price, size, ddof=0).alias("cov"),
        pl.corr(price, size).alias("r"),
    ]


def one_shot_csv(data: bytes, *, streaming: bool) -> pl.DataFrame:
    schema = {"ts": pl.Int64, "symbol": pl.String, "price": pl.Float64, "size": pl.Float64}
    pane = (pl.col("ts") - pl.col("ts") % WINDOW_MS).alias("pane")
    if streaming:
        lazy = pl.scan_csv(io.BytesIO(data), has_header=False, schema=schema)
        return (
            lazy.with_columns(pane).group_by("pane", "symbol").agg(statistics_of()).collect(engine="streaming")
        )
    frame = pl.read_csv(data, has_header=False, schema=schema)
    return frame.with_columns(pane).group_by("pane", "symbol").agg(statistics_of())


def one_shot_json(data: bytes, *, streaming: bool) -> pl.DataFrame:
    schema = {"ts": pl.Int64, "symbol": pl.String, "price": pl.Float64, "size": pl.Float64}
    pane = (pl.col("ts") - pl.col("ts") % WINDOW_MS).alias("pane")
    if streaming:
        lazy = pl.scan_ndjson(io.BytesIO(data), schema=schema)
        return (
            lazy.with_columns(pane).group_by("pane", "symbol").agg(statistics_of()).collect(engine="streaming")
        )
    return (
        pl.read_ndjson(data, schema=schema).with_columns(pane).group_by("pane", "symbol").agg(statistics_of())
    )


def pipeline(
    port: int,
    kind: str,
    max_keys: int = 2_000_000,
    more: Mapping[str, rr.Aggregate] | None = None,
    window: rr.Window | None = None,
) -> rr.Stream:
    trades = rr.read(
        f"tcp://127.0.0.1:{port}",
        format=rr.Csv(header=False) if kind == "csv" else "json",
        schema=SCHEMA,
        time="ts",
        reconnect=False,
        limits=rr.Limits(max_keys=max_keys),
    )
    return (
        trades.group_by("symbol")
        .window(rr.tumbling("10s") if window is None else window)
        .agg(
            n=rr.count(),
            mean=rr.mean("price"),
            var=rr.var("price"),
            cov=rr.cov("price", "size"),
            r=rr.corr("price", "size"),
            **(more or {}),
        )
    )


def measure_with(more: Mapping[str, rr.Aggregate], count: int, rounds: int = 3) -> dict[str, float]:
    """The CSV job with further aggregates beside the same without them, interleaved."""
    return _beside(as_csv(rows(count)), lambda port: pipeline(port, "csv", more=more), _plain, rounds)


def measure_hopping(count: int, rounds: int = 3) -> dict[str, float]:
    """The CSV job with windows of a minute every second beside windows of a minute, interleaved."""
    # Two minutes of event time, so that most windows are whole.
    data = as_csv(rows(count, rows_per_ms=max(1, count // 120_000)))
    return _beside(
        data,
        lambda port: pipeline(port, "csv", window=rr.hopping("60s", "1s")),
        lambda port: pipeline(port, "csv", window=rr.tumbling("60s")),
        rounds,
    )


def _plain(port: int) -> rr.Stream:
    return pipeline(port, "csv")


def _beside(
    data: bytes, own: Callable[[int], rr.Stream], base: Callable[[int], rr.Stream], rounds: int
) -> dict[str, float]:
    """One pipeline as a ratio of another over the same bytes."""
    both: list[tuple[Run, Run]] = []
    for _ in range(rounds):
        runs = []
        for stream in (base, own):
            with sender([data]) as port:
                runs.append(timed(Collected(stream(port))))
        both.append((runs[0], runs[1]))
    return {"rows": data.count(b"\n"), **ratios(both)}


def ratios(both: Sequence[tuple[Run, Run]]) -> dict[str, float]:
    """Medians over rounds of a baseline's time through our own: 1.0 is as fast."""
    return {
        "wall_ratio": statistics.median(base.wall_s / own.wall_s for base, own in both),
        "cpu_ratio": statistics.median(base.cpu_s / own.cpu_s for base, own in both),
    }


def measure(
    kind: str, count: int, keys: int = 100, rounds: int = 5, rows_per_ms: int = 100
) -> dict[str, float]:
    """Interleaved rounds of both one-shot engines and riverrun; medians, and ratios round by round."""
    frame = rows(count, keys, rows_per_ms)
    data = as_csv(frame) if kind == "csv" else as_json(frame)
    one_shot = one_shot_csv if kind == "csv" else one_shot_json
    ours, base = [], []
    for _ in range(rounds):
        base.append(
            min((timed(partial(one_shot, data, streaming=s)) for s in (False, True)), key=lambda r: r.wall_s)
        )
        with sender([data]) as port:
            stream = pipeline(port, kind)
            collected = Collected(stream)
            ours.append(timed(collected))
        assert int(collected.frame["n"].sum()) == count
    millions = count / 1e6
    return {
        "rows": count,
        "keys": keys,
        **ratios(list(zip(base, ours, strict=True))),
        "rows_per_s": millions * 1e6 / statistics.median(o.wall_s for o in ours),
        "cpu_s_per_million_rows": statistics.median(o.cpu_s for o in ours) / millions,
        "one_shot_rows_per_s": millions * 1e6 / statistics.median(b.wall_s for b in base),
        "one_shot_cpu_s_per_million_rows": statistics.median(b.cpu_s for b in base) / millions,
    }
