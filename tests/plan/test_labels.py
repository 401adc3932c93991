"""What steps are called: by `explain`, health, the dashboard and errors."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.plan.nodes import short_of

SCHEMA = {"ts": pl.Datetime("ms"), "symbol": pl.String, "price": pl.Float64, "size": pl.Float64}
ROWS = rr.read({name: [] for name in SCHEMA}, schema=SCHEMA, time="ts", name="trades")
PRICE = pl.col("price")


@pytest.mark.parametrize(
    ("stream", "label", "short"),
    [
        (ROWS.filter(PRICE > 0), "filter price > 0", "filter price > 0"),
        (ROWS.select("ts", x=PRICE * 2), "select ts, x = price * 2", "select ts, x"),
        (ROWS.with_columns(x=PRICE * 2), "with_columns x = price * 2", "with_columns x"),
        (
            ROWS.with_columns(pl.selectors.numeric() * 2),
            "with_columns [(cs.numeric()) * (dyn int: 2)]",
            "with_columns [(cs.numeric()) * (dyn int: 2)]",
        ),
        (ROWS.drop_nulls(), "drop_nulls in any column", "drop_nulls in any column"),
        (ROWS.drop_nulls("price"), "drop_nulls price", "drop_nulls price"),
        (ROWS.fill_null(0, "price"), "fill_null price with 0", "fill_null price with 0"),
        (
            ROWS.fill_null(PRICE + 1, ["size"]),
            "fill_null size with price + 1",
            "fill_null size with price + 1",
        ),
        (
            ROWS.group_by("symbol").window(rr.tumbling("10s")).agg(n=rr.count(), m=rr.mean(PRICE * 2)),
            "aggregate n=count(), m=mean(price * 2) by symbol over tumbling('10s')",
            "aggregate by symbol, tumbling 10s",
        ),
        (
            ROWS.group_by().window(rr.hopping("1m", "1s")).agg(n=rr.count()),
            "aggregate n=count() by everything over hopping('1m', '1s')",
            "aggregate hopping 1m every 1s",
        ),
        (
            ROWS.group_by("symbol").window(rr.session("30m")).agg(n=rr.count()),
            "aggregate n=count() by symbol over session('30m')",
            "aggregate by symbol, session 30m",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_labels(stream, label, short):
    assert stream.node.label == label
    assert short_of(stream.node) == short


def test_errors_show_expressions_as_they_are_written():
    with pytest.raises(rr.PlanError) as caught:
        ROWS.filter(PRICE + 1)
    assert str(caught.value) == (
        'filter: a filter needs true or false, and price + 1 is Float64\n  try: pl.col("x") > 0'
    )


def test_health_has_both_names_of_a_step():
    seen = []
    stream = ROWS.filter(PRICE > 0).with_columns(x=PRICE * 2)
    rr.run(stream.group_by("symbol").window(rr.tumbling("10s")).agg(n=rr.count()), watcher=seen.append)
    assert [(step.name, step.short) for step in seen[-1].steps[1:]] == [
        ("filter price > 0 · with_columns x = price * 2", "filter price > 0 · with_columns x"),
        ("aggregate n=count() by symbol over tumbling('10s')", "aggregate by symbol, tumbling 10s"),
    ]


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (
            pl.col("symbol").str.to_integer(),
            "with_columns price = symbol.str.to_integer(10): failed: strict integer parsing failed for 1 "
            "value(s): [\"A\"]; error message for the first shown value: 'invalid digit found in string' "
            "(consider non-strict parsing)\n"
            "  try: strict=False in it, which makes null of such values",
        ),
        (
            pl.col("symbol").cast(pl.Int64),
            "with_columns price = symbol.cast(Int64): failed: conversion from `str` to `i64` failed in column "
            "'symbol' for 1 out of 1 values: [\"A\"]\n"
            '  try: .cast({"x": pl.Int64}), which makes null of such values',
        ),
    ],
)
def test_a_step_that_fails_on_values_says_which(expr, text):
    rows = rr.read({"symbol": ["A"], "price": [1.0]}).with_columns(price=expr)
    with pytest.raises(rr.PlanError) as caught:
        rows.collect()
    assert str(caught.value) == text
