"""What a key costs in memory: the state of a window of five moments with a million keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

import polars as pl

from benchmarks.feed import SCHEMA, rows
from benchmarks.throughput import pipeline
from riverrun.kernel.fixed_windows import FixedState, FixedWindows
from riverrun.kernel.flow import flow_of
from riverrun.plan.nodes import sources_of
from riverrun.runtime.engine import Engine
from riverrun.runtime.memory import resident_bytes
from riverrun.schema import Schema
from riverrun.stats.references import NO_REFERENCES
from riverrun.windows.assign import PANE

BATCH_ROWS = 100_000
ROWS_PER_KEY = 6


def measure(keys: int = 1_000_000) -> dict[str, float]:
    """Bytes for each key and pane: once merged, as the state stands, and what the process has taken for it."""
    command = [sys.executable, "-m", "benchmarks.memory", str(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    made: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return made


def _run(keys: int) -> dict[str, float]:
    output = pipeline(1, "csv").write("memory:")
    (read,) = sources_of(output.node)
    engine = Engine(flow_of([output], {read: Schema.of(SCHEMA)}, partitioned=lambda _: False))
    operator = engine.flow.steps[1].operator
    assert isinstance(operator, FixedWindows)
    # All in one pane, a window of ten seconds.
    count = ROWS_PER_KEY * keys
    frame = rows(count, keys, rows_per_ms=count // 9_000).with_columns(pl.col("ts").cast(pl.Datetime("ms")))
    before = resident_bytes()
    for at in range(0, frame.height, BATCH_ROWS):
        engine.feed(read, frame[at : at + BATCH_ROWS], 0)
    taken = resident_bytes() - before
    state: FixedState = engine.states[1]
    held = [item.rows for item in state.buffer] + [run.partials.wide for run in state.panes.items]
    by = [PANE, *operator.frame.keys]
    made, _ = operator.program.of_rows(
        operator.frame.ready(frame).with_columns(pl.lit(0).alias(PANE)), by, NO_REFERENCES
    )
    merged = operator.program.merge([made, made], by)
    return {
        "keys": merged.rows,
        "rows": count,
        "merged_bytes": _size([merged.wide]) / merged.rows,
        "held_bytes": _size(held) / merged.rows,
        "resident_bytes": taken / merged.rows,
    }


def _size(frames: Iterable[pl.DataFrame]) -> int:
    return sum(int(frame.estimated_size()) for frame in frames)


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]))))
