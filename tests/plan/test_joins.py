"""What cannot be joined is refused where it is written, with what to do about it."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr

SCHEMA = {"ts": pl.Datetime("ms"), "symbol": pl.String, "price": pl.Float64}


def feed(**changed):
    schema = {name: dtype for name, dtype in {**SCHEMA, **changed}.items() if dtype is not None}
    return rr.read({name: [] for name in schema}, schema=schema, time="ts")


TRADES = feed()
QUOTES = feed()
REVISED = TRADES.group_by("symbol").window(rr.tumbling("10s"), lateness="1m").agg(n=rr.count())
COUNTS = TRADES.group_by("symbol").window(rr.tumbling("10s")).agg(n=rr.count())
TEN = rr.tumbling("10s")


def columns(stream):
    return dict(stream.collect().schema)


def test_the_columns_of_a_join():
    joined = TRADES.join_asof(feed(bid=pl.Float64), by="symbol")
    assert list(columns(joined)) == ["ts", "symbol", "price", "ts_right", "price_right", "bid"]
    pairs = TRADES.join_window(feed(price=None), on="symbol", window=TEN)
    assert list(columns(pairs)) == ["ts", "symbol", "price", "ts_right", "window_start", "window_end"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: TRADES.join_asof(QUOTES, by="symbl"),
            "join_asof: there is no column 'symbl' on the left side\n  try: did you mean 'symbol'?",
        ),
        (
            lambda: TRADES.join_asof(feed(symbol=None), by="symbol"),
            "join_asof: there is no column 'symbol' on the right side\n  try: one of: ts, price",
        ),
        (
            lambda: TRADES.join_interval(feed(symbol=pl.Int64), on="symbol", lower="0s", upper="1s"),
            "join_interval: the key 'symbol' is String on the left side and Int64 on the right\n"
            '  try: .cast({"symbol": pl.String}) on the right side, before the join',
        ),
        (
            lambda: TRADES.join_asof(QUOTES, by="price"),
            "join_asof: the key 'price' is Float64, which is no good for telling whether two are equal\n"
            "  try: join on whole numbers, text, dates or true and false",
        ),
        (
            lambda: TRADES.join_asof(QUOTES, by="symbol", direction="forward"),
            "join_asof: looking forward without a tolerance would wait for ever for keys that never come "
            "again\n"
            '  try: tolerance="10s": how far away a match may be',
        ),
        (
            lambda: TRADES.join_asof(QUOTES, direction="forwards"),
            "join_asof(direction=): 'forwards' is not among 'backward', 'forward', 'nearest'\n"
            "  try: did you mean 'forward'?",
        ),
        (
            lambda: TRADES.join_asof(QUOTES, tolerance="0s", allow_exact_matches=False),
            "join_asof: nothing is within no time and not at the same time\n"
            '  try: tolerance="10s", or leave out allow_exact_matches=False',
        ),
        (
            lambda: TRADES.join_interval(QUOTES, lower="5s", upper="-5s"),
            "join_interval: nothing lies between '5s' and '-5s' (closed='both')\n"
            '  try: lower="-5s", upper="5s": bounds on right time - left time',
        ),
        (
            lambda: TRADES.join_interval(QUOTES, lower="1s", upper="1s", closed="none"),
            "join_interval: nothing lies between '1s' and '1s' (closed='none')\n"
            '  try: lower="-5s", upper="5s": bounds on right time - left time',
        ),
        (
            lambda: TRADES.join_asof(REVISED, by="symbol"),
            "join_asof, right side: the rows of these results come again when they are revised, and would be "
            "joined twice\n"
            "  try: leave out lateness= and emit= in the first window, or give it a longer delay= in rr.read",
        ),
        (
            lambda: TRADES.select("symbol").join_asof(QUOTES, by="symbol"),
            "join_asof, left side: a step before has dropped the event-time column, which a join goes by\n"
            "  try: keep it in select(...), or do not drop it",
        ),
        (
            lambda: feed(price_right=pl.Int64).join_asof(QUOTES, by="symbol"),
            "join_asof: there would be two columns 'price_right'\n"
            '  try: .rename({"price": "their_price"}) on the right side, before the join',
        ),
        (
            lambda: COUNTS.join_window(QUOTES, on="symbol", window=TEN),
            "join_window: the column 'window_start' would be taken by the bounds of the window\n"
            '  try: .rename({"window_start": "earlier_window_start"}) before the join',
        ),
        (
            lambda: TRADES.join_window(QUOTES, on="symbol", window=rr.session("1m", maximum="1h")),
            "join_window: rows cannot be paired by session('1m', maximum='1h')\n  try: rr.tumbling(\"10s\")",
        ),
        (
            lambda: TRADES.join_asof(pl.DataFrame({"x": [1]})),
            "join_asof: the other side must be a stream, got shape: (1, 1)",
        ),
        (
            lambda: TRADES.join_asof(QUOTES, by=[pl.col("symbol")]),
            "join_asof(by=): a key of a join is the name of a column, got",
        ),
        (
            lambda: TRADES.union(REVISED.select("symbol")),
            "union, stream 2: streams that become one need the same columns, and here is no 'ts', no 'price'\n"
            "  try: rename(...), select(...) or drop(...) before the union",
        ),
        (
            lambda: TRADES.union(feed(price=pl.Int64)),
            "union, stream 2: the column 'price' is Int64, and Float64 in the first stream\n"
            '  try: .cast({"price": pl.Float64})',
        ),
        (
            lambda: REVISED.union(REVISED),
            "union: the rows of these results come again when they are revised, and nothing would tell which "
            "they replace",
        ),
        (rr.union, "union: there is nothing to unite\n  try: rr.union(a, b)"),
        (
            lambda: TRADES.union(QUOTES).late(),
            "late: no rows can come too late for 'union of 2 streams'",
        ),
    ],
)
def test_what_is_refused(make, text):
    with pytest.raises(rr.RiverrunError) as caught:
        make()
    assert str(caught.value).startswith(text)


def test_streams_with_different_event_times_are_no_union():
    other = rr.read(
        {"ts": [], "symbol": [], "price": [], "at": []}, schema={**SCHEMA, "at": pl.Datetime("ms")}, time="at"
    )
    with pytest.raises(rr.PlanError, match="the event time is the column 'ts', and 'at' in the first stream"):
        other.union(feed(at=pl.Datetime("ms")))


def test_a_union_takes_columns_in_any_order():
    first = rr.read({"x": [1], "y": [2]})
    second = rr.read({"y": [4], "x": [3]})
    assert first.union(second).select("x", "y").collect().sort("x").rows() == [(1, 2), (3, 4)]
