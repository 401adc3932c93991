"""Pipelines that the simulation runs: every kind of stateful step, over a file and a listening source."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

import riverrun as rr
from riverrun.plan.nodes import Output
from riverrun.plan.stream import Stream
from riverrun.world import TcpAddress

DOOR = TcpAddress("127.0.0.1", 9_000)
SCHEMA = {"ts": rr.Timestamp("ms"), "key": pl.String, "x": pl.Float64}

Results = dict[str, Stream]


def sources(delay: str = "1s") -> tuple[Stream, Stream]:
    rows = rr.Csv(header=False)
    files = rr.read("file:in/*.csv", format=rows, schema=SCHEMA, time="ts", delay=delay, follow=True)
    hosts = rr.read(
        f"tcp+listen://{DOOR}",
        ack=True,
        format=rows,
        schema=SCHEMA,
        time="ts",
        delay=delay,
        name="hosts",
        # Less than a source is asked for at a time: both of them pause again and again.
        limits=rr.Limits(budget_bytes=2_000),
    )
    return files, hosts


def late_and_repeated() -> Results:
    files, hosts = sources()
    windows = files.group_by("key").window(rr.tumbling("5s"), lateness="3s")
    stats = windows.agg(n=rr.count(), mean=rr.mean("x"), sd=rr.std("x"), p90=rr.quantile("x", 0.9))
    once = hosts.unique("key", within="400ms")
    hopping = once.group_by("key").window(rr.hopping("4s", "2s"))
    sums = hopping.agg(n=rr.count(), sum=rr.sum("x"), last=rr.last("x"))
    return {"stats": stats, "late": stats.late(), "sums": sums}


def windows() -> Results:
    files, hosts = sources()
    n = {"n": rr.count(), "var": rr.var("x")}
    by = files.group_by("key")
    return {
        "sessions": by.window(rr.session("700ms"), lateness="1s").agg(**n),
        "hosts": hosts.group_by("key").window(rr.session("700ms"), lateness="1s").agg(**n),
        "bounded": by.window(rr.session("700ms", maximum="2s")).agg(**n),
        "cumulating": by.window(rr.cumulating("6s", "2s")).agg(**n),
        "counting": hosts.group_by("key").window(rr.counting(7, every=3)).agg(**n),
        "rolling": hosts.group_by("key").rolling("2s").agg(n=rr.count(), low=rr.min("x"), mean=rr.mean("x")),
        "running": files.group_by("key").running().agg(n=rr.count(), high=rr.max("x")),
    }


def joins() -> Results:
    files, hosts = sources()
    slow = hosts.select("ts", "key", y=pl.col("x"))
    both = files.union(hosts).group_by("key").window(rr.tumbling("5s"))
    return {
        "asof": files.join_asof(slow, by="key", tolerance="3s"),
        "nearest": files.join_asof(slow, by="key", tolerance="2s", direction="nearest"),
        "interval": files.join_interval(slow, on="key", lower="-300ms", upper="300ms"),
        "union": both.agg(n=rr.count(), sum=rr.sum("x")),
    }


def cleaning() -> Results:
    files, hosts = sources()
    above = pl.when(pl.col("x") > 300).then(pl.col("x"))
    holes = hosts.with_columns(x=above)
    by, n = files.unique("key", within="400ms").group_by("key"), {"n": rr.count()}
    return {
        "fixed": by.window(rr.hopping("6s", "3s"), lateness="1s", quality=True).agg(**n),
        "session": by.window(rr.session("900ms", maximum="3s"), quality=True).agg(**n),
        "counting": by.window(rr.counting(5), quality=True).agg(**n),
        "filled": holes.forward_fill("x", by="key"),
        "lines": files.with_columns(x=above).interpolate("x", by="key", within="2s"),
        "grid": files.resample("1s", by="key", fill="linear", max_gap="3s"),
        "clipped": hosts.clip_outliers("x", by="key"),
        "robust": files.clip_outliers("x", by="key", method="mad", min_rows=3, last=20),
        "scaled": files.normalise("x", by="key"),
        "counted": hosts.stateful(counted, init={"seen": 0}, by="key"),
    }


def counted(state: dict[str, int], rows: pl.DataFrame) -> tuple[dict[str, int], pl.DataFrame]:
    """How many rows of the key came before, which does not depend on how they were cut."""
    places = pl.int_range(state["seen"], state["seen"] + rows.height, dtype=pl.Int64, eager=True)
    return {"seen": state["seen"] + rows.height}, rows.with_columns(places.alias("place"))


def statistics() -> Results:
    files, hosts = sources()
    shape = {
        "skew": rr.skew("x"),
        "fit": rr.regression("x", pl.col("ts").dt.epoch("ms")),
        "ac": rr.autocorr("x", 1),
    }
    order = {"first": rr.first("x"), "bar": rr.ohlc("x"), "all": rr.collect("x"), "ewm": rr.ewm_mean("x", "2s")}
    sketch = {
        "u": rr.n_unique("x"),
        "top": rr.top_k("x", 2),
        "qs": rr.quantiles("x", [0.1, 0.9]),
        "mode": rr.mode("x"),
    }
    return {
        "shape": files.group_by("key").window(rr.hopping("6s", "3s")).agg(**shape),
        "order": hosts.group_by("key").window(rr.tumbling("5s"), lateness="1s").agg(**order),
        "sketch": files.group_by().window(rr.tumbling("8s")).agg(**sketch),
    }


PIPELINES: list[Callable[[], Results]] = [late_and_repeated, windows, joins, cleaning, statistics]


def outputs(pipeline: Callable[[], Results]) -> list[Output]:
    """Every result into a file of lines."""
    return [stream.write(f"jsonl:out/{name}.jsonl") for name, stream in pipeline().items()]
