"""Cases taken from the test suites of other engines (tests/data/windows_cases.json), played as transcripts.

Each is also played with its rows cut into batches at random: results and their order stay the same.
"""

from __future__ import annotations

import itertools
import json
import random
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.clock import DURATION_UNITS_US, format_duration
from riverrun.testing import end, play, rows, watermark

CASES = json.loads((Path(__file__).parents[1] / "data" / "windows_cases.json").read_text())["cases"]
UNIT_US = {**DURATION_UNITS_US, "min": DURATION_UNITS_US["m"]}
TYPES = {
    "key": pl.String,
    "v": pl.Float64,
    "d": pl.Float64,
    "f": pl.Float64,
    "dec": pl.Decimal(20, 2),
    "s": pl.String,
    "event": pl.Int64,
    "value": pl.String,
}
AGGREGATES = {
    "sum": rr.sum,
    "sum_decimal": rr.sum,
    "max": rr.max,
    "min": rr.min,
    "count": rr.count,
    "count_distinct": rr.n_unique_exact,
    "collect_by_time": rr.collect,
}


def cases(kind, *ids):
    chosen = [case for case in CASES if case["kind"] == kind and (not ids or case["id"] in ids)]
    return pytest.mark.parametrize("case", chosen, ids=[case["id"] for case in chosen])


cut_how = pytest.mark.parametrize("cut", ["row by row", "all at once", 1, 2, 3, 4])


