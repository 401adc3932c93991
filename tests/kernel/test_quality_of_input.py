"""What quality=True tells of what did not come into a result: refused records, and repetitions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, malformed, play, rows
from tests.kernel.streams import SCHEMA, examples, feed, seconds

KINDS = {
    "tumbling": rr.tumbling("10s"),
    "hopping": rr.hopping("10s", "5s"),
    "cumulating": rr.cumulating("10s", "5s"),
    "session": rr.session("5s"),
    "limited session": rr.session("5s", maximum="12s"),
    "counting": rr.counting(3),
    "counting, overlapping": rr.counting(4, every=2),
}
WITH_LATENESS = ["tumbling", "hopping", "cumulating", "session"]

TOLD = ("key", "window_start", "window_end", "rejected_rows", "duplicate_rows")


def told(results):
    """The counts of each result, in seconds."""
    bounds = (pl.col("window_start", "window_end").to_physical() // 1_000_000,)
    chosen = [name for name in TOLD if name in results.columns]
    return results.with_columns(*bounds).select(chosen).rows()


def test_a_refused_record_stands_where_its_partition_had_come_to():
    stream = feed(0).group_by("key").window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    script = [malformed(b"12,a,1,0\nwhat\n5,b,1,1\nis,this\n"), malformed(b"bad\n21,a,1,2\n?\n"), end()]
    assert told(play(stream, script).results) == [("a", 10, 20, 3, 0), ("a", 20, 30, 1, 0)]


def test_records_before_the_first_row_of_a_partition_stand_nowhere():
    stream = feed(0).group_by().window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    script = [malformed(b"bad\n"), malformed(b"bad\n1,a,1,0\nbad\n"), malformed(b"bad\n", partition="p"), end()]
    assert told(play(stream, script).results) == [(0, 10, 1, 0)]


def test_rows_that_are_refused_after_decoding():
    """A key that is too long, and no event time."""
    stream = feed(0, limits=rr.Limits(key_bytes=3)).group_by("key").window(rr.tumbling("10s"), quality=True)
    script = [rows((1, "a", 1.0, 0), (2, "long", 1.0, 1), (None, "a", 1.0, 2), (12, "a", 1.0, 3)), end()]
    assert told(play(stream.agg(n=rr.count()), script).results) == [("a", 0, 10, 2, 0), ("a", 10, 20, 0, 0)]


def test_repetitions_count_for_their_key_and_time():
    once = feed(10).unique(["row"], within="1m").filter(pl.col("x") > 0)
    stream = once.group_by("key").window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    first = rows((1, "a", 1.0, 0), (2, "b", 1.0, 1), (1, "a", 1.0, 0), (12, "a", 1.0, 2))
    second = rows((13, "b", 1.0, 1), (3, "a", -1.0, 0), (3, "a", 1.0, 0), (12, "a", 1.0, 4))
    results = play(stream, [first, second, end()]).results
    assert told(results) == [("a", 0, 10, 0, 2), ("b", 0, 10, 0, 0), ("a", 10, 20, 0, 0)]
    assert results["rows"].to_list() == [1, 1, 2]


def test_a_repetition_that_comes_when_its_window_is_over_stands_nowhere():
    once = feed(0).unique(["row"], within="1m")
    stream = once.group_by().window(rr.tumbling("10s"), lateness="1m", quality=True).agg(n=rr.count())
    script = [rows((1, "a", 1.0, 0), (12, "a", 1.0, 1), (1, "a", 1.0, 0), (2, "a", 1.0, 2)), end()]
    assert told(play(stream, script).results) == [(0, 10, 0, 0), (0, 10, 0, 0), (10, 20, 0, 0)]


def test_ways_end_where_rows_become_others():
    """Results of windows are no rows of the source; rows of a union are."""
    one, other = feed(0, name="one"), feed(0, name="other")
    both = rr.union(one, other.unique(["row"], within="1m"))
    first = both.group_by().window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    second = first.group_by().window(rr.tumbling("20s"), quality=True).agg(n=rr.sum("n"))
    script = [
        rows((1, "a", 1.0, 0), source="one"),
        malformed(b"2,b,1,1\nbad\n2,b,1,1\n", source="other"),
        end(),
    ]
    assert told(play(first, script).results) == [(0, 10, 1, 1)]
    assert told(play(second, script).results) == [(0, 20, 0, 0)]


@dataclass(frozen=True)
class Record:
    """One line of the input: a row, or something else."""

    t: int
    key: str
    row: int
    good: bool

    @property
    def line(self) -> bytes:
        return f"{self.t},{self.key},1.0,{self.row}\n".encode() if self.good else b"not a row\n"


RECORDS = st.lists(
    st.builds(
        Record,
        t=st.integers(-5, 60),
        key=st.sampled_from(["a", "b", ""]),
        row=st.integers(0, 4),
        good=st.sampled_from([True, True, True, False]),
    ),
    max_size=40,
)


def expected_instants(records, delay, within):
    """By a loop: the instants of refused records, and (key, instant, watermark before) of repetitions."""
    newest, refused, repeated, passed = None, [], [], {}
    for record in records:
        watermark = -(10**6) if newest is None else newest - delay
        if not record.good:
            refused += [] if newest is None else [newest]
            continue
        newest = record.t if newest is None else max(newest, record.t)
        if record.t + within < watermark:
            continue
        seen = passed.setdefault(record.row, [])
        if any(abs(record.t - other) <= within for other in seen):
            repeated.append((record.key or None, record.t, watermark))
        else:
            seen.append(record.t)
    return refused, repeated


@pytest.mark.parametrize("kind", KINDS)
@examples(12)
@given(
    records=RECORDS,
    cuts=st.sets(st.integers(1, 39), max_size=8),
    delay=st.sampled_from([0, 3, 20]),
    within=st.sampled_from([0, 10]),
    lateness=st.sampled_from([0, 15]),
)
def test_counts_are_those_of_a_loop_over_the_records(kind, records, cuts, delay, within, lateness):
    options = {"lateness": seconds(lateness)} if kind in WITH_LATENESS else {}
    once = feed(delay).unique(["row"], within=seconds(within))
    stream = once.group_by("key").window(KINDS[kind], **options, quality=True).agg(n=rr.count())
    places = [0, *sorted(cuts), len(records)]
    pieces = [b"".join(r.line for r in records[a:b]) for a, b in pairwise(places)]
    transcript = play(stream, [*(malformed(piece) for piece in pieces if piece), end()])
    refused, repeated = expected_instants(records, delay, within)
    for key, start, stop, rejected_rows, duplicate_rows in told(transcript.results):
        last = stop if "counting" not in kind else stop + 1
        assert rejected_rows == sum(start <= at < last for at in refused)
        mine = [at for other, at, mark in repeated if other == key and mark < last]
        assert duplicate_rows == sum(start <= at < last for at in mine)


FORMATS = {
    "csv": ("csv", lambda r: r.line, SCHEMA),
    "json": ("json", lambda r: b'{"t":%d}\n' % r.t if r.good else b"{\n", {"t": rr.Timestamp("s")}),
    "lines": (rr.Lines(r"^(?P<t>-?\d+),"), lambda r: r.line, {"t": rr.Timestamp("s")}),
}


@pytest.mark.parametrize("form", FORMATS)
@examples(8)
@given(records=RECORDS, cuts=st.sets(st.integers(1, 39), max_size=8))
def test_every_format_tells_where_a_bad_record_stood(form, records, cuts):
    """Long inputs are read by columns, short ones line by line."""
    records = records * 30
    described, line, schema = FORMATS[form]
    read = rr.read("tcp://localhost:9", format=described, schema=schema, time="t", delay="1h")
    stream = read.group_by().window(rr.tumbling("10s"), quality=True).agg(n=rr.count())
    places = [0, *sorted(cut * 30 for cut in cuts), len(records)]
    pieces = [b"".join(map(line, records[a:b])) for a, b in pairwise(places)]
    results = play(stream, [*(malformed(piece) for piece in pieces if piece), end()]).results
    refused, _ = expected_instants(records, 3600, 0)
    for start, stop, rejected_rows, _ in told(results):
        assert rejected_rows == sum(start <= at < stop for at in refused)


# -- behind joins, lookups and grids ----------------------------------------------------------------

NAMES = pl.DataFrame({"key": ["a", "b", ""], "name": ["A", "B", "E"]})


def quotes():
    """A right side: its own refused records and repetitions are none of the left rows."""
    schema = {"t": rr.Timestamp("s"), "key": pl.String, "bid": pl.Float64}
    return rr.read("tcp://localhost:8", format="csv", schema=schema, time="t", delay="1m", name="quotes")


#: Steps that put out each row once, at its time.
EACH = {
    "join_asof": lambda stream: stream.join_asof(quotes().unique("key", within="1m"), by="key"),
    "lookup": lambda stream: stream.lookup(NAMES, on="key"),
    "interpolate": lambda stream: stream.interpolate("x", by="key", within="5s"),
}


def windowed(stream, kind="tumbling", key="key"):
    return stream.group_by(key).window(KINDS[kind], quality=True).agg(n=rr.count())


def lines(records, cuts):
    bounds = [0, *sorted(cut for cut in set(cuts) if cut < len(records)), len(records)]
    parts = [b"".join(record.line for record in records[a:b]) for a, b in pairwise(bounds)]
    return [malformed(part, source="script") if part else rows(source="script") for part in parts]


@pytest.mark.parametrize("step", EACH)
@pytest.mark.parametrize("kind", ["tumbling", "session", "counting"])
@examples(8)
@given(records=RECORDS, cuts=st.lists(st.integers(1, 39), max_size=5))
def test_steps_that_keep_rows_change_nothing(step, kind, records, cuts):
    """As long as no row is behind the watermark."""
    once = feed(70, name="script").unique(["row", "key"], within="20s")
    other = [rows((1, "a", 1.0), (2, "a", 1.0), source="quotes")] if step == "join_asof" else []
    direct = play(windowed(once, kind), [*lines(records, []), end()]).results
    behind = play(windowed(EACH[step](once), kind), [*lines(records, cuts), *other, end()]).results
    order = ["key", "window_start", "window_end", "n"]
    assert sorted(told(behind), key=str) == sorted(told(direct), key=str)
    assert behind.sort(order)["rows"].to_list() == direct.sort(order)["rows"].to_list()


@pytest.mark.parametrize("step", EACH)
@examples(8)
@given(records=RECORDS, cuts=st.lists(st.integers(1, 39), max_size=5), delay=st.sampled_from([0, 5]))
def test_late_rows_and_repetitions_do_not_depend_on_cuts(step, records, cuts, delay):
    stream = windowed(EACH[step](feed(delay, name="script").unique(["row"], within="20s")), "hopping")
    whole, cut = play(stream, [*lines(records, []), end()]), play(stream, [*lines(records, cuts), end()])
    order = ["key", "window_start"]
    assert whole.results.sort(order).equals(cut.results.sort(order))


def test_a_repetition_behind_the_watermark_would_be_late_for_a_join():
    once = feed(0, name="script").unique(["row"], within="1m")
    stream = windowed(EACH["join_asof"](once))
    script = [malformed(b"1,a,1,0\n8,a,1,1\n1,a,1,0\n8,a,1,1\n", source="script"), end()]
    assert told(play(stream, script).results) == [("a", 0, 10, 0, 1)]


def test_repetitions_are_looked_up():
    once = feed(10).unique(["row"], within="1m")
    inner = once.lookup(NAMES.head(1), on="key", how="inner")
    script = [rows((1, "a", 1.0, 0), (1, "a", 1.0, 0), (2, "b", 1.0, 1), (2, "b", 1.0, 1)), end()]
    results = play(windowed(inner, key="name"), script).results
    assert results.select("name", "rows", "duplicate_rows").rows() == [("A", 1, 1)]


def test_a_key_that_a_join_has_found_is_none_of_a_repetition():
    once = feed(10, name="script").unique(["row"], within="1m")
    stream = windowed(once.join_asof(quotes().rename({"key": "symbol"})), key="symbol")
    script = [rows((1, "a", 1.0, 0), (1, "a", 1.0, 0), source="script"), end()]
    assert play(stream, script).results.select("rows", "duplicate_rows").rows() == [(1, 0)]


def test_refused_records_count_behind_a_grid_and_a_join_of_pairs():
    text = b"1,a,1.0,0\nbad\n12,a,1.0,1\n"
    grid = feed(0, name="script").resample("5s", by="key", columns=["x"], max_gap="20s")
    results = play(windowed(grid), [malformed(text, source="script"), end()]).results
    assert results["rejected_rows"].to_list() == [1, 0]
    pairs = feed(0, name="script").join_interval(quotes(), on="key", lower="-1s", upper="1s", how="left")
    results = play(windowed(pairs), [malformed(text, source="script"), end()]).results
    assert results["rejected_rows"].to_list() == [1, 0]


@pytest.mark.parametrize("how", ["asof", "interval"])
def test_values_that_were_filled_in_before_a_join_are_counted_behind_it(how):
    """On both sides."""
    left = feed(0, name="script").forward_fill("x", by="key")
    right = quotes().forward_fill("bid", by="key")
    if how == "asof":
        joined = left.join_asof(right, by="key")
    else:
        joined = left.join_interval(right, on="key", lower="-3s", upper="0s")
    script = [
        rows((1, "a", 1.0), (2, "a", None), source="quotes"),
        rows((1, "a", 1.0, 0), source="script"),
        rows((3, "a", None, 1), (4, "a", None, 2), source="script"),
        end(),
    ]
    results = play(windowed(joined), script).results
    # Rows at 1, 3 and 4 meet the quotes of 1, 2 and 2; within three seconds also 1 and 2, 1 and 2.
    expected = {"asof": (3, 4), "interval": (5, 6)}
    assert results.select("rows", "imputed_values").rows() == [expected[how]]
