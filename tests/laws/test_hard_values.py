"""Hard values, wrong types and wrong arguments, for every aggregate."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.stats.aggregate import Aggregate
from tests.laws.hard_values import AGGREGATES, HARD, NAN, WANTED


def collected(frame: pl.DataFrame, aggregate: Aggregate) -> list[object]:
    return rr.read(frame).group_by().window(rr.tumbling("1w")).agg(v=aggregate).collect()["v"].to_list()


def text(value: object) -> str:
    """To 12 digits, so that NaN equals NaN and the last bits do not matter."""
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text(inner)}" for name, inner in value.items())
    return f"[{', '.join(map(text, value))}]" if isinstance(value, list) else repr(value)


@pytest.mark.parametrize("values", HARD)
@pytest.mark.parametrize("name", AGGREGATES)
def test_hard_values(name: str, values: str) -> None:
    xs = HARD[values]
    schema = {"x": pl.Float64, "y": pl.Float64}
    frame = pl.DataFrame({"x": xs, "y": [float(at + 1) for at in range(len(xs))]}, schema=schema)
    (got,) = collected(frame, AGGREGATES[name])
    assert text(got) == text(WANTED[name][values])


@pytest.mark.parametrize("name", AGGREGATES)
def test_no_value_gives_no_window(name: str) -> None:
    frame = pl.DataFrame(schema={"x": pl.Float64, "y": pl.Float64})
    assert collected(frame, AGGREGATES[name]) == []


ANYTHING = {"count", "null_count", "first", "last", "collect"}
WITHOUT_ORDER = {"n_unique", "n_unique_exact", "top_k", "mode", "min", "max"}


@pytest.mark.parametrize("name", sorted(set(AGGREGATES) - ANYTHING))
@pytest.mark.parametrize("dtype", [pl.String, pl.List(pl.Float64), pl.Datetime("us")], ids=str)
def test_wrong_types_are_refused_by_the_plan(name: str, dtype: pl.DataType) -> None:
    frame = pl.DataFrame(schema={"x": dtype, "y": pl.Float64})
    stats = rr.read(frame).group_by().window(rr.tumbling("1w")).agg(v=AGGREGATES[name])
    if name in WITHOUT_ORDER and dtype != pl.List(pl.Float64):
        assert stats.collect().height == 0
        return
    wanted = "needs values with" if name in WITHOUT_ORDER else "needs numbers, and this input is"
    with pytest.raises(rr.PlanError, match=wanted):
        stats.collect()


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(pl.Int64, [1, 2, 6]), (pl.UInt8, [1, 2, 6]), (pl.Decimal(10, 2), [1, 2, 6]), (pl.Float32, [1, 2, 6])],
    ids=str,
)
@pytest.mark.parametrize("name", AGGREGATES)
def test_other_numbers_give_what_doubles_give(name: str, dtype: pl.DataType, values: list[int]) -> None:
    doubles = pl.DataFrame({"x": [1.0, 2.0, 6.0], "y": [1.0, 2.0, 3.0]})
    (wanted,) = collected(doubles, AGGREGATES[name])
    (got,) = collected(doubles.with_columns(pl.Series("x", values).cast(dtype)), AGGREGATES[name])
    assert as_floats(got) == as_floats(wanted)


def as_floats(value: object) -> object:
    if isinstance(value, dict):
        return {name: as_floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_floats(inner) for inner in value]
    return None if value is None else pytest.approx(float(str(value)), rel=1e-12)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: rr.quantile("x", 1.5), "q must be from 0 to 1, got 1.5"),
        (lambda: rr.quantiles("x", []), "qs must be a list of shares"),
        (lambda: rr.quantiles("x", [0.5, 2]), "q must be from 0 to 1, got 2"),
        (lambda: rr.mad("x", error=0), "error must be from 0.0001 to 0.5"),
        (lambda: rr.top_k("x", 0), "k must be a whole number from 1 to 1000, got 0"),
        (lambda: rr.autocorr("x", 0), "lag must be a whole number from 1, got 0"),
        (lambda: rr.ewm_mean("x", "0s"), "half_life must be longer than nothing"),
        (lambda: rr.histogram("x", 10), "a number of bins needs the range that they share"),
        (lambda: rr.histogram("x", [1, 2], between=(0, 3)), "between= has no meaning"),
        (lambda: rr.histogram("x", [3, 2]), "bins must be rising, finite edges"),
        (lambda: rr.histogram("x", 5, between=(3, 3)), "bins must be rising, finite edges"),
        (lambda: rr.histogram("x", [0, NAN]), "bins must be rising, finite edges"),
        (lambda: rr.cov_matrix("x"), "columns must be a list, got 'x'"),
        (lambda: rr.corr_matrix(["x"]), "columns must be from 2 to 500, got 1"),
        (lambda: rr.mean(3), "an aggregate reads a column name or a Polars expression, got 3"),
    ],
)
def test_wrong_arguments_are_refused_at_once(made, said: str) -> None:
    with pytest.raises(rr.PlanError, match=said):
        made()
