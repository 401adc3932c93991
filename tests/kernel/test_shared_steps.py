"""Outputs that share steps: the shared ones run once, and each output gets its own rows."""

from __future__ import annotations

import polars as pl

import riverrun as rr
from riverrun.sinks.memory import MemorySink

SCHEMA = {"ts": rr.Timestamp("s"), "x": pl.Float64, "y": pl.Float64}
ROWS = {"ts": [1, 2, 11, 3], "x": [1.0, -1.0, 3.0, 4.0], "y": [1.0, 1.0, None, 2.0]}


def cleaned() -> rr.Stream:
    trades = rr.read(ROWS, schema=SCHEMA, time="ts")
    return trades.drop_nulls(["x"]).filter(pl.col("x") > 0).with_columns(large=pl.col("x") > 2)


def test_a_branch_goes_on_from_a_shared_step():
    clean = cleaned()
    counts = clean.group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    all_rows, large, windows = MemorySink(), MemorySink(), MemorySink()
    rr.run(
        counts.write(windows),
        clean.filter(pl.col("large")).select("x").write(large),
        clean.select("x").write(all_rows),
    )
    assert windows.rows()["n"].to_list() == [1, 1]
    assert large.rows()["x"].to_list() == [3.0, 4.0]
    assert all_rows.rows()["x"].to_list() == [1.0, 3.0, 4.0]


def test_late_rows_beside_the_results_with_steps_before():
    counts = cleaned().group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    windows, late = MemorySink(), MemorySink()
    summary = rr.run(counts.write(windows), counts.late().write(late))
    assert windows.rows()["n"].to_list() == [1, 1]
    assert late.rows()["x"].to_list() == [4.0]
    (source,) = summary.sources
    assert (source.applied, source.late) == (3, 1)


def test_two_windows_over_one_cleaned_stream():
    clean = cleaned()
    short = clean.group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    long = clean.filter(pl.col("y").is_not_null()).group_by().window(rr.tumbling("1m")).agg(n=rr.count())
    first, second = MemorySink(), MemorySink()
    rr.run(short.write(first), long.write(second))
    assert first.rows()["n"].to_list() == [1, 1]
    assert second.rows()["n"].to_list() == [2]
