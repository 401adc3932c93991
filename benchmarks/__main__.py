"""``make bench``: every measurement, printed as a table and written to ``benchmarks/results/latest.json``.

Ratios are against one-shot Polars in the same run, interleaved, the faster of its two engines: 1.0 is as fast.
Single ones: ``python -m benchmarks csv latency``; ``--help`` lists them.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

import riverrun as rr
from benchmarks import (
    acks,
    dirty,
    durable,
    latency,
    memory,
    recover,
    rolling,
    scale,
    startup,
    state,
    steps,
    throughput,
)

Measurement = Callable[[], Mapping[str, float]]

MEASUREMENTS: Mapping[str, tuple[str, Measurement]] = {
    "csv": ("CSV over loopback TCP, 100 keys, 10 s windows", lambda: throughput.measure("csv", 10_000_000)),
    "json": ("JSON lines, the same job", lambda: throughput.measure("json", 4_000_000)),
    "keys": ("CSV, 1,000,000 keys", lambda: throughput.measure("csv", 6_000_000, 1_000_000, 3, 1_000)),
    "dirty": ("decoding CSV with 1 % bad records, against clean", dirty.measure),
    "durable": ("CSV, 100 keys, state kept", lambda: durable.measure(12_000_000)),
    "quantiles": (
        "CSV, a quantile beside the five moments",
        lambda: throughput.measure_with({"p99": rr.quantile("price", 0.99)}, 4_000_000),
    ),
    "distinct": (
        "CSV, a distinct count beside the five moments",
        lambda: throughput.measure_with({"different": rr.n_unique("price")}, 4_000_000),
    ),
    "hopping": (
        "CSV, windows of 60 s every second beside windows of 60 s",
        lambda: throughput.measure_hopping(4_000_000),
    ),
    "matrix": ("correlations of 50 columns, windows of 10,000 rows, against NumPy", steps.matrix),
    "asof": ("the newest quote at each trade, against join_asof of Polars", steps.asof),
    "session": ("sessions of 2,000 keys, against a sort and a group_by of Polars", steps.sessions),
    "unique": ("rows without repetitions, against unique of Polars", steps.unique),
    "memory": ("bytes a key and pane, five moments of 1,000,000 keys", memory.measure),
    "latency": ("latency at 100,000 rows/s", lambda: latency.measure(100_000, 10)),
    "durable_latency": ("latency at 100,000 rows/s, state kept", latency.measure_durable),
    "latency_10k": ("latency at 10,000 rows/s", lambda: latency.measure(10_000, 10)),
    "scale": ("ten times the rows", scale.measure),
    "engine_acks": ("64 producers, each waiting for its own acknowledgment of 1 kB", acks.measure),
    "engine_recover": ("a start after a crash, to the first new acknowledgment", recover.measure),
    "rolling": ("mean and deviation of the time before each row, as a ratio to Polars", rolling.measure),
    "startup": ("start", startup.measure),
    "commit": ("durable: 1 MiB on the disk, beside the bare disk and one SQLite file", state.measure_commit),
    "recover": ("durable: start with 100 MiB of state and 64 MiB of journal", state.measure_recover),
    "acks": ("durable: 64 producers that wait for each acknowledgment", state.measure_acks),
}


def main(chosen: list[str]) -> None:
    if {"-h", "--help"} & set(chosen):
        print("python -m benchmarks [NAME ...]\n\nMeasures everything, or what is named:\n")
        print("\n".join(f"  {name:16}{title}" for name, (title, _) in MEASUREMENTS.items()))
        return
    unknown = [name for name in chosen if name not in MEASUREMENTS]
    if unknown:
        sys.exit(f"there is no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}")
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "load_before": os.getloadavg()[0],
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    results = {}
    for name in chosen or MEASUREMENTS:
        title, measure = MEASUREMENTS[name]
        print(f"\n{title}", flush=True)
        results[name] = dict(measure())
        for key, value in results[name].items():
            print(f"  {key:34} {_shown(value)}", flush=True)
    target = Path(__file__).parent / "results" / "latest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    print(
        f"\nwritten to {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target.name}"
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3f}" if abs(value) >= 1e-3 else f"{value:.1e}"


if __name__ == "__main__":
    main(sys.argv[1:])
