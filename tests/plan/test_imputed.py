"""Filled-in values are counted in a hidden column, which nobody sees."""

from __future__ import annotations

import polars as pl

import riverrun as rr
from riverrun.batch import IMPUTED
from riverrun.plan.nodes import FillNull
from riverrun.testing import end, play, rows
from tests.kernel.streams import feed


def filled(frame, value, *columns):
    return FillNull((), value, columns).on(frame.lazy()).collect()


def test_fill_null_counts_what_it_fills():
    frame = pl.DataFrame({"x": [1, None, None], "y": [None, None, 3]})
    assert filled(frame, 0)[IMPUTED].to_list() == [1, 2, 1]
    assert filled(frame, 0, "x")[IMPUTED].to_list() == [0, 1, 1]
    assert filled(filled(frame, 0, "x"), 0, "y")[IMPUTED].to_list() == [1, 2, 1]


def test_a_null_in_place_of_a_null_fills_nothing():
    frame = pl.DataFrame({"x": [None, None], "y": [None, 2]}, schema={"x": pl.Int64, "y": pl.Int64})
    assert filled(frame, pl.col("y"), "x")[IMPUTED].to_list() == [0, 1]


def test_the_count_is_no_column_of_the_stream():
    stream = feed(0).fill_null(0.0, "x")
    made = play(stream, [rows((1, "a", None, 0)), end()]).results
    assert made.rows()[0][1:] == ("a", 0.0, 0)
    assert made.columns == ["t", "key", "x", "row"]


def test_a_function_over_frames_does_not_see_it():
    seen = []

    def positive(frame):
        seen.append((frame.columns, frame.height))
        return frame.filter(pl.col("x") > 0)

    stream = feed(0).fill_null(1.0, "x").map_frames(positive)
    made = play(stream, [rows((1, "a", None, 0), (2, "a", -1, 1), (3, "a", None, 2)), end()]).results
    assert made["row"].to_list() == [0, 2]
    assert seen[-1] == (["t", "key", "x", "row"], 3)


def test_rows_in_order_of_event_time_may_have_it_or_not():
    stream = feed(0).forward_fill("x", by="key").group_by("key").running().agg(n=rr.count(), s=rr.sum("x"))
    steps = [rows((1, "a", 1, 0)), rows((2, "a", None, 1)), rows((3, "a", 5, 2)), end()]
    assert play(stream, steps).results["s"].to_list() == [1.0, 2.0, 7.0]
