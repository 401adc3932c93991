"""Hard values, wrong types and wrong arguments, for every aggregate."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import polars as pl
import pytest

import riverrun as rr
from riverrun.stats.aggregate import Aggregate
from tests.laws.hard_values import AGGREGATES, HARD, INF, NAN, WANTED


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


SECONDS = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(3)]


def in_every_window(values: list[object], dtype: pl.DataType, aggregate: Aggregate) -> dict[str, list[object]]:
    frame = pl.DataFrame({"t": SECONDS, "x": pl.Series(values, dtype=dtype)})
    groups = rr.read(frame, time="t").group_by()
    windows = {
        "tumbling": groups.window(rr.tumbling("1m")),
        "session": groups.window(rr.session("10s")),
        "counting": groups.window(rr.counting(3)),
        "rolling": groups.rolling("1m"),
        "running": groups.running(),
    }
    return {name: window.agg(v=aggregate).collect()["v"].to_list()[-1:] for name, window in windows.items()}


@pytest.mark.parametrize(
    ("dtype", "values", "wanted"),
    [
        (pl.Int8(), [127, -128, 0], 255),
        (pl.Boolean(), [True, False, None], 1),
        (pl.UInt64(), [2**64 - 1, 0, None], 2**64 - 1),
        (pl.Int64(), [2**63 - 1, -(2**63), 0], None),
        (pl.Int64(), [2**62, -(2**62) + 1, 0], 2**63 - 1),
        (pl.Int128(), [2**126, -(2**126), 0], None),
        (pl.Int128(), [2**126, 0, None], 2**126),
        (pl.Null(), [None, None, None], None),
    ],
    ids=str,
)
def test_distances_of_whole_numbers_never_wrap_round(dtype, values, wanted) -> None:
    for window, got in in_every_window(values, dtype, rr.range("x")).items():
        assert (window, got) == (window, [wanted])


def test_the_sum_of_a_column_without_a_type_is_that_of_nothing() -> None:
    for window, got in in_every_window([None, None, None], pl.Null(), rr.sum("x")).items():
        assert (window, got) == (window, [0.0])


#: Beyond 1.3e300, and numbers whose squares, third or fourth powers are too large or too small for doubles.
BEYOND = {
    "leave the range and come back": [1e308, 1e308, -1e308],
    "cancel": [1.7e308, -1.7e308, 0.0],
    "the same": [1.7e308, 1.7e308, 1.7e308],
    "infinite": [INF, INF, INF],
    "large squares": [1e160, 1e160, 1.1e160],
    "large fourth powers": [1e77, 2e77, -1e77],
    "small squares": [1e-160, 2e-160, 4e-160],
    "small third powers": [1e-120, 2e-120, 4e-120],
    "small fourth powers": [1e-100, 2e-100, 4e-100],
}


@pytest.mark.parametrize("values", BEYOND)
def test_what_doubles_cannot_hold_is_the_same_in_every_order_cut_and_window(values: str) -> None:
    ones = (rr.sum, rr.mean, rr.var, rr.std, rr.sem, rr.skew, rr.kurtosis)
    aggregates = {function.__name__: function("x") for function in ones} | {
        "r": rr.corr("x", "y"),
        "line": rr.regression("y", "x"),
        "weighted": rr.weighted_mean("x", "w"),
        "covariances": rr.cov_matrix(["x", "y"]),
        "correlations": rr.corr_matrix(["x", "y"]),
    }
    rows = list(zip(BEYOND[values], [3.0, 1.0, 4.0], strict=True))
    orders = [(at, list(order)) for at, order in enumerate(permutations(rows))]
    events = [(second, key, *order[at], 1.0) for at, second in enumerate(SECONDS) for key, order in orders]
    frame = pl.DataFrame(events, schema=["t", "k", "x", "y", "w"], orient="row")
    grouped = rr.read(frame, time="t").group_by("k")
    kinds = (
        grouped.window(rr.tumbling("1m")),
        grouped.window(rr.hopping("4s", "1s")),
        grouped.window(rr.session("10s"), lateness="1d"),
        grouped.rolling("1m"),
        grouped.running(),
    )
    found: dict[str, set[str]] = {name: set() for name in aggregates}
    for window in kinds:
        results = window.agg(n=rr.count(), **aggregates).collect().filter(n=3)
        assert results["k"].n_unique() == len(orders)
        for name in aggregates:
            found[name].update(map(text, results[name].to_list()))
    assert {name: got for name, got in found.items() if len(got) > 1} == {}


@pytest.mark.parametrize("values", BEYOND)
def test_decayed_means_of_what_doubles_cannot_hold_are_the_same_in_every_window(values: str) -> None:
    frame = pl.DataFrame({"t": SECONDS, "x": BEYOND[values]})
    rows = rr.read(frame, time="t").group_by()
    windows = (
        rows.window(rr.tumbling("1m")),
        rows.rolling("1m"),
        rows.running(),
        rows.window(rr.session("10s")),
    )
    aggregates = {"n": rr.count(), "mean": rr.ewm_mean("x", "3s"), "sd": rr.ewm_std("x", "3s")}
    results = [window.agg(**aggregates).collect().filter(n=3).select("mean", "sd").row(0) for window in windows]
    for found in results[1:]:
        assert found == pytest.approx(results[0], rel=1e-12, nan_ok=True)


AFTER = {
    "-inf": [1.0, -float("inf"), 0.0],
    "inf and nan": [NAN, float("inf"), 2.0],
    "inf that is gone": [float("inf"), 1.0, 2.0],
    "null": [None, float("inf"), None],
}
#: These tell of the length of the window, too.
OF_THE_WINDOW = {"rate"}


@pytest.mark.parametrize("values", AFTER)
@pytest.mark.parametrize("name", sorted(set(AGGREGATES) - OF_THE_WINDOW))
def test_a_window_that_moves_tells_what_its_rows_tell_alone(name: str, values: str) -> None:
    """The second and the third row are in different blocks of the windows: they are merged of two pieces."""
    schema = {"t": pl.Datetime("us", "UTC"), "x": pl.Float64, "y": pl.Float64}
    frame = pl.DataFrame({"t": SECONDS, "x": AFTER[values], "y": [1.0, 2.0, 3.0]}, schema=schema)
    moving = rr.read(frame, time="t").group_by().rolling("2s").agg(v=AGGREGATES[name], third=rr.skew("y"))
    alone = rr.read(frame.tail(2), time="t").group_by().window(rr.tumbling("1w")).agg(v=AGGREGATES[name])
    assert text(moving.collect()["v"][-1:].to_list()) == text(alone.collect()["v"].to_list())
