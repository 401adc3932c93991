"""Expressions that look at other rows are refused: their values would depend on how batches were cut."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr

ROWS = rr.read(
    {"x": [1.0, 4.0], "y": [2.0, 1.0], "s": ["a", "b"]},
    schema={"x": pl.Float64, "y": pl.Float64, "s": pl.String},
)
X, Y = pl.col("x"), pl.col("y")


def bits(value: float) -> int:
    return int(value).bit_length()


@pytest.mark.parametrize(
    "expr",
    [
        X.shift(1),
        X / X.shift(1) - 1,
        X - X.mean(),
        X.cum_sum() * 2,
        pl.when(X > 0).then(Y.sum()).otherwise(0),
        X.is_between(0, Y.max()),
        X.over("s"),
        pl.len(),
    ],
    ids=str,
)
def test_other_rows_are_refused(expr):
    with pytest.raises(rr.PlanError, match="looks at other rows") as caught:
        ROWS.with_columns(z=expr)
    assert "aggregate over a window instead" in str(caught.value)


def test_a_filter_must_not_look_at_other_rows():
    with pytest.raises(rr.PlanError, match="looks at other rows"):
        ROWS.filter(X - X.mean() > 0)


@pytest.mark.parametrize(
    ("expr", "values"),
    [
        (X * 2 + Y, [4.0, 9.0]),
        (pl.when(X > 2).then(Y).otherwise(0), [0.0, 1.0]),
        (pl.max_horizontal("x", "y"), [2.0, 4.0]),
        (X.is_in([1.0]) & (Y > 0), [True, False]),
        (X.map_elements(bits, return_dtype=pl.Int64), [1, 3]),
        (pl.sum_horizontal(pl.col("x", "y") * 2), [6.0, 10.0]),
        (pl.lit(3) * 2, [6, 6]),
    ],
    ids=str,
)
def test_what_goes_row_by_row_is_fine(expr, values):
    assert ROWS.with_columns(z=expr).collect()["z"].to_list() == values


def test_several_columns_at_once_are_fine():
    assert ROWS.with_columns(pl.col("x", "y") * 10).collect()["x"].to_list() == [10.0, 40.0]


def test_a_group_without_a_window_is_explained():
    with pytest.raises(rr.PlanError) as caught:
        ROWS.group_by("s").agg(n=rr.count())
    assert str(caught.value) == (
        "group_by: a stream has no end at which a whole group could be aggregated\n"
        '  try: .window(rr.tumbling("10s")).agg(mean=rr.mean("price"))'
    )
