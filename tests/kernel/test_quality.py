"""What quality=True tells of the rows of a result."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.plan.typing import typed
from riverrun.testing import end, play, rows
from tests.kernel.streams import feed

QUALITY = ["rows", "late_rows", "rejected_rows", "duplicate_rows", "imputed_values"]

KINDS = {
    "tumbling": rr.tumbling("10s"),
    "hopping": rr.hopping("10s", "5s"),
    "cumulating": rr.cumulating("10s", "5s"),
    "session": rr.session("5s"),
    "limited session": rr.session("5s", maximum="1m"),
    "counting": rr.counting(3),
}


def aggregated(window, **options):
    return feed(0).group_by("key").window(window, **options, quality=True).agg(n=rr.count(), s=rr.sum("x"))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_counted_in_every_kind_of_window(kind):
    stream = aggregated(KINDS[kind])
    results = play(stream, [rows(*((t, "a", 1.0, t) for t in range(8))), end()]).results
    assert results.columns[-5:] == QUALITY
    assert results["rows"].to_list() == results["n"].to_list()
    assert all(results[name].to_list() == [0] * results.height for name in QUALITY[1:])


@pytest.mark.parametrize("kind", ["tumbling", "session"])
def test_rows_behind_the_watermark_that_still_count(kind):
    """The second row is behind the watermark, in an open window; the fourth revises one that is closed."""
    stream = aggregated(KINDS[kind], lateness="1m")
    script = [rows((6, "a", 1.0, 0), (4, "a", 1.0, 1)), rows((40, "a", 1.0, 2)), rows((5, "a", 1.0, 3)), end()]
    results = play(stream, script).results
    assert results.columns[-7:] == ["revision", "final", *QUALITY]
    told = results.select("rows", "late_rows", "revision").rows()
    assert told == [(2, 1, 0), (3, 2, 1), (1, 0, 0)]


def test_values_that_were_filled_in():
    filled = feed(0).forward_fill(["x"], by="key")
    stream = filled.group_by("key").window(rr.tumbling("10s"), quality=True).agg(s=rr.sum("x"))
    script = [rows((1, "a", 2.0, 0), (2, "a", None, 1)), rows((3, "a", None, 2), (4, "a", 1.0, 3)), end()]
    results = play(stream, script).results
    assert results.select("s", "rows", "imputed_values").rows() == [(7.0, 4, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_as_the_plan_says(kind):
    stream = aggregated(KINDS[kind])
    read = stream.node.parent
    results = play(stream, [rows((1, "a", 1.0, 0)), end()]).results
    assert dict(results.schema) == typed(stream.node, {read: read.schema}).columns


def test_values_that_fill_null_filled_in():
    stream = feed(0).fill_null(0.0, ["x"]).group_by("key").window(rr.tumbling("10s"), quality=True)
    script = [rows((1, "a", 2.0, 0), (2, "a", None, 1)), rows((3, "a", None, 2), (4, "a", 1.0, 3)), end()]
    results = play(stream.agg(s=rr.sum("x")), script).results
    assert results.select("s", "rows", "imputed_values").rows() == [(3.0, 4, 2)]


@pytest.mark.parametrize("window", [rr.counting(2), rr.session("5s", maximum="1m"), rr.tumbling("10s")])
def test_filled_rows_and_others_wait_together(window):
    """Only frames in which something was filled carry the hidden count."""
    filled = feed(5).forward_fill(["x"], by="key")
    stream = filled.group_by("key").window(window).agg(s=rr.sum("x"))
    script = [rows((1, "a", 2.0, 0)), rows((2, "a", None, 1)), end()]
    assert play(stream, script).results["s"].to_list() == [4.0]


def test_names_of_quality_are_taken():
    with pytest.raises(rr.PlanError, match="the result name 'rows' is taken"):
        feed(0).group_by().window(rr.tumbling("10s"), quality=True).agg(rows=rr.count())


def test_a_plan_tells_of_quality():
    stream = feed(0).group_by().window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    assert "quality: " + ", ".join(QUALITY) in stream.node.settings
    read = stream.node.parent
    columns = typed(stream.node, {read: read.schema}).columns
    results = play(stream, [rows((1, "a", 1.0, 0)), end()]).results
    for name in QUALITY:
        assert columns[name] == results.schema[name] == pl.UInt64
