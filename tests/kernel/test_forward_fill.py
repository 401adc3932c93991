"""Filling forward agrees with a loop over the rows, on any input and however it is cut."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.batch import IMPUTED
from riverrun.kernel.forward_fill import ForwardFill
from riverrun.kernel.timed import Timeline
from tests.kernel.cleaning_reference import forward_fill
from tests.kernel.streams import examples, feed, played, seconds
from tests.reference import Event

X = st.one_of(st.none(), st.none(), st.floats(-5, 5))
EVENTS = st.lists(
    st.builds(
        Event,
        t=st.integers(-10, 60),
        key=st.sampled_from(["a", "b", None]),
        x=X,
        partition=st.sampled_from(["p", "p", "p", "q"]),
    ),
    max_size=40,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)
DELAYS = st.sampled_from([0, 2, 15, None])


@examples(150)
@given(EVENTS, CUTS, DELAYS, st.sampled_from([None, 0, 3, 10]))
def test_agrees_with_a_loop(events, cuts, delay, max_age):
    age = None if max_age is None else seconds(max_age)
    stream = feed(delay).forward_fill("x", by="key", max_age=age)
    expected = forward_fill(events, delay, max_age=max_age, max_keys=100)
    assert played(stream, events, cuts).results["x"].to_list() == expected


@examples(50)
@given(EVENTS, CUTS)
def test_agrees_with_polars_without_a_key(events, cuts):
    values = pl.Series([event.x for event in events], dtype=pl.Float64)
    filled = played(feed(None).forward_fill("x"), events, cuts).results["x"]
    assert filled.to_list() == values.forward_fill().to_list()


@examples(100)
@given(EVENTS, CUTS, st.sampled_from([1, 2]))
def test_keys_beyond_the_limit_are_not_filled(events, cuts, max_keys):
    stream = feed(None, limits=rr.Limits(max_keys=max_keys)).forward_fill("x", by="key")
    expected = forward_fill(events, None, max_age=None, max_keys=max_keys)
    assert played(stream, events, cuts).results["x"].to_list() == expected


def frame(*items):
    t, key, x, y = zip(*items, strict=True)
    times = pl.Series("t", t, pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        [times, pl.Series("key", key), pl.Series("x", x, pl.Float64), pl.Series("y", y, pl.Int64)]
    )


def test_filled_values_are_counted_row_by_row():
    operator = ForwardFill(["x", "y"], ["key"], None, max_keys=100)
    state, out = operator.step(
        operator.empty(), frame((0, "a", 1.0, 2), (1, "a", None, None), (2, "a", 3.0, None))
    )
    assert out.frames[0][IMPUTED].to_list() == [0, 2, 1]
    state, out = operator.step(state, frame((3, "a", 1.0, 2), (4, "b", None, None)))
    assert IMPUTED not in out.frames[0].columns
    again = frame((5, "a", None, 1)).with_columns(pl.lit(4, pl.UInt32).alias(IMPUTED))
    _, out = operator.step(state, again)
    assert out.frames[0][IMPUTED].to_list() == [5]


def test_silent_keys_are_forgotten():
    operator = ForwardFill(["x"], ["key"], Timeline("t"), max_age_us=10, max_keys=100)
    state = operator.empty()
    for t in range(100):
        state, _ = operator.step(state, frame((t, f"key {t}", 1.0, 1)))
        state, _ = operator.advance(state, t)
    assert operator.rows(state) == 11
