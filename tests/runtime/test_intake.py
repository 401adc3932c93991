"""What rows must pass before the first step: event time, the far future, long keys."""

from __future__ import annotations

import json

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import end, malformed, play, rows

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}
NOW = 1_767_225_600  # where the clock of a script stands


def feed(source="tcp://localhost:9", **options):
    return rr.read(source, format="csv", schema=SCHEMA, time="t", **options)


def test_a_row_without_event_time_is_a_dead_letter_that_shows_its_values():
    transcript = play(feed(), [rows((None, "a", 1.5), (1, "b", 2.5))])
    (letter,) = transcript.dead_letters
    assert (letter.rejected.reason, letter.rejected.detail) == (
        "schema",
        "the event-time field 't' is missing or null",
    )
    assert json.loads(letter.rejected.head) == {"t": None, "key": "a", "x": 1.5}
    assert transcript.results["key"].to_list() == ["b"]


def test_refused_rows_are_told_with_their_places_and_can_be_fed_again_as_json():
    script = [rows((1, "a", 1.5), (NOW + 400, "b", 2.5), (None, "c", None)), rows((NOW + 500, "d", 3.5))]
    letters = [letter.rejected for letter in play(feed(), script).dead_letters]
    assert [(letter.reason, letter.position, letter.form) for letter in letters] == [
        ("schema", 2, "row"),
        ("future", 1, "row"),
        ("future", 3, "row"),
    ]
    again = b"".join(letter.record + b"\n" for letter in letters)
    later = rr.read("file:again.jsonl", format="json", schema=SCHEMA)
    decoded = later.node.format.open(later.node.schema, rr.Limits()).feed(again, 0)
    assert decoded.frame["key"].to_list() == ["c", "b", "d"]
    assert [at and int(at.timestamp()) for at in decoded.frame["t"]] == [None, NOW + 400, NOW + 500]


@pytest.mark.parametrize(("ahead", "reasons"), [(300, []), (301, ["future"])])
def test_the_far_future_of_a_live_source(ahead, reasons):
    assert play(feed(), [rows((NOW + ahead, "a", 1))]).reasons == reasons


def test_the_far_future_can_be_set():
    limits = rr.Limits(future="1d")
    assert play(feed(limits=limits), [rows((NOW + 86_400, "a", 1), (NOW + 86_401, "a", 1))]).reasons == [
        "future"
    ]


def test_a_bounded_source_may_hold_any_time(tmp_path):
    path = tmp_path / "rows.csv"
    path.touch()
    assert play(feed(f"file:{path}"), [rows((NOW + 10**8, "a", 1))]).reasons == []


def test_old_rows_are_welcome_and_move_nothing():
    transcript = play(feed(), [rows((NOW, "a", 1)), rows((5, "a", 1))])
    assert transcript.reasons == []
    assert transcript.watermark_after(1) == NOW * 1_000_000


@pytest.mark.parametrize("limit", [3, 11, 12, 13, 40, 256])
def test_long_keys_are_refused_by_their_bytes(limit):
    stream = feed(limits=rr.Limits(key_bytes=limit)).group_by("key").window(rr.tumbling("1s")).agg(n=rr.count())
    keys = ["k" * limit, "k" * (limit + 1), "ä" * (limit // 2 + 1), None, ""]
    transcript = play(stream, [rows(*[(1, key, 1.0) for key in keys]), end()])
    assert transcript.reasons == ["key-too-long"] * 2
    assert transcript.results["key"].to_list() == ["k" * limit, None, ""]
    assert transcript.dead_letters[0].rejected.detail == f"the key 'key' is longer than {limit} bytes"


def test_only_grouping_keys_are_limited():
    stream = feed(limits=rr.Limits(key_bytes=3)).group_by().window(rr.tumbling("1s")).agg(k=rr.collect("key"))
    assert play(stream, [rows((1, "long enough", 1)), end()]).reasons == []


def test_all_kinds_of_refusal_at_once_are_all_accounted_for():
    stream = feed(limits=rr.Limits(key_bytes=3)).group_by("key").window(rr.tumbling("1s")).agg(n=rr.count())
    transcript = play(
        stream,
        [
            rows((1, "abcd", 1), (None, "abcd", 1), (NOW + 10**6, "a", 1), (1, "ok", 1)),
            malformed(b"x,y\n1,ok,2\n"),
            rows((5, "ok", 1), (1, "ok", 1)),
            end(),
        ],
    )
    counts = transcript.counts
    assert (counts.received, counts.applied, counts.late, counts.dead_lettered) == (8, 3, 1, 4)
    assert sorted(counts.reasons) == ["csv", "future", "key-too-long", "schema"]