class Played:
    """A case as a stream and batches."""

    def __init__(self, case):
        self.case = case
        self.unit_us = UNIT_US[case["time_unit"]]
        delay = case.get("watermark", {"delay": None})["delay"]
        self.feed = rr.read(
            "tcp://localhost:9",
            format="csv",
            schema={"t": rr.Timestamp("us"), **TYPES},
            time="t",
            delay=None if delay is None else self.duration(delay),
        )

    def duration(self, value):
        return format_duration(value * self.unit_us)

    def window(self):
        window = self.case["window"]
        every = window.get("slide", window["size"])
        return rr.hopping(
            self.duration(window["size"]), self.duration(every), offset=self.duration(window["offset"])
        )

    def row(self, place, event):
        known = {k: v for k, v in event.items() if k in TYPES}
        if "key" in known and known["key"] is not None:
            known["key"] = str(known["key"])
        if known.get("dec") is not None:
            known["dec"] = Decimal(known["dec"])
        if not isinstance(known.get("v", 0.0), (int, float)):
            known["value"] = known.pop("v")
        return {"t": event["t"] * self.unit_us, **known, "event": place}

    def steps(self, cut):
        events = [self.row(*item) for item in enumerate(self.case["events"])]
        places = range(1, len(events))
        if cut == "row by row":
            cuts = list(places)
        elif cut == "all at once":
            cuts = []
        else:
            chance = random.Random(cut)
            cuts = sorted(chance.sample(places, k=chance.randint(0, len(places))))
        bounds = [0, *cuts, len(events)]
        return [rows(*events[a:b]) for a, b in itertools.pairwise(bounds)]

    def times(self, frame, *names):
        return frame.with_columns(pl.col(name).to_physical() // self.unit_us for name in names)


def plain(value):
    return float(value) if isinstance(value, (int, float)) else value


def same_results(got, expected):
    def ordered(items):
        return sorted(({k: plain(v) for k, v in item.items()} for item in items), key=repr)

    return ordered(got) == ordered(expected)


@cases("assign")
@cut_how
def test_assign(case, cut):
    played = Played(case)
    stream = played.feed.group_by().window(played.window()).agg(t=rr.collect(pl.col("t").to_physical()))
    results = played.times(play(stream, [*played.steps(cut), end()]).results, "window_start", "window_end")
    got = {
        (start, stop): sorted(t // played.unit_us for t in times) for start, stop, times in results.iter_rows()
    }
    assert got == {(w["start"], w["end"]): sorted(w["t"]) for w in case["expected"]["windows"]}


def aggregated(played):
    case = played.case
    made = {name: AGGREGATES[function](*columns) for name, (function, *columns) in case["aggregates"].items()}
    keys = ["key"] if case["by_key"] else []
    lateness = played.duration(case["allowed_lateness"])
    return played.feed.group_by(*keys).window(played.window(), lateness=lateness).agg(**made)


@cases("aggregate")
@cut_how
def test_aggregate(case, cut):
    played, expected = Played(case), case["expected"]
    steps = played.steps(cut)
    transcript = play(aggregated(played), [*steps, end()])
    if case["flush_at_end"]:
        frame = transcript.results
    else:
        frame = pl.concat([transcript.after(step) for step in range(len(steps))])
    named = played.times(frame, "window_start", "window_end").rename(
        {"window_start": "start", "window_end": "end"}
    )
    got = [
        {k: str(v) if isinstance(v, Decimal) else v for k, v in row.items()}
        for row in named.iter_rows(named=True)
    ]
    wanted = [
        {**r, "key": None if r["key"] is None else str(r["key"])} if "key" in r else r
        for r in expected["results"]
    ]
    assert same_results(got, wanted)
    # Always by window end; and the same order however rows are cut.
    assert named["end"].is_sorted()
    row_by_row = play(aggregated(played), [*played.steps("row by row"), end()])
    assert transcript.results.equals(row_by_row.results)
    late = played.times(transcript.late, "window_start")
    assert late.select("event", "window_start").rows() == [
        (item["event"], start) for item in expected.get("late", []) for start in item["windows"]
    ]


@cases("aggregate", "emit-01", "emit-05")
def test_each_window_comes_out_with_the_event_that_closes_it(case):
    played = Played(case)
    transcript = play(aggregated(played), played.steps("row by row"))
    got = [
        {"event": step, "starts": played.times(frame, "window_start")["window_start"].unique().sort().to_list()}
        for step in range(len(case["events"]))
        if (frame := transcript.after(step)).height
    ]
    assert got == case["expected"]["emitted_after"]


@cases("session")
@cut_how
def test_session(case, cut):
    played, expected = Played(case), case["expected"]
    if "either" in expected:
        expected = next(item for item in expected["either"] if item["rule"] == "distance < gap joins")
    stream = (
        played.feed.group_by()
        .window(rr.session(played.duration(case["gap"])))
        .agg(n=rr.count(), values=rr.collect("value"))
    )
    transcript = play(stream, [*played.steps(cut), end()])
    results = played.times(transcript.results, "window_start", "window_end")
    got = [
        {"first": start, "last": stop - case["gap"], "n": n, "values": values}
        for start, stop, n, values in results.iter_rows()
    ]
    wanted = [{"values": None, **session} for session in expected["sessions"]]
    assert got == wanted
    assert transcript.late["event"].to_list() == expected.get("late", [])


@cases("panes", "panes-01", "panes-02")
def test_panes(case):
    """Lateness without limit stands as a century here."""
    played = Played(case)
    stream = (
        played.feed.group_by()
        .window(played.window(), lateness="5200w")
        .agg(values=rr.collect(pl.col("t").to_physical() // played.unit_us))
    )
    steps, expected = [], {}
    for step in case["steps"]:
        if "input" in step:
            steps.append(rows(*(played.row(place, event) for place, event in enumerate(step["input"]))))
        elif "watermark" in step:
            steps.append(watermark(step["watermark"] * played.unit_us))
        else:
            expected[len(steps) - 1] = step["expect"]
    transcript = play(stream, steps)
    for at in range(len(steps)):
        results = played.times(transcript.after(at), "window_start", "window_end")
        got = [
            {
                "start": r["window_start"],
                "end": r["window_end"],
                "values": sorted(r["values"]),
                "timing": "on_time" if r["revision"] == 0 else "late",
            }
            for r in results.iter_rows(named=True)
        ]
        assert got == expected.get(at, [])


def as_counted(played):
    case = played.case
    window = rr.counting(case["size"], every=case["slide"])
    return played.feed.group_by().window(window).agg(values=rr.collect("v"), sum=rr.sum("v"), mean=rr.mean("v"))


@cases("count_window")
@cut_how
def test_count_window(case, cut):
    """A window comes out when its last row is final; what is not full waits for the end of the input."""
    case = {"time_unit": "s", "watermark": {"delay": 0}, **case}
    played, expected = Played(case), case["expected"]["windows"]
    steps = played.steps(cut)
    transcript = play(as_counted(played), [*steps, end()])
    before_the_end = pl.concat([transcript.after(step) for step in range(len(steps))])
    got = played.times(before_the_end, "window_start").with_columns(
        last_t=(pl.col("window_end").to_physical() - 1) // played.unit_us
    )
    named = got.select(first_t="window_start", last_t="last_t", values="values", sum="sum", mean="mean")
    assert named.to_dicts() == expected
    rest = [event["v"] for event in case["events"]][case["size"] * len(expected) :]
    assert transcript.after(len(steps))["values"].to_list() == ([rest] if rest else [])


@pytest.mark.xfail(
    strict=True,
    reason="results say what a window holds so far, never only what is new, so that a repeated one does no "
    "harm; and early results come by the clock or by batches, not when so many values have come",
)
@cases("panes", "panes-04", "panes-06")
def test_discarding_panes(case):
    assert results_of_panes(case, lambda new, _: new) == [step["expect"] for step in expectations(case)]


@cases("panes", "panes-04", "panes-06")
def test_discarding_panes_are_the_differences_of_ours(case):
    """What each result adds to the one before, in order, is what the panes of the case hold in all."""
    wanted = {}
    for step in expectations(case):
        for pane in step["expect"]:
            wanted.setdefault(pane["start"], []).extend(pane["values"])
    got = {}
    for panes in results_of_panes(case, lambda _, new: new):
        for pane in panes:
            got.setdefault(pane["start"], []).extend(pane["values"])
    assert got == wanted


def expectations(case):
    return [step for step in case["steps"] if "expect" in step]


def results_of_panes(case, choose):
    """For each expectation of a case our results since the last, with all values or those that are new."""
    played = Played(case)
    lateness = case["allowed_lateness"]
    value = pl.coalesce("value", (pl.col("t").to_physical() // played.unit_us).cast(pl.String))
    stream = (
        played.feed.group_by()
        .window(
            played.window(),
            lateness="5200w" if lateness is None else played.duration(lateness),
            emit="batch",
        )
        .agg(values=rr.collect(value))
    )
    steps, asked, place = [], [], 0
    for step in case["steps"]:
        if "input" in step:
            events = [played.row(place + n, event) for n, event in enumerate(step["input"])]
            place += len(events)
            steps.append(rows(*events))
        elif "watermark" in step:
            at_end = step["watermark"] == "end"
            steps.append(end() if at_end else watermark(step["watermark"] * played.unit_us))
        else:
            asked.append(len(steps))
    transcript = play(stream, steps)
    known, found, done = {}, [], 0
    for upto in asked:
        panes = []
        for at in range(done, upto):
            for row in played.times(transcript.after(at), "window_start", "window_end").iter_rows(named=True):
                before = known.get(row["window_start"], [])
                # No value comes twice in these cases; ours are in the order of event time.
                new = [value for value in row["values"] if value not in before]
                known[row["window_start"]] = row["values"]
                values = [int(v) if v.lstrip("-").isdigit() else v for v in choose(row["values"], new)]
                panes.append({"start": row["window_start"], "end": row["window_end"], "values": values})
        found.append(panes)
        done = upto
    return found


@cases("gap_fill")
@cut_how
def test_gap_fill(case, cut):
    played, expected = Played(case), case["expected"]
    stream = played.feed.resample(
        played.duration(case["step"]),
        fill={"null": "null", "last": "forward"}[case["fill"]],
        columns="v",
        max_gap=played.duration(len(expected["t"])),
    )
    got = played.times(play(stream, [*played.steps(cut), end()]).results, "t")
    assert got.select("t", "v").to_dict(as_series=False) == expected
