"""Tables in memory, of every kind, and iterables of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from riverrun.errors import ConfigError, SourceError
from riverrun.limits import Limits
from riverrun.sources.frame import Frame
from riverrun.testing.simulated_world import SimulatedWorld
from tests.sources.pumping import pump

EXPECTED = pl.DataFrame({"k": ["a", "b", None], "x": [1.5, 2.5, 3.5]})


def chunks_of(data: object):
    world = SimulatedWorld()
    return pump(world, Frame(data).open(world, Limits()))


def rows(data: object) -> pl.DataFrame:
    return pl.concat([chunk.frame for chunk in chunks_of(data)])


@pytest.mark.parametrize(
    "data",
    [
        EXPECTED,
        EXPECTED.lazy(),
        EXPECTED.to_pandas(),
        EXPECTED.to_arrow(),
        pa.Table.from_pylist(EXPECTED.to_dicts()),
        pa.RecordBatch.from_pylist(EXPECTED.to_dicts()),
        {"k": np.array(["a", "b", None], dtype=object), "x": np.array([1.5, 2.5, 3.5])},
        {"k": ["a", "b", None], "x": pl.Series([1.5, 2.5, 3.5])},
        EXPECTED.to_dicts(),
        [EXPECTED[:1], EXPECTED[1:].to_pandas()],
        iter(EXPECTED.to_dicts()),
        (EXPECTED[index] for index in range(3)),
        (item for item in (EXPECTED[:1], *EXPECTED[1:].to_dicts())),
        [EXPECTED[:2].to_dicts(), EXPECTED[2:].to_dicts()],
    ],
    ids=lambda data: type(data).__name__,
)
def test_every_kind_of_table(data):
    assert rows(data).equals(EXPECTED)


def test_structured_numpy_array():
    array = np.array([(1, 2.5), (2, 3.5)], dtype=[("n", "i8"), ("x", "f8")])
    assert rows(array).to_dict(as_series=False) == {"n": [1, 2], "x": [2.5, 3.5]}


def test_an_index_that_means_something_becomes_a_column():
    times = pd.date_range("2026-01-01", periods=2, freq="s")
    assert rows(pd.DataFrame({"x": [1, 2]}, index=times)).columns == ["index", "x"]
    assert rows(pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="k"))).columns == ["k", "x"]
    assert rows(pd.DataFrame({"x": [1, 2]}, index=[5, 6])).columns == ["x"]


def test_a_large_table_comes_in_slices():
    chunks = chunks_of(pl.DataFrame({"x": range(250_000)}))
    assert [(chunk.position, chunk.frame.height, chunk.end) for chunk in chunks] == [
        (0, 100_000, False),
        (100_000, 100_000, False),
        (200_000, 50_000, False),
        (250_000, 0, True),
    ]
    assert chunks[-1].frame.schema == {"x": pl.Int64}


def test_an_iterable_is_pulled_only_when_polled():
    pulled = []

    def feed():
        for number in range(3):
            pulled.append(number)
            yield pl.DataFrame({"x": [number]})

    world = SimulatedWorld()
    reader = Frame(feed()).open(world, Limits())
    assert pulled == []
    reader.poll(1)
    assert pulled == [0]
    reader.close()
    assert reader.finished


def test_nothing_at_all():
    assert [(chunk.frame.height, chunk.end) for chunk in chunks_of([])] == [(0, True)]


def test_types_follow_the_first_item():
    assert rows([{"x": [1.5], "k": ["a"]}, {"k": ["b"], "x": [2]}]).to_dicts() == [
        {"x": 1.5, "k": "a"},
        {"x": 2.0, "k": "b"},
    ]


def failing():
    yield {"x": 1}
    raise ValueError("the feed broke")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([{"x": [1]}, {"y": [1]}], "frame, item 2: its columns are y; the first one had x"),
        (
            [{"x": [1]}, {"x": ["a"]}],
            "frame, item 2: cannot read it as a table: conversion from `str` to `i64` failed",
        ),
        ([1, 2], "frame, item 1: cannot read it as a table: int is not a table"),
        (failing(), "frame, item 1: the iterable failed with ValueError: the feed broke"),
    ],
)
def test_an_item_that_does_not_fit(data, problem):
    with pytest.raises(SourceError) as raised:
        chunks_of(data)
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize(("data", "what"), [(42, "int"), ("text", "str"), (None, "NoneType"), (object, "type")])
def test_what_is_no_table(data, what):
    with pytest.raises(ConfigError) as raised:
        Frame(data)
    assert str(raised.value).startswith(
        f"frame: cannot read rows from {what}\n  try: a Polars, pandas or Arrow"
    )


def test_the_url_says_what_it_is():
    assert Frame(EXPECTED).url == "frame: polars DataFrame"
    assert Frame(EXPECTED.to_pandas()).url == "frame: pandas DataFrame"
    assert Frame(EXPECTED.to_dicts()).url == "frame: list of rows"
    assert Frame(iter([])).url == "frame: list_iterator"
