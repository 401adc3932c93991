"""Rolling aggregates told from the rows of each window are those that merging gives, however rows are cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.kernel.stretches import StretchState, StretchWindows
from riverrun.kernel.trailing import TrailingWindows
from riverrun.kernel.window_frame import WindowFrame
from riverrun.state.snapshot import Decoder, Encoder, frame_from_bytes
from riverrun.stats.program import Program
from riverrun.stats.quantiles import _counted, _selected
from riverrun.windows.describe import Trailing
from tests.kernel.streams import examples


@dataclass(frozen=True)
class Sum(rr.Aggregate):
    x: str
    reads = ("x",)

    def partial(self, x):
        return {"n": x.count(), "total": x.sum()}

    def merge(self, n, total):
        return {"n": n.sum(), "total": total.sum()}

    def result(self, n, total):
        return pl.when(n > 0).then(total)


EXACT = {
    "median": rr.median("x"),
    "some": rr.quantiles("x", [0.0, 0.1, 0.9, 1]),
    "iqr": rr.iqr("x"),
    "mad": rr.mad("x"),
    "ignoring": rr.quantile("x", 0.3, nan="ignore"),
    "distinct": rr.n_unique("row"),
    "values": rr.n_unique_exact("x"),
    "top": rr.top_k("t", 2),
    "mode": rr.mode("key"),
    "all": rr.collect("x"),
    "bins": rr.histogram("x", [-1, 0, 5]),
    "first": rr.first("x"),
    "own": Sum("row"),
}
CLOSE = {"ewm": rr.ewm_mean("x", "3us"), "off": rr.ewm_std("x", "3us"), "mean": rr.mean("x")}
ALL = {**EXACT, **CLOSE}
SCHEMA = {"t": pl.Datetime("us"), "key": pl.Int64, "x": pl.Float64, "row": pl.Int64}
X = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 1.5, 1.5, 1e9, math.nan, math.inf]))
POINTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 3), X), min_size=1, max_size=30)
CUTS = st.lists(st.integers(1, 30), max_size=4)
#: A few at a time: merging them all takes long.
NAMES = st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=3, unique=True)


def frame_of(points):
    ordered = sorted(points, key=lambda point: point[0])
    rows = [(t, key, x, row) for row, (t, key, x) in enumerate(ordered)]
    types = {**SCHEMA, "t": pl.Int64}
    return pl.DataFrame(rows, schema=types, orient="row").cast({"t": pl.Datetime("us")})


def windows_of(kind, aggregates, period_us, *, keyed=True, max_keys=100, **options):
    keys = ("key",) if keyed else ()
    frame = WindowFrame(tuple(SCHEMA), keys, tuple(map(pl.col, keys)), "t")
    return kind(Trailing(period_us), frame, Program(aggregates, SCHEMA), max_keys=max_keys, **options)


def kept(state):
    """A state that was written down and read again."""
    encoder = Encoder()
    document = encoder.encode(state, where="test")
    decoder = Decoder(lambda number, blobs=encoder.blobs: frame_from_bytes(blobs[number]))
    return decoder.decode(document, StretchState, where="test")


def run(windows, frame, cuts=(), *, keep=False):
    bounds = [0, *sorted({cut for cut in cuts if cut < frame.height}), frame.height]
    state, outs = windows.empty(), []
    for begin, end in pairwise(bounds):
        rows = frame[begin:end]
        state = kept(state) if keep else state
        state, _ = windows.step(state, rows)
        # The watermark is at the last row, so that rows of one instant come out together.
        state, out = windows.advance(state, int(rows["t"].to_physical()[-1]))
        outs += out.frames
    _, out = windows.advance(state, 10**9)
    return pl.concat([*outs, *out.frames])


@examples(40)
@given(POINTS, st.sampled_from([1, 5, 20, 1000]), CUTS, st.sampled_from([0, 3, 1000]), st.booleans(), NAMES)
def test_stretches_give_what_merging_gives(points, period_us, cuts, long, keyed, names):
    """`long`: windows of so many rows are merged, so that some, all or none are."""
    aggregates = {name: ALL[name] for name in names}
    near = [name for name in names if name in CLOSE]
    frame = frame_of(points)
    merged = run(windows_of(TrailingWindows, aggregates, period_us, keyed=keyed), frame)
    made = windows_of(StretchWindows, aggregates, period_us, keyed=keyed, long_window_rows=long, chunk_rows=7)
    told = run(made, frame, cuts, keep=True)
    assert told.select(pl.exclude(near)).equals(merged.select(pl.exclude(near)))
    scale = max((abs(x) for _, _, x in points if x is not None and math.isfinite(x)), default=0.0)
    for name in near:
        assert all(close(a, b, 1e-10 * scale) for a, b in zip(told[name], merged[name], strict=True)), name


def close(a, b, tolerance):
    if a is None or b is None:
        return a == b
    return abs(a - b) <= tolerance if math.isfinite(a) else a == b or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("rows", [999, 1_000, 1_001, 1_300])
def test_windows_of_many_values_are_told_by_buckets_in_both_ways(rows):
    frame = frame_of([(at, 1, math.sin(at) * 10 ** (at % 5)) for at in range(rows)])
    names = ("median", "some", "iqr", "mad")
    aggregates = {name: EXACT[name] for name in names}
    told = run(windows_of(StretchWindows, aggregates, 10_000), frame[-1100:])
    merged = run(windows_of(TrailingWindows, aggregates, 10_000), frame[-1100:])
    assert told.equals(merged)


@examples(60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(allow_nan=True)), min_size=1, max_size=60),
    st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.1, 0.25, 0.3, 0.9, 0.95])), min_size=1, max_size=4),
)
def test_values_next_to_a_quantile_are_found_without_sorting(values, shares):
    table = pl.DataFrame(sorted(values, key=lambda pair: pair[0]), schema=["g", "value"], orient="row")
    table = table.with_columns(pl.lit(1, pl.Int64).alias("count"))
    selected, sorted_ = _selected(table, ["g"], shares), _counted(table, ["g"], shares)
    columns = ["g", "n", "nan", *(f"{side}{at}" for at in range(len(shares)) for side in ("low", "high"))]
    both = [found.sort("g").filter(~pl.col("nan")).select(columns) for found in (selected, sorted_)]
    assert both[0].equals(both[1])
    assert selected.sort("g")["nan"].equals(sorted_.sort("g")["nan"])


def test_the_deviation_has_its_digits_far_from_zero():
    frame = frame_of([(at, 1, 1e9 + at % 3) for at in range(200)])
    windows = windows_of(StretchWindows, {"off": rr.ewm_std("x", "1s")}, 3)
    told = run(windows, frame)["off"]
    assert told[-1] == pytest.approx(math.sqrt(2 / 3), rel=1e-6)
    near = run(windows, frame.with_columns(pl.col("x") - 1e9))["off"]
    assert all(close(a, b, 1e-13) for a, b in zip(told, near, strict=True))


def test_keys_and_rows_that_have_left_are_forgotten():
    windows = windows_of(StretchWindows, {"m": rr.median("x")}, 1_000, max_keys=10_000)
    state = windows.empty()
    for first in range(0, 20_000, 50):
        rows = frame_of([(first + at, first + at, 1.0) for at in range(50)])
        state, _ = windows.step(state, rows)
        state, _ = windows.advance(state, first + 50)
    assert windows.rows(state) <= 1_000
    assert state.keys.height <= 2 * 1_000 + 256 + 50
