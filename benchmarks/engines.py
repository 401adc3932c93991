"""What engines compute on hard values, against exact rational arithmetic: the table of docs/which-engine.md.

    pip install riverrun[all] river duckdb pandas
    python -m benchmarks.engines

Each engine is asked in the way that its documentation shows for this question. The error is relative to the
exact value of the doubles; of a covariance or correlation, to σₓσᵧ or 1.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

import riverrun as rr

DATA = Path(__file__).parents[1] / "tests" / "data" / "numerics"
WINDOW = 20

Values = Sequence[float]
Answer = Callable[[Values, Values], float]


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its exact answer. The error is relative to `scale`."""

    title: str
    kind: str
    x: Values
    y: Values
    exact: Fraction
    scale: float


def cases() -> list[Case]:
    chance = random.Random(1)
    offset = [1e9 + value for value in (4, 7, 13, 16)] * 25
    accurate = [float(text) for text in (DATA / "nist" / "NumAcc3.txt").read_text().split()]
    large = [1e9 + chance.gauss(0, 1e-3) for _ in range(400)]
    beside = [2e9 + chance.gauss(0, 1e-3) + (x - 1e9) for x in large]
    spike = [chance.gauss(10, 1) for _ in range(400)]
    spike[200] = 1e14
    ticks = [float(at % 7) for at in range(len(offset))]
    return [
        _variance("variance of 10⁹ + {4, 7, 13, 16}", "var", offset),
        _variance("variance of NIST NumAcc3 (10⁶, steps of 0.1)", "var", accurate),
        _variance("variance of 10⁹ ± 0.001", "var", large),
        _covariance("covariance of 10⁹ + {4, 7, 13, 16} with small numbers", "cov", offset, ticks),
        _covariance("covariance of 10⁹ ± 0.001 with 2·10⁹ ± 0.001", "cov", large, beside),
        _covariance("correlation of the same", "corr", large, beside),
        _variance(f"variance of the last {WINDOW} values, 179 after a spike of 10¹⁴", "rolling", spike),
        _variance(f"variance of the last {WINDOW} of 10⁹ ± 0.001", "rolling", large),
    ]


def _variance(title: str, kind: str, x: Values) -> Case:
    held = x[-WINDOW:] if kind == "rolling" else x
    exact = _comoment(held, held)
    return Case(title, kind, x, x, exact, float(exact))


def _covariance(title: str, kind: str, x: Values, y: Values) -> Case:
    exact, scale = _comoment(x, y), math.sqrt(_comoment(x, x) * _comoment(y, y))
    if kind == "corr":
        return Case(title, kind, x, y, Fraction(float(exact) / scale), 1.0)
    return Case(title, kind, x, y, exact, scale)


def _comoment(x: Values, y: Values) -> Fraction:
    fx, fy = [Fraction(value) for value in x], [Fraction(value) for value in y]
    zero = Fraction(0)
    mx, my = sum(fx, zero) / len(fx), sum(fy, zero) / len(fy)
    return sum(((a - mx) * (b - my) for a, b in zip(fx, fy, strict=True)), zero) / len(fx)


# --- the engines: all population formulas --------------------------------------------------------


def riverrun_engine() -> Mapping[str, Answer]:
    def asked(aggregate: rr.Aggregate, rolling: bool = False) -> Answer:
        window = rr.hopping(f"{WINDOW}s", "1s") if rolling else rr.tumbling("1w")

        def answer(x: Values, y: Values) -> float:
            rows = pl.DataFrame({"t": range(len(x)), "x": x, "y": y})
            frames = [rows[at : at + 7] for at in range(0, rows.height, 7)]
            feed = rr.read(iter(frames), schema=dict(rows.schema) | {"t": rr.Timestamp("s")}, time="t")
            stats = feed.group_by().window(window).agg(v=aggregate, n=rr.count()).collect()
            return float(stats.filter(pl.col("n") == (WINDOW if rolling else len(x)))["v"][-1])

        return answer

    return {
        "var": asked(rr.var("x")),
        "cov": asked(rr.cov("x", "y")),
        "corr": asked(rr.corr("x", "y")),
        "rolling": asked(rr.var("x"), rolling=True),
    }


def polars_engine() -> Mapping[str, Answer]:
    def of(expr: pl.Expr) -> Answer:
        return lambda x, y: float(pl.DataFrame({"x": x, "y": y}).select(expr.last()).item())

    x, y = pl.col("x"), pl.col("y")
    return {
        "var": of(x.var(ddof=0)),
        "cov": of(pl.cov(x, y, ddof=0)),
        "corr": of(pl.corr(x, y)),
        "rolling": of(x.rolling_var(WINDOW, ddof=0)),
    }


