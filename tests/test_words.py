"""Expressions are shown as people write them, and as Polars prints them where that is not sure."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from riverrun.words import shown

x, y, ok = pl.col("x"), pl.col("y"), pl.col("ok")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (x, "x"),
        (x > 0, "x > 0"),
        (x >= -1.5, "x >= -1.5"),
        ((x * 2).alias("y"), "y = x * 2"),
        ((x + y) * 2, "(x + y) * 2"),
        (x + y * 2, "x + y * 2"),
        (x - (y - 1), "x - (y - 1)"),
        (x - y - 1, "x - y - 1"),
        (x / y // 2 % 3, "x / y // 2 % 3"),
        (-x, "-x"),
        (-(x + 1), "-(x + 1)"),
        (x**2, "x ** 2"),
        ((-x) ** 2, "(-x) ** 2"),
        ((x > 0) & (y != 1), "x > 0 and y != 1"),
        ((x > 0) & ((y < 1) | (y > 9)), "x > 0 and (y < 1 or y > 9)"),
        ((x > 0) | ((y < 1) & (y > 9)), "x > 0 or y < 1 and y > 9"),
        (~(x == "a"), 'not x == "a"'),
        (~((x > 0) & (y > 0)), "not (x > 0 and y > 0)"),
        (x & y, "x & y"),
        ((x > 0) & ok, "(x > 0) & ok"),
        (x.is_null(), "x is null"),
        ((x + 1).is_not_null() & (y > 0), "x + 1 is not null and y > 0"),
        (x.is_in(["a", "b"]), 'x in ["a", "b"]'),
        (x.is_in(list(range(100))), "x in [0, 1, … 99]"),
        (x.is_between(1, 2), "x.is_between(1, 2)"),
        (x.eq_missing(y), "x is y"),
        (x.fill_null(0), "x.fill_null(0)"),
        ((x + 1).abs(), "(x + 1).abs()"),
        (x.clip(0, y + 1), "x.clip(0, y + 1)"),
        (x.dt.truncate("1h").alias("hour"), 'hour = x.dt.truncate("1h")'),
        (x.str.to_lowercase(), "x.str.to_lowercase()"),
        (x.str.starts_with("a") & ok.is_not_null(), 'x.str.starts_with("a") and ok is not null'),
        (x.cast(pl.Float64), "x.cast(Float64)"),
        (x.cast(pl.Datetime("ms"), strict=False), "x.cast(Datetime('ms'))"),
        (pl.when(x > 1).then(2.5).otherwise(None), "when x > 1 then 2.5 otherwise null"),
        (pl.when(x > 1).then(1).otherwise(0) + 1, "(when x > 1 then 1 otherwise 0) + 1"),
        (x > dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "x > 2020-01-01 00:00:00 UTC"),
        (pl.lit(dt.date(2020, 1, 1)), "2020-01-01"),
        (pl.lit(dt.timedelta(seconds=5)), "5s"),
        (pl.lit(True).alias("yes"), "yes = true"),
        (pl.lit(-1.5).alias("y"), "y = -1.5"),
        (pl.lit(-1).abs() ** 2, "(-1).abs() ** 2"),
        (x - pl.lit(-1), "x - -1"),
        (x.sum().over("y"), "x.sum().over(y)"),
        (pl.col("two words") > 0, 'col("two words") > 0'),
        (pl.col("null") > 0, 'col("null") > 0'),
        (pl.col("größe") > 0, "größe > 0"),
    ],
)
def test_usual_expressions_read_as_written(expr, text):
    assert shown(expr) == text


@pytest.mark.parametrize(
    "expr",
    [
        pl.all(),
        pl.col("a", "b") * 2,
        pl.col('a"b') > 0,
        pl.col("x").struct.field("k"),
        pl.col("x").name.suffix("_a"),
        pl.struct("x", "y"),
        pl.col("x") == 'a"b',
        pl.lit('x") > (col("y'),
    ],
)
def test_what_is_not_sure_stays_as_polars_prints_it(expr):
    assert shown(expr) == str(expr)


def test_very_deep_expressions_are_shown_all_the_same():
    expr = x
    for _ in range(300):
        expr = expr + 1
    assert shown(expr)
