"""Limits hold among a million rows: one wrong clock, more keys than there is room for."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

import riverrun as rr
from riverrun.runtime.memory import resident_bytes
from riverrun.sinks.memory import MemorySink
from riverrun.testing import malformed, play, rows

SOAK = os.environ.get("RIVERRUN_SOAK") == "1"
NOW_S = 1_767_225_600  # where the clock of a script stands
MIB = 1024 * 1024


def test_one_row_of_the_year_9999_among_a_million() -> None:
    feed = rr.read(
        "tcp://localhost:9",
        format=rr.Csv(header=False),
        schema={"t": rr.Timestamp("s"), "x": pl.Int64},
        time="t",
        limits=rr.Limits(future="1h"),
    )
    counted = feed.group_by().window(rr.tumbling("10s")).agg(n=rr.count(), total=rr.sum("x"))
    lines = [b"%d,%d\n" % (NOW_S + n // 1_000, n) for n in range(1_000_000)]
    lines[500_123] = b"253402300799,7\n"
    blocks = [b"".join(lines[at : at + 100_000]) for at in range(0, len(lines), 100_000)]
    seen = play(counted, [*map(malformed, blocks), rows((NOW_S + 1_000, 0))])
    assert (seen.reasons, seen.counts.applied, seen.counts.late) == (["future"], 1_000_000, 0)
    windows = seen.results.select("n", "total").rows()
    expected = [(10_000, sum(range(at, at + 10_000))) for at in range(0, 1_000_000, 10_000)]
    expected[50] = (9_999, expected[50][1] - 500_123)
    assert windows == expected


def _counts_of_keys(path: Path, rows: int, keys: int) -> tuple[pl.DataFrame, int]:
    """Count a file of so many rows and distinct keys; the counts, and the most memory held meanwhile."""
    with path.open("wb") as file:
        for first in range(0, rows, 10_000):
            file.write(b"".join(b"%d,key-%d\n" % (NOW_S, n % keys) for n in range(first, first + 10_000)))
    feed = rr.read(
        f"file:{path}",
        format=rr.Csv(header=False),
        schema={"t": rr.Timestamp("s"), "key": pl.String},
        time="t",
    )
    held: list[int] = [resident_bytes()]
    sink = MemorySink()
    counted = feed.group_by("key").window(rr.tumbling("1h")).agg(n=rr.count())
    rr.run(counted.write(sink), watcher=lambda health: held.append(health.memory_bytes))
    return sink.rows(), max(held)


def test_far_more_keys_than_the_limit(tmp_path: Path) -> None:
    keys = 10_000_000 if SOAK else 1_000_000
    # The baseline: as many rows, and as many keys as there is room for.
    full, baseline = _counts_of_keys(tmp_path / "full.csv", keys, 100_000)
    assert (full.height, int(full["n"].sum())) == (100_000, keys)
    counts, most = _counts_of_keys(tmp_path / "many.csv", keys, keys)
    assert (counts.height, int(counts["n"].sum())) == (100_001, keys)
    assert counts.filter(pl.col("key") == "__other__")["n"].item() == keys - 100_000
    assert most - baseline <= 200 * MIB
