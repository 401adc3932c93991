"""The script and the player themselves: what they accept, and what they say when they cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import ManualClock, Script, advance_clock, end, malformed, play, rows, watermark

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}
FEED = rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="t")
ROW = (1, "a", 2.0)


@pytest.mark.parametrize(
    "step",
    [
        rows({"t": 1, "key": "a", "x": 2.0}),
        rows(ROW),
        rows({"x": 2, "key": "a", "t": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)}),
        rows({"t": datetime(1970, 1, 1, 0, 0, 1), "key": "a", "x": 2.0}),  # noqa: DTZ001 - no zone means UTC
        rows({"t": "1970-01-01T00:00:01", "key": "a", "x": 2.0}),
        rows(pl.DataFrame({"t": [1], "key": ["a"], "x": [2.0]})),
        malformed(b"1,a,2.0"),
        malformed(b"1,a,2.0\n"),
    ],
)
def test_a_row_can_be_written_in_many_ways(step):
    frame = play(FEED, [step, end()]).results
    assert frame.rows() == [(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "a", 2.0)]


def test_a_column_that_is_left_out_is_null():
    assert play(FEED, [rows({"t": 1})]).results.select("key", "x").rows() == [(None, None)]


@pytest.mark.parametrize(
    "at",
    [
        3600,
        datetime(1970, 1, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 1),  # noqa: DTZ001 - no zone means UTC
        datetime(1970, 1, 1, 3, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_watermark_is_in_the_unit_of_the_column_or_a_datetime(at):
    assert play(FEED, [watermark(at)]).watermark_after(0) == 3_600_000_000


def test_time_begins_where_the_clock_stands():
    clock = ManualClock(now_us=5_000_000)
    stream = rr.read("tcp://localhost:9", format="csv", schema={"x": pl.Int64})
    results = play(stream, [rows((1,)), advance_clock("2s"), rows((2,))], clock=clock).results
    assert results["arrived_at"].to_physical().to_list() == [5_000_000, 7_000_000]
    assert clock.monotonic_us() == 2_000_000


def test_one_partition_may_end_before_the_others():
    transcript = play(
        FEED, [rows(ROW, partition="p"), malformed(b"2,b,1", partition="q"), end("p"), end("q"), end()]
    )
    assert transcript.counts.partitions == 0
    assert transcript.results.height == 2


def test_an_empty_script():
    transcript = play(FEED, Script([]))
    assert transcript.results.is_empty()
    assert transcript.results.columns == ["t", "key", "x"]
    assert transcript.counts.received == 0


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([rows({"tt": 1})], "step 0 (Rows): the stream has no column 'tt'\n  try: did you mean 't'?"),
        ([rows((1, "a"))], "step 0 (Rows): a row of 2 values for 3 columns: (1, 'a')"),
        ([end(), rows(ROW)], "Script, step 1: nothing can happen after the end of the input"),
        (["rows"], "Script, step 0: not a step: 'rows'"),
        ([rows({"t": 1, "x": "oops"})], "step 0 (Rows): the values of 'x' are not Float64"),
    ],
)
def test_a_script_that_does_not_fit_says_where(steps, text):
    with pytest.raises(rr.ConfigError) as caught:
        play(FEED, steps)
    assert str(caught.value).startswith(text)


def test_rows_and_a_frame_do_not_mix():
    with pytest.raises(rr.ConfigError, match="one frame, or any number of dicts"):
        rows(ROW, pl.DataFrame({"x": [1]}))


def test_a_stream_needs_a_declared_schema():
    with pytest.raises(rr.ConfigError, match="needs a declared schema"):
        play(rr.read("tcp://localhost:9"), [rows({"x": 1})])


def test_bytes_need_a_declared_format():
    stream = rr.read("tcp://localhost:9", schema=SCHEMA, time="t")
    with pytest.raises(rr.ConfigError, match="bytes need a format to go through"):
        play(stream, [malformed(b"1,a,2")])


def test_on_bad_fail_raises_as_a_run_would():
    stream = rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="t", on_bad="fail")
    with pytest.raises(rr.FormatError, match="a record cannot be read"):
        play(stream, [malformed(b"x,y")])
