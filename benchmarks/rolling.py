"""Mean and deviation of the time before each row, beside Polars' own, and how far both are off on hard series.

Polars adds what comes and takes away what goes, in doubles. The ratio is of the same rows in the same run,
interleaved: 1.0 is as fast.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial

import polars as pl

import riverrun as rr
from benchmarks.throughput import timed
from tests.laws.exact import DATA

ROWS = 1_000_000
STEP_US = 1_000
#: Rows of a key in a window.
WINDOWS = (10, 1_000, 100_000)
KEYS = (0, 100, 10_000)


def rows(keys: int) -> pl.DataFrame:
    """Values around 100; the keys come in any order."""
    chance = random.Random(1)
    times = (pl.int_range(ROWS, eager=True) * STEP_US).cast(pl.Datetime("us"))
    return pl.DataFrame(
        {
            "t": times,
            "k": [chance.randrange(keys or 1) for _ in range(ROWS)],
            "x": [chance.gauss(100, 3) for _ in range(ROWS)],
        }
    )


def polars_answer(frame: pl.DataFrame, period: str, *, keyed: bool) -> pl.DataFrame:
    mean, deviation = pl.col("x").rolling_mean_by("t", period), pl.col("x").rolling_std_by("t", period, ddof=0)
    if keyed:
        mean, deviation = mean.over("k"), deviation.over("k")
    return frame.with_columns(mean.alias("m"), deviation.alias("sd"))


def own_answer(frame: pl.DataFrame, period: str, *, keyed: bool) -> pl.DataFrame:
    grouped = rr.read(frame, time="t").group_by(*(["k"] if keyed else []))
    return grouped.rolling(period).agg(m=rr.mean("x"), sd=rr.std("x")).collect()


def measure(rounds: int = 3) -> dict[str, float]:
    """Speed as a ratio to Polars by keys and length, medians of interleaved rounds; and errors."""
    found: dict[str, float] = {}
    for keys in KEYS:
        frame = rows(keys)
        for length in WINDOWS:
            period = f"{length * max(keys, 1) * STEP_US}us"
            answers = [partial(answer, frame, period, keyed=keys > 0) for answer in (polars_answer, own_answer)]
            runs = [[timed(answer) for answer in answers] for _ in range(rounds)]
            name = f"{keys}_keys_{length}_rows"
            found[f"ratio_{name}"] = statistics.median(theirs.wall_s / own.wall_s for theirs, own in runs)
            found[f"cpu_ratio_{name}"] = statistics.median(theirs.cpu_s / own.cpu_s for theirs, own in runs)
            found[f"rows_a_second_{name}"] = statistics.median(ROWS / own.wall_s for _, own in runs)
    return found | errors()


def errors() -> dict[str, float]:
    """The worst relative error of the deviation over all windows of each series that is hard for updates."""
    answers: Mapping[str, Callable[..., pl.DataFrame]] = {"polars": polars_answer, "riverrun": own_answer}
    found = {}
    for item in json.loads((DATA / "rolling_stress.json").read_text()):
        values, held = [float(text) for text in item["values"]], int(item["window"])
        times = (pl.int_range(len(values), eager=True) * STEP_US).cast(pl.Datetime("us"))
        frame = pl.DataFrame({"t": times, "x": values})
        for name, answer in answers.items():
            got = answer(frame, f"{held * STEP_US}us", keyed=False)["sd"].to_list()
            off = (_error(got[at], values[at + 1 - held : at + 1]) for at in range(held - 1, len(values)))
            found[f"worst_error_{item['name']}_{name}"] = max(off)
    return found


def _error(got: float, values: list[float]) -> float:
    """Half the relative error of the square, which is that of the root."""
    held = [Fraction(value) for value in values]
    mean = sum(held, Fraction(0)) / len(held)
    exact = sum(((value - mean) ** 2 for value in held), Fraction(0)) / len(held)
    if not math.isfinite(got) or exact == 0:
        return 0.0 if got == exact else math.inf
    return float(abs(Fraction(got) ** 2 - exact) / exact / 2)
