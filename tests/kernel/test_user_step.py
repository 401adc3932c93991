"""Functions with a memory: called key by key, in order, with a state that stays as it was."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

EVENTS = st.lists(
    st.builds(Event, t=st.integers(0, 60), key=st.sampled_from(["a", "b", None]), x=st.floats(-5, 5)),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 30), max_size=15)


def running_sum(total, frame):
    sums = (frame["x"].cum_sum() + total).alias("sum")
    return (sums[-1] if len(sums) else total), frame.with_columns(sums)


@examples(60)
@given(EVENTS, CUTS)
def test_a_function_that_does_not_mind_cuts(events, cuts):
    totals, expected = {}, []
    for event in events:
        totals[event.key] = totals.get(event.key, 0.0) + event.x
        expected.append(totals[event.key])
    got = played(feed(0).stateful(running_sum, 0.0, by="key"), events, cuts).results
    assert got["row"].to_list() == list(range(len(events)))
    assert got["sum"].to_list() == pytest.approx(expected)


def threes(held, frame):
    """Three rows make one: what is left over waits."""
    held = pl.concat([held, frame]) if held is not None else frame
    whole = held.height // 3 * 3
    made = held[:whole].with_row_index("at").group_by(pl.col("at") // 3, maintain_order=True)
    out = made.agg(pl.col("t").last(), pl.col("key").last(), pl.col("x").sum()).drop("at")
    return held[whole:], out


@examples(60)
@given(EVENTS, CUTS)
def test_a_state_may_be_a_frame(events, cuts):
    waiting, expected = {}, {}
    for event in events:
        held = waiting.setdefault(event.key, [])
        held.append(event.x)
        if len(held) == 3:
            expected.setdefault(event.key, []).append(sum(held))
            held.clear()
    got = {}
    for key, x in played(feed(None).stateful(threes, by="key"), events, cuts).results.select("key", "x").rows():
        got.setdefault(key, []).append(x)
    assert got.keys() == expected.keys()
    assert all(got[key] == pytest.approx(sums) for key, sums in expected.items())


def test_the_function_cannot_change_what_is_remembered():
    def gather(seen, frame):
        seen.extend(frame["x"].to_list())
        return seen, frame.with_columns(n=pl.lit(len(seen)))

    stream = feed(0).stateful(gather, [], by="key")
    transcript = play(stream, [rows((1, "a", 1, 0)), rows((2, "a", 1, 1), (2, "b", 1, 2)), end()])
    assert transcript.results["n"].to_list() == [1, 2, 1]
    assert stream.node.init == []


def test_late_rows_stay_late_for_a_window_behind():
    counted = feed(0).stateful(lambda s, f: (s, f.filter(pl.col("x") > 0)), by="key")
    windows = counted.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    steps = [rows((5, "a", 1, 0), (25, "a", 1, 1)), rows((6, "a", 1, 2), (7, "a", -1, 3)), end()]
    transcript = play(windows, steps)
    assert transcript.results["n"].to_list() == [1, 1]
    assert transcript.late["row"].to_list() == [2]


SOME = rr.read({"key": ["a", "b"], "x": [1.0, 2.0]}, schema={"key": pl.String, "x": pl.Float64})


def fails(state, frame):
    raise KeyError("nothing here")


def forgets(state, frame):
    return frame


def other_columns(state, frame):
    return state, frame.with_columns(more=pl.lit(1)) if frame.height else frame


def keeps_an_instant(state, frame):
    return {"seen": [datetime(2026, 1, 1, tzinfo=UTC)]} if frame.height else None, frame


ERRORS = {
    "fails": (
        lambda: SOME.stateful(fails, by="key"),
        "stateful: fails cannot work on an empty frame, which is how its columns are found out: "
        "stateful: fails failed: KeyError: 'nothing here'\n"
        "  try: let it return an empty frame for an empty one, or say what comes out with schema={...}",
    ),
    "returns no state": (
        lambda: SOME.stateful(forgets, by="key", schema={"x": pl.Float64}).collect(),
        "stateful: forgets must return a state and a Polars frame, got DataFrame\n  try: return state, frame",
    ),
    "returns other columns": (
        lambda: SOME.stateful(other_columns, by="key", schema={"more": pl.Int64}).collect(),
        "stateful: other_columns returned other columns than for an empty frame: more is Int32\n"
        "  try: let it always return more Int64",
    ),
    "keeps what is not plain": (
        lambda: SOME.stateful(keeps_an_instant, by="key").collect(),
        "stateful: state['seen'][0] of keeps_an_instant is of type datetime, which cannot be written to a "
        "checkpoint\n  try: None, bool, int, float, str, lists, dicts with text keys, Polars frames and series",
    ),
    "begins with what is not plain": (
        lambda: SOME.stateful(running_sum, {1: 2}, by="key"),
        "stateful: init of running_sum is a dict whose keys are not all text, which cannot be written to a "
        "checkpoint\n  try: None, bool, int, float, str, lists, dicts with text keys, Polars frames and series",
    ),
    "too many keys": (
        lambda: (
            rr.read({"key": ["a", "b"], "x": [1.0, 2.0]}, limits=rr.Limits(max_keys=1))
            .stateful(running_sum, 0.0, by="key")
            .collect()
        ),
        "stateful: running_sum would have to remember more than 1 keys of key\n"
        "  try: rr.read(..., limits=rr.Limits(max_keys=...)), or fewer keys in by=",
    ),
    "no function": (
        lambda: SOME.stateful("sum", by="key"),
        "stateful: needs a function, got 'sum'\n  try: .stateful(fn, init, by=...)",
    ),
}


@pytest.mark.parametrize(("made", "text"), ERRORS.values(), ids=ERRORS)
def test_refused(made, text):
    with pytest.raises(rr.PlanError) as caught:
        made()
    assert str(caught.value) == text
