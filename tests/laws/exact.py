"""Statistics of doubles in exact rational arithmetic, and the reference data of tests/data/numerics."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "numerics"

Pair = tuple[Sequence[float], Sequence[float]]


def read_json(name: str) -> object:
    return json.loads((DATA / name).read_text())


def series() -> dict[str, list[float]]:
    """Every series of the reference data, and some made to break running updates."""
    made: dict[str, list[float]] = {}
    for item in json.loads((DATA / "nist_certified.json").read_text())["datasets"]:
        made[f"NIST {item['name']}"] = [float(text) for text in (DATA / item["file"]).read_text().split()]
    for item in json.loads((DATA / "rolling_stress.json").read_text()):
        made[f"stress {item['name']}"] = [float(text) for text in item["values"]]
    made["1e9 + {4, 7, 13, 16}"] = [1e9 + value for value in (4, 7, 13, 16)] * 25
    made["1e12 + {4, 7, 13, 16}"] = [1e12 + value for value in (4, 7, 13, 16)] * 25
    return made


def pairs() -> dict[str, Pair]:
    """Pairs of columns: those of the references, and every series beside another of its size."""
    norris = json.loads((DATA / "norris.json").read_text())
    swiss = json.loads((DATA / "swiss_correlation.json").read_text())
    columns = list(zip(*([float(text) for text in row] for row in swiss["rows"]), strict=True))
    made: dict[str, Pair] = {
        "NIST Norris": ([float(t) for t in norris["x"]], [float(t) for t in norris["y"]]),
        "swiss fertility, education": (columns[0], columns[3]),
        "swiss examination, catholic": (columns[2], columns[4]),
    }
    for name, values in series().items():
        made[name] = (values, [value * 0.5 + (at * 7 % 13) for at, value in enumerate(values)])
    return made


def moments(xs: Sequence[float], ys: Sequence[float]) -> Mapping[str, Fraction]:
    """Exactly; of the correlation its square, of the skewness its square with its sign."""
    fx, fy = [Fraction(x) for x in xs], [Fraction(y) for y in ys]
    n = len(fx)
    mx, my = total(fx) / n, total(fy) / n
    off = [x - mx for x in fx]
    sxx, m3, m4 = (total([x**power for x in off]) for power in (2, 3, 4))
    syy = total([(y - my) ** 2 for y in fy])
    sxy = total([x * (y - my) for x, y in zip(off, fy, strict=True)])
    return {
        "mean": mx,
        "var": sxx / n,
        "cov": sxy / n,
        "corr": sxy * sxy / (sxx * syy),
        "skew": n * m3 * abs(m3) / sxx**3,
        "kurtosis": n * m4 / sxx**2,
        "slope": sxy / sxx,
        "intercept": my - sxy / sxx * mx,
        "autocorr": total([a * b for a, b in itertools.pairwise(off)]) / sxx,
    }


def total(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0))


def error(name: str, got: float, exact: Fraction, largest: float) -> float:
    """Relative to the exact value; of what may cancel (mean, intercept) to the largest value."""
    if name == "mean":
        return float(abs(Fraction(got) - exact) / Fraction(largest))
    if name in ("std", "corr"):
        # Of a root half the relative error of its square.
        return float(abs(Fraction(got) ** 2 - exact) / exact / 2)
    if name == "skew":
        # Relative, but of 1 where it is less: what is symmetric has none.
        root = math.copysign(math.sqrt(abs(exact)), exact)
        return abs(got - root) / max(1.0, abs(root))
    if name == "kurtosis":
        return float(abs(Fraction(got) + 3 - exact) / exact)
    if name == "intercept":
        return float(abs(Fraction(got) - exact) / Fraction(max(1.0, largest)))
    if name == "autocorr":
        return float(abs(Fraction(got) - exact))
    if exact == 0:
        return 0.0 if got == 0 else math.inf
    return float(abs((Fraction(got) - exact) / exact))
