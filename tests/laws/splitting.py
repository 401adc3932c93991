"""The worst error of each statistic over random splits into batches and random orders of merging.

Run it to make the table of docs/accuracy.md again: ``python -m tests.laws.splitting``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import polars as pl

import riverrun as rr
from riverrun.stats.partial_frames import Partials
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.program import Program
from riverrun.stats.references import NO_REFERENCES
from tests.laws.exact import error, moments, pairs

AGGREGATES = {
    "mean": rr.mean("x"),
    "var": rr.var("x"),
    "std": rr.std("x"),
    "cov": rr.cov("x", "y"),
    "corr": rr.corr("x", "y"),
    "skew": rr.skew("x"),
    "kurtosis": rr.kurtosis("x"),
    "line": rr.regression("y", "x"),
    "autocorr": rr.autocorr("x"),
}
STATISTICS = [*(name for name in AGGREGATES if name != "line"), "slope", "intercept"]
BY = ["group"]


def split(count: int, chance: random.Random) -> list[tuple[int, int]]:
    """Bounds of batches, from one batch to one row each."""
    wanted = chance.choice([0, 1, 2, 5, 10, 50, count - 1])
    cuts = sorted(chance.sample(range(1, count), min(wanted, count - 1)))
    return list(zip([0, *cuts], [*cuts, count], strict=True))


def merged_anyhow(program: Program, parts: list[Partials], chance: random.Random) -> Partials:
    """Some of the parts are merged into one, again and again, until one is left."""
    while len(parts) > 1:
        chosen = sorted(chance.sample(range(len(parts)), chance.randint(2, len(parts))))
        merged = program.merge([parts[at] for at in chosen], BY)
        parts = [part for at, part in enumerate(parts) if at not in chosen] + [merged]
    return parts[0]


def worst_errors(xs: Sequence[float], ys: Sequence[float], *, trials: int, seed: int = 0) -> dict[str, float]:
    """The worst error of each statistic in so many trials."""
    chance = random.Random(seed)
    rows = pl.DataFrame({"group": ["a"] * len(xs), EVENT_TIME: range(len(xs)), "x": xs, "y": ys})
    program = Program(AGGREGATES, rows.schema)
    exact = dict(moments(xs, ys))
    exact["std"] = exact["var"]
    largest = max(map(abs, xs))
    steep = max(1.0, math.sqrt(moments(ys, ys)["var"] / exact["var"]))
    worst = dict.fromkeys(STATISTICS, 0.0)
    for _ in range(trials):
        parts, references = [], NO_REFERENCES
        for start, stop in split(len(xs), chance):
            # A batch goes on with the references of the one before, or, as after a restart, with its own.
            known = references if chance.random() < 0.7 else NO_REFERENCES
            part, references = program.of_rows(rows[start:stop], BY, known)
            parts.append(part)
        result = program.results(merged_anyhow(program, parts, chance), BY, pl.lit(0), pl.lit(1)).unnest("line")
        for name in worst:
            scale = largest * steep if name == "intercept" else largest
            worst[name] = max(worst[name], error(name, result[name].item(), exact[name], scale))
    return worst


def main() -> None:
    print(f"| data set | values | {' | '.join(STATISTICS)} |")
    print("|---|---|" + "---|" * len(STATISTICS))
    for name, (xs, ys) in pairs().items():
        worst = worst_errors(xs, ys, trials=50)
        print(f"| {name} | {len(xs)} | " + " | ".join(f"{worst[s]:.0e}" for s in STATISTICS) + " |")


if __name__ == "__main__":
    main()
