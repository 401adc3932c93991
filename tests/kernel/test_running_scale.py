"""Values measured by those before them agree with a loop over the rows, however these are cut."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

NUMBERS = st.one_of(
    st.floats(-100, 100).map(lambda x: round(x, 3)),
    st.floats(-100, 100).map(lambda x: round(x, 3)),
    st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0]),
)
EVENTS = st.lists(
    st.builds(Event, t=st.integers(0, 60), key=st.sampled_from(["a", "b", None]), x=NUMBERS), max_size=40
)
CUTS = st.lists(st.integers(1, 40), max_size=15)


def expected(events, judge, max_keys=100):
    """`judge` takes the values of the key before and a value."""
    before, made = {}, []
    for event in events:
        known = event.key in before or len(before) < max_keys
        values = before.setdefault(event.key, []) if known else []
        made.append(None if event.x is None else judge(values, event.x))
        values.append(event.x)
    return made


def finite(values):
    return [x for x in values if x is not None and math.isfinite(x)]


def zscore(values, x):
    values = finite(values)
    if len(set(values)) < 2:
        return None
    return (x - statistics.fmean(values)) / statistics.pstdev(values)


def minmax(values, x):
    values = finite(values)
    return (x - min(values)) / (max(values) - min(values)) if len(set(values)) > 1 else None


def within_sigmas(values, x, k=2.0, min_rows=3):
    values = finite(values)
    if len(values) < min_rows or math.isnan(x):
        return x
    mean, reach = statistics.fmean(values), k * statistics.pstdev(values)
    return min(max(x, mean - reach), mean + reach)


def within_fences(values, x, k=1.5, min_rows=3, last=5):
    values = finite(values[-last:])
    if len(values) < min_rows or math.isnan(x):
        return x
    low, high = np.quantile(values, [0.25, 0.75])
    return min(max(x, low - k * (high - low)), high + k * (high - low))


def within_deviations(values, x, k=3.0, min_rows=3, last=5):
    values = finite(values[-last:])
    if len(values) < min_rows or math.isnan(x):
        return x
    middle = statistics.median(values)
    reach = k * 1.4826022185056018 * statistics.median([abs(value - middle) for value in values])
    return min(max(x, middle - reach), middle + reach)


STEPS = {
    "zscore": (lambda rows: rows.normalise("x", by="key"), zscore),
    "minmax": (lambda rows: rows.normalise("x", by="key", method="minmax"), minmax),
    "sigma": (lambda rows: rows.clip_outliers("x", by="key", k=2, min_rows=3), within_sigmas),
    "iqr": (lambda rows: rows.clip_outliers("x", by="key", method="iqr", min_rows=3, last=5), within_fences),
    "mad": (
        lambda rows: rows.clip_outliers("x", by="key", method="mad", min_rows=3, last=5),
        within_deviations,
    ),
}
steps = pytest.mark.parametrize(("step", "judge"), STEPS.values(), ids=STEPS)


def agree(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        if a is None or b is None or math.isnan(b):
            assert a is b is None or math.isnan(a)
        else:
            assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


@steps
@examples(80)
@given(events=EVENTS, cuts=CUTS)
def test_agrees_with_a_loop(step, judge, events, cuts):
    agree(played(step(feed(None)), events, cuts).results["x"].to_list(), expected(events, judge))


@steps
@examples(30)
@given(events=EVENTS, cuts=CUTS)
def test_without_a_key_all_rows_belong_together(step, judge, events, cuts):
    together = [Event(event.t, None, event.x) for event in events]
    agree(played(step(feed(None)), together, cuts).results["x"].to_list(), expected(together, judge))


@steps
@examples(30)
@given(events=EVENTS, cuts=CUTS)
def test_keys_beyond_the_limit_are_strangers(step, judge, events, cuts):
    rows = feed(None, limits=rr.Limits(max_keys=1))
    agree(played(step(rows), events, cuts).results["x"].to_list(), expected(events, judge, max_keys=1))


def test_digits_are_kept_far_from_zero():
    values = [1e9 + x for x in (4, 7, 13, 16)] * 50
    got = rr.read({"x": values}).normalise("x").collect()["x"]
    exact = zscore([x - 1e9 for x in values[:-1]], values[-1] - 1e9)
    assert math.isclose(got[-1], exact, rel_tol=1e-12)


def test_several_columns_are_measured_apart():
    rows = rr.read({"x": [0.0, 2.0, 3.0], "y": [10.0, 30.0, 30.0]}).normalise(["x", "y"])
    assert rows.select("x", "y").collect().rows()[2] == (2.0, 1.0)