def pandas_engine() -> Mapping[str, Answer]:
    import pandas as pd

    return {
        "var": lambda x, _: float(pd.Series(x).var(ddof=0)),
        "cov": lambda x, y: float(pd.Series(x).cov(pd.Series(y), ddof=0)),
        "corr": lambda x, y: float(pd.Series(x).corr(pd.Series(y))),
        "rolling": lambda x, _: float(pd.Series(x).rolling(WINDOW).var(ddof=0).iloc[-1]),
    }


def river_engine() -> Mapping[str, Answer]:
    stats, utils = importlib.import_module("river.stats"), importlib.import_module("river.utils")

    def one(make: Callable[[], Any], bivariate: bool) -> Answer:
        def answer(x: Values, y: Values) -> float:
            made = make()
            for a, b in zip(x, y, strict=True):
                made.update(a, b) if bivariate else made.update(a)
            return float(made.get())

        return answer

    return {
        "var": one(lambda: stats.Var(ddof=0), bivariate=False),
        "cov": one(lambda: stats.Cov(ddof=0), bivariate=True),
        "corr": one(lambda: stats.PearsonCorr(ddof=0), bivariate=True),
        "rolling": one(lambda: utils.Rolling(stats.Var(ddof=0), window_size=WINDOW), bivariate=False),
    }


def duckdb_engine() -> Mapping[str, Answer]:
    import duckdb

    def of(expression: str) -> Answer:
        def answer(x: Values, y: Values) -> float:
            rows = pl.DataFrame({"t": range(len(x)), "x": x, "y": y})
            with duckdb.connect() as connection:
                connection.register("rows", rows.to_arrow())
                found = connection.execute(f"select {expression} as v from rows order by t desc").fetchone()
            assert found is not None
            return float(found[0])

        return answer

    whole = "over (rows between unbounded preceding and unbounded following)"
    return {
        "var": of(f"var_pop(x) {whole}"),
        "cov": of(f"covar_pop(x, y) {whole}"),
        "corr": of(f"corr(x, y) {whole}"),
        "rolling": of(f"var_pop(x) over (order by t rows between {WINDOW - 1} preceding and current row)"),
    }


def sums_engine() -> Mapping[str, Answer]:
    """What is left to those whose engine has only sums: n, Σx, Σx², Σxy, added and taken away again."""

    def cov(x: Values, y: Values) -> float:
        n = len(x)
        sxy = sum(a * b for a, b in zip(x, y, strict=True))
        return sxy / n - sum(x) / n * (sum(y) / n)

    def rolling(x: Values, _: Values) -> float:
        s = q = 0.0
        for at, value in enumerate(x):
            s, q = s + value, q + value * value
            if at >= WINDOW:
                s, q = s - x[at - WINDOW], q - x[at - WINDOW] ** 2
        return q / WINDOW - (s / WINDOW) ** 2

    def corr(x: Values, y: Values) -> float:
        both = cov(x, x) * cov(y, y)
        return cov(x, y) / math.sqrt(both) if both > 0 else math.nan

    return {"var": cov, "cov": cov, "corr": corr, "rolling": rolling}


ENGINES: Mapping[str, Callable[[], Mapping[str, Answer]]] = {
    "riverrun": riverrun_engine,
    "polars": polars_engine,
    "pandas": pandas_engine,
    "duckdb": duckdb_engine,
    "river": river_engine,
    "sums": sums_engine,
}


def shown(got: float, case: Case) -> str:
    if not math.isfinite(got):
        return "none"
    error = float(abs(Fraction(got) - case.exact)) / case.scale
    if error < 1e-16:
        return "exact"
    return f"{error:.0e}" if error < 0.01 else f"{error * 100:,.0f} %" if error < 100 else f"{error:,.0f} times"


def version(name: str) -> str:
    return "" if name in ("riverrun", "sums") else f" {importlib.metadata.version(name)}"


def main() -> None:
    engines = {name: engine() for name, engine in ENGINES.items()}
    print("| question | " + " | ".join(f"{name}{version(name)}" for name in engines) + " |")
    print("|---|" + "---|" * len(engines))
    for case in cases():
        found = [shown(answers[case.kind](case.x, case.y), case) for answers in engines.values()]
        print(f"| {case.title} | " + " | ".join(found) + " |")


if __name__ == "__main__":
    main()
