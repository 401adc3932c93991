"""Rolling aggregates told by sums of whole numbers: exact, however rows are cut and wherever values lie."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.kernel.paired_trailing import PairedTrailing
from riverrun.kernel.rolling import RollingState, RollingWindows, can_be_summed
from riverrun.kernel.window_frame import WindowFrame
from riverrun.state.snapshot import Decoder, Encoder, frame_from_bytes
from riverrun.stats.program import Program
from riverrun.windows.describe import Trailing
from tests.kernel.streams import examples, feed, played, seconds
from tests.laws.exact import moments
from tests.reference import Event

GOAL = 1e-13
#: The smallest double above 0: results near 0 are whole multiples of it, and may be off by one.
UNIT = Fraction(5e-324)
#: Levels far apart, what is not representable on any common grid, values that repeat, and spikes.
VALUES = st.one_of(
    st.none(),
    st.floats(-1.0, 1.0),
    st.floats(-1e-9, 1e-9),
    st.sampled_from([0.1, 0.1, 1e9 + 0.1, 1e9 + 0.2, 1e14, -1e300, 5e-324, 3.0]),
    st.sampled_from([1e-160, -3e-160, 2e-154, 1e-300, 1e-310]),
)
KEYS = st.sampled_from(["a", "b"])
CUTS = st.lists(st.integers(1, 60), max_size=20)
PERIODS = st.sampled_from([1, 5, 20, 1000])


def events_of(values, most=60):
    return st.lists(st.builds(Event, t=st.integers(0, 60), key=KEYS, x=values), max_size=most)


def windows_of(events, period):
    """For each row in the order of time, the values of its window, the slow and obvious way."""
    ordered = sorted(enumerate(events), key=lambda pair: pair[1].t)
    return [
        [e.x for _, e in ordered if e.key == own.key and own.t - period < e.t <= own.t] for _, own in ordered
    ]


@examples(150)
@given(events_of(VALUES), PERIODS, CUTS)
@example([Event(t=0, key="b", x=0.0), Event(t=0, key="b", x=5e-324)], 1, [])
@example([Event(t=0, key="a", x=-1e300), Event(t=0, key="b", x=5e-324)], 1, [])
@example([Event(t=0, key="a", x=1e300), Event(t=0, key="b", x=1e-160), Event(t=0, key="b", x=3e-160)], 1, [2])
def test_moments_are_exact(events, period, cuts):
    stream = feed(1000).group_by("key").rolling(seconds(period))
    stream = stream.agg(n=rr.count("x"), m=rr.mean("x"), v=rr.var("x"), s=rr.sum("x"))
    results = played(stream, events, cuts).results
    for row, held in zip(results.iter_rows(named=True), windows_of(events, period), strict=True):
        values = [x for x in held if x is not None]
        assert row["n"] == len(values)
        if not values:
            assert (row["m"], row["v"], row["s"]) == (None, None, 0.0)
            continue
        largest = max(map(abs, values))
        exact = [Fraction(x) for x in values]
        mean = sum(exact) / len(exact)
        spread = sum((x - mean) ** 2 for x in exact) / len(exact)
        assert off(row["m"], mean) <= Fraction(GOAL) * Fraction(largest) + UNIT
        assert off(row["s"], sum(exact)) <= Fraction(GOAL) * sum(map(abs, exact))
        if len(set(values)) == 1:
            assert (row["m"], row["v"]) == (values[0], 0.0)
        elif spread < 1e300:
            assert off(row["v"], spread) <= Fraction(GOAL) * spread + UNIT


def off(got, exact):
    return abs(Fraction(got) - exact)


@pytest.mark.parametrize(
    ("x", "y"), [(1e150, 1e-150), (1e200, 1e-200), (1e299, 1e-299), (1e-200, 1e100), (1e-160, 1e160)]
)
def test_a_covariance_is_as_exact_where_a_variance_leaves_the_range_of_doubles(x, y):
    schema = {"t": rr.Timestamp("s"), "x": pl.Float64, "y": pl.Float64}
    points = [(t, t * x, t * t * y) for t in range(5)]
    frame = pl.DataFrame(points, schema=["t", "x", "y"], orient="row")
    rolled = rr.read(frame, schema=schema, time="t").group_by().rolling("5s")
    got = rolled.agg(c=rr.cov("x", "y")).collect()["c"]
    for at in range(1, 5):
        exact = moments([p[1] for p in points[: at + 1]], [p[2] for p in points[: at + 1]])["cov"]
        assert off(got[at], exact) <= Fraction(GOAL) * exact


PLAIN = st.floats(-100, 100).map(lambda x: round(x, 3))


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 40), PLAIN, PLAIN), min_size=1, max_size=40), PERIODS, CUTS)
def test_two_columns_and_other_statistics_agree_with_slow_references(points, period, cuts):
    """Those told by sums, those merged row by row (skew), and those that need groups (ewm, quantile)."""
    schema = {"t": rr.Timestamp("s"), "x": pl.Float64, "y": pl.Float64}
    points = sorted(points, key=lambda point: point[0])
    grouped = rr.read(
        pl.DataFrame(points, schema=["t", "x", "y"], orient="row"), schema=schema, time="t"
    ).group_by()
    rolled = grouped.rolling(seconds(period))
    told = rolled.agg(
        cov=rr.cov("x", "y"),
        corr=rr.corr("x", "y"),
        line=rr.regression("y", "x"),
        weighted=rr.weighted_mean("x", pl.col("y").abs()),
    ).collect()
    merged = rolled.agg(skew=rr.skew("x"), kurtosis=rr.kurtosis("x")).collect()
    by_groups = rolled.agg(ewm=rr.ewm_mean("x", "7s"), median=rr.quantile("x", 0.5)).collect()
    for at, (t, _, _) in enumerate(points):
        held = [(s, x, y) for s, x, y in points if t - period < s <= t]
        xs, ys = [x for _, x, _ in held], [y for _, _, y in held]
        weights = [abs(y) for y in ys]
        if sum(weights) > 0:
            expected = sum(map(math.prod, zip(xs, weights, strict=True))) / sum(weights)
            assert told["weighted"][at] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert by_groups["median"][at] == pytest.approx(statistics.median(xs), abs=1e-9)
        aged = [2 ** ((s - t) / 7) for s, _, _ in held]
        expected = sum(map(math.prod, zip(xs, aged, strict=True))) / sum(aged)
        assert by_groups["ewm"][at] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        if len(set(xs)) < 2 or len(set(ys)) < 2:
            assert told["corr"][at] is None
            continue
        exact = {name: float(value) for name, value in moments(xs, ys).items()}
        line = told["line"][at]
        assert told["cov"][at] == pytest.approx(exact["cov"], rel=1e-10, abs=1e-10)
        assert told["corr"][at] ** 2 == pytest.approx(exact["corr"], rel=1e-10, abs=1e-12)
        assert line["slope"] == pytest.approx(exact["slope"], rel=1e-9, abs=1e-9)
        assert line["intercept"] == pytest.approx(exact["intercept"], rel=1e-9, abs=1e-7)
        root = math.copysign(math.sqrt(abs(exact["skew"])), exact["skew"])
        assert merged["skew"][at] == pytest.approx(root, rel=1e-9, abs=1e-9)
        assert merged["kurtosis"][at] == pytest.approx(exact["kurtosis"] - 3, rel=1e-9, abs=1e-9)


SPECIAL = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([1e9, math.nan, math.inf, -math.inf]))
EXACT = {
    "n": rr.count(),
    "nx": rr.count("x"),
    "nulls": rr.null_count("x"),
    "low": rr.min("x"),
    "high": rr.max("x"),
    "first": rr.first("x"),
    "last": rr.last("x"),
    "rows": rr.sum("row"),
    "bar": rr.ohlc("row"),
}
CLOSE = {
    "s": rr.sum("x"),
    "m": rr.mean("x"),
    "sd": rr.std("x"),
    "c": rr.cov("x", "row"),
    "ignoring": rr.mean("x", nan="ignore"),
}


@examples(100)
@given(events_of(SPECIAL, 90), PERIODS, CUTS, st.booleans(), st.booleans())
def test_sums_give_what_grouping_gives(events, period, cuts, keyed, extremes):
    """An aggregate that has to be grouped makes all of them go that way."""
    exact = EXACT if extremes else {name: EXACT[name] for name in ("n", "nx", "nulls", "rows")}
    rolled = feed(2).group_by(*(["key"] if keyed else [])).rolling(seconds(period))
    told = played(rolled.agg(**exact, **CLOSE), events, cuts).results
    grouped = played(rolled.agg(**exact, **CLOSE, all=rr.collect("row")), events, cuts).results
    assert told.select(pl.exclude(*CLOSE)).equals(grouped.select(pl.exclude(*CLOSE, "all")))
    scale = max((abs(e.x) for e in events if e.x is not None and math.isfinite(e.x)), default=0.0) + 100
    for name in CLOSE:
        tolerance = 1e-10 * scale * (100 if name in ("s", "c") else 1)
        assert all(close(a, b, tolerance) for a, b in zip(told[name], grouped[name], strict=True)), name


def close(a, b, tolerance):
    if a is None or b is None or not math.isfinite(a):
        return a == b or (a is not None and b is not None and math.isnan(a) and math.isnan(b))
    return abs(a - b) <= tolerance


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["rolling", "tumbling"])
def test_the_spread_of_a_single_value_that_is_not_finite_is_nan(value, kind):
    grouped = feed(0).group_by()
    windowed = grouped.rolling("10s") if kind == "rolling" else grouped.window(rr.tumbling("10s"))
    stream = windowed.agg(v=rr.var("x"), sd=rr.std("x"), c=rr.cov("x", "row"))
    (row,) = played(stream, [Event(t=1, key="a", x=value)], []).results.select("v", "sd", "c").rows()
    assert all(math.isnan(result) for result in row)


# -- what is remembered ---------------------------------------------------------------------------------


def operator(aggregates, period_us=1_000):
    schema = {"t": pl.Datetime("us"), "key": pl.Int64, "x": pl.Float64}
    frame = WindowFrame(tuple(schema), ("key",), (pl.col("key"),), "t")
    program = Program(aggregates, schema)
    kind = RollingWindows if can_be_summed(program) else PairedTrailing
    return kind(Trailing(period_us), frame, program, max_keys=100_000)


def batch(first_us, keys, rows=200, spike=0.0):
    times = pl.int_range(first_us, first_us + rows, eager=True)
    x = pl.Series([0.1 * (at % 7) + spike for at in range(rows)])
    frame = pl.DataFrame({"t": times.cast(pl.Datetime("us")), "x": x})
    return frame.with_columns(key=pl.Series([keys[at % len(keys)] for at in range(rows)]))


def run(aggregates, batches):
    windows = operator(aggregates)
    state, outs = windows.empty(), []
    for rows in batches:
        state, _ = windows.step(state, rows)
        state, out = windows.advance(state, int(rows["t"].cast(pl.Int64).max()) + 1)
        outs += out.frames
    return windows, state, outs


@pytest.mark.parametrize("aggregates", [{"m": rr.mean("x")}, {"m": rr.max("x")}, {"m": rr.skew("x")}])
def test_keys_and_rows_that_have_left_are_forgotten(aggregates):
    batches = [batch(first, range(first, first + 200)) for first in range(0, 20_000, 200)]
    windows, state, _ = run(aggregates, batches)
    # Merging row by row remembers two periods.
    assert windows.rows(state) <= 3 * 1_000
    assert state.keys.height <= 2 * 3 * 1_000 + 256 + 200


def test_a_state_that_was_kept_goes_on_alike():
    aggregates = {"m": rr.mean("x"), "v": rr.var("x"), "n": rr.count()}
    batches = [batch(first, [1, 2, 3], spike=1e12 if first == 1_000 else 0.0) for first in range(0, 4_000, 200)]
    windows, _, outs = run(aggregates, batches)
    state, again = windows.empty(), []
    for rows in batches:
        encoder = Encoder()
        document = encoder.encode(state, where="test")
        decoder = Decoder(lambda number, blobs=encoder.blobs: frame_from_bytes(blobs[number]))
        state = decoder.decode(document, RollingState, where="test")
        state, _ = windows.step(state, rows)
        state, out = windows.advance(state, int(rows["t"].cast(pl.Int64).max()) + 1)
        again += out.frames
    assert pl.concat(outs).equals(pl.concat(again))
