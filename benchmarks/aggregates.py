"""What each aggregate costs, in CPU time beside the mean and in bytes for a group, and its worst error.

python -m benchmarks.aggregates      writes benchmarks/figures/aggregates.json, which the reference pages show
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

import riverrun as rr
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES
from tests.laws.exact import pairs
from tests.laws.splitting import STATISTICS, worst_errors

TARGET = Path(__file__).parent / "figures" / "aggregates.json"

ROWS, KEYS, BATCH = 500_000, 100, 50_000
COLUMNS = ["x", "y", "z"]

#: One call of each.
CALLS: Mapping[str, rr.Aggregate] = {
    "count": rr.count(),
    "null_count": rr.null_count("x"),
    "sum": rr.sum("x"),
    "rate": rr.rate(),
    "weighted_mean": rr.weighted_mean("x", "y"),
    "mean": rr.mean("x"),
    "var": rr.var("x"),
    "std": rr.std("x"),
    "sem": rr.sem("x"),
    "skew": rr.skew("x"),
    "kurtosis": rr.kurtosis("x"),
    "geometric_mean": rr.geometric_mean("x"),
    "cov": rr.cov("x", "y"),
    "corr": rr.corr("x", "y"),
    "regression": rr.regression("y", "x"),
    "autocorr": rr.autocorr("x"),
    "first": rr.first("x"),
    "last": rr.last("x"),
    "ohlc": rr.ohlc("x"),
    "collect": rr.collect("x"),
    "min": rr.min("x"),
    "max": rr.max("x"),
    "range": rr.range("x"),
    "quantile": rr.quantile("x", 0.99),
    "quantiles": rr.quantiles("x", [0.5, 0.9, 0.99]),
    "median": rr.median("x"),
    "iqr": rr.iqr("x"),
    "mad": rr.mad("x"),
    "histogram": rr.histogram("x", 20, between=(0, 200)),
    "n_unique": rr.n_unique("id"),
    "n_unique_exact": rr.n_unique_exact("id"),
    "top_k": rr.top_k("id", 10),
    "mode": rr.mode("id"),
    "ewm_mean": rr.ewm_mean("x", "10s"),
    "ewm_std": rr.ewm_std("x", "10s"),
    "cov_matrix": rr.cov_matrix(COLUMNS),
    "corr_matrix": rr.corr_matrix(COLUMNS),
}

#: What `worst_errors` calls the results of other names.
MEASURED_AS = {"regression": "slope"}


def rows() -> pl.DataFrame:
    """Unsorted keys, prices around 100, and 5,000 different ids of uneven frequency."""
    chance = random.Random(1)
    number = pl.int_range(ROWS, eager=True)
    noise = pl.Series([chance.gauss(0, 1) for _ in range(ROWS)])
    other = noise.shuffle(seed=2)
    return pl.DataFrame(
        {
            "key": "key" + (number * 7919 % KEYS).cast(pl.String),
            EVENT_TIME: number * 100,
            "x": 100 + 10 * noise,
            "y": 5 + other.abs(),
            "z": noise + other,
            "id": (noise.shuffle(seed=3).abs() * 1500).cast(pl.Int64),
        }
    )


def run(program: Program, batches: list[pl.DataFrame]) -> tuple[float, float]:
    """CPU seconds, and bytes of merged state for a group."""
    began, references, parts = time.process_time(), NO_REFERENCES, []
    for batch in batches:
        made, references = program.of_rows(batch, ["key"], references)
        parts.append(made)
    merged = program.merge(parts, ["key"])
    program.results(merged, ["key"], pl.lit(0), pl.lit(1_000_000))
    seconds = time.process_time() - began
    size = sum(frame.estimated_size() for frame in (merged.wide, *merged.long.values()))
    return seconds, size / KEYS


def costs(rounds: int = 3) -> dict[str, dict[str, float]]:
    """Medians of CPU time beside that of the mean, which is run before each."""
    frame = rows()
    batches = [frame[at : at + BATCH] for at in range(0, ROWS, BATCH)]
    programs = {name: Program({"v": call}, frame.schema) for name, call in CALLS.items()}
    found = {}
    for name, program in programs.items():
        pairs_of_runs = [(run(programs["mean"], batches)[0], run(program, batches)) for _ in range(rounds)]
        found[name] = {
            "times_mean": statistics.median(own / mean for mean, (own, _) in pairs_of_runs),
            "bytes_per_group": pairs_of_runs[0][1][1],
        }
    return found


def errors(trials: int = 20) -> dict[str, float]:
    """The worst error of each statistic over all reference data, random splits and orders of merging."""
    worst = dict.fromkeys(STATISTICS, 0.0)
    for xs, ys in pairs().values():
        for name, value in worst_errors(xs, ys, trials=trials).items():
            worst[name] = max(worst[name], value)
    return worst


def rounded(value: float) -> float:
    return float(f"{value:.2g}")


def main(measure: Callable[[], dict[str, dict[str, float]]] = costs) -> None:
    found, worst = measure(), errors()
    for name, figures in found.items():
        measured = MEASURED_AS.get(name, name)
        if measured in worst:
            figures["worst_error"] = worst[measured]
    table = {name: {key: rounded(value) for key, value in figures.items()} for name, figures in found.items()}
    TARGET.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(figures)}" for name, figures in table.items())
    TARGET.write_text(f"{{\n{lines}\n}}\n")
    print(TARGET.read_text())


if __name__ == "__main__":
    main()
