"""Joins of the test suites of other engines (tests/data/windows_cases.json), played as transcripts.

Each is played with the rows of the two sides in turns, in one go, and one side after the other.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.clock import DURATION_UNITS_US, format_duration
from riverrun.testing import Script, end, play, rows

CASES = json.loads((Path(__file__).parents[1] / "data" / "windows_cases.json").read_text())["cases"]
SIDES = ("left", "right")

how_they_come = pytest.mark.parametrize("how", ["in turns", "at once", "left first", "right first"])


def cases(kind):
    chosen = [case for case in CASES if case["kind"] == kind]
    return pytest.mark.parametrize("case", chosen, ids=[case["id"] for case in chosen])


class Played:
    """The two sides of a case as streams and batches; rows are told apart by their place."""

    def __init__(self, case):
        self.unit_us = DURATION_UNITS_US[case["time_unit"]]
        schema = {"t": rr.Timestamp("us"), "key": pl.String, "v": pl.Int64, "place": pl.Int64}
        # Times of some cases go back, and all rows count.
        self.feeds = {
            side: rr.read("tcp://localhost:9", format="csv", schema=schema, time="t", delay=None, name=side)
            for side in SIDES
        }
        self.rows = {
            side: [
                {
                    "t": row["t"] * self.unit_us,
                    "key": str(row.get("key", "all")),
                    "v": row["v"] if isinstance(row.get("v"), int) else None,
                    "place": place,
                }
                for place, row in enumerate(case[side])
            ]
            for side in SIDES
        }

    def duration(self, value):
        return format_duration(value * self.unit_us)

    def steps(self, how):
        if how == "at once":
            return [rows(*self.rows[side], source=side) for side in SIDES]
        singles = [[rows(row, source=side) for row in self.rows[side]] for side in SIDES]
        if how == "in turns":
            longest = max(len(steps) for steps in singles)
            return [steps[at] for at in range(longest) for steps in singles if at < len(steps)]
        first, second = singles if how == "left first" else reversed(singles)
        return [*first, end(source=how.split()[0]), *second]

    def play(self, stream, how):
        return play(stream, Script([*self.steps(how), end()])).results


@cases("interval_join")
@how_they_come
def test_interval(case, how):
    played, bounds = Played(case), case["bounds"]
    closed = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "none"}
    join = played.feeds["left"].join_interval(
        played.feeds["right"],
        lower=played.duration(bounds["lower"]),
        upper=played.duration(bounds["upper"]),
        closed=closed[bounds["lower_inclusive"], bounds["upper_inclusive"]],
    )
    got = played.play(join, how).select("place", "place_right").rows()
    assert got == [tuple(pair) for pair in case["expected"]["pairs"]]


@cases("asof_join")
@how_they_come
def test_asof(case, how):
    played = Played(case)
    tolerance = case["tolerance"]
    join = played.feeds["left"].join_asof(
        played.feeds["right"],
        by="key",
        tolerance=None if tolerance is None else played.duration(tolerance),
    )
    got = played.play(join, how).sort("place")["place_right"].to_list()
    assert case["condition"] == "right.t <= left.t"
    assert got == case["expected"]["right_index_per_left"]


@cases("session_join")
@how_they_come
def test_session(case, how):
    played = Played(case)
    session = rr.session(played.duration(case["gap"]))
    join = played.feeds["left"].join_window(played.feeds["right"], window=session)
    got = played.play(join, how).select("v", "v_right").rows()
    assert got == [tuple(pair) for pair in case["expected"]["pairs"]]
