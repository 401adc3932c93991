"""The newest row of each key, however rows are cut, and as a table in a sink."""

from __future__ import annotations

import duckdb
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

EVENTS = st.lists(
    st.builds(
        Event,
        t=st.integers(0, 20),
        key=st.sampled_from(["a", "b", None]),
        x=st.just(1.0),
        partition=st.sampled_from(["p", "p", "q"]),
    ),
    max_size=40,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)


def newest(events):
    partitions = sorted({event.partition for event in events})
    best = {}
    for place, event in enumerate(events):
        age = (event.t, partitions.index(event.partition), place)
        best[event.key] = max(age, best.get(event.key, age))
    return {key: age[2] for key, age in best.items()}


@examples(100)
@given(EVENTS, CUTS, st.sampled_from([0, 5]))
def test_the_table_is_right_after_every_batch(events, cuts, delay):
    transcript = played(feed(delay).latest("key"), events, cuts)
    table = {}
    for moment in transcript.moments:
        table |= dict(moment.results.select("key", "row").iter_rows())
        assert table == newest(events[: moment.counts.received])


@examples(50)
@given(EVENTS)
def test_row_by_row_every_change_comes_out(events):
    single = [Event(event.t, event.key, event.x) for event in events]
    transcript = played(feed(0).latest("key"), single, range(len(events)))
    changes, best = [], {}
    for place, event in enumerate(single):
        if event.t >= best.get(event.key, event.t):
            best[event.key] = event.t
            changes.append(place)
    assert transcript.results["row"].to_list() == changes


def test_old_rows_are_no_news():
    steps = [rows((5, "a", 1, 0)), rows((3, "a", 2, 1)), rows((5, "a", 3, 2)), end()]
    transcript = play(feed(0).latest("key"), steps)
    assert [transcript.after(step)["row"].to_list() for step in range(4)] == [[0], [], [2], []]
    assert transcript.counts.late == 0


def test_a_sink_holds_the_table(tmp_path):
    file = tmp_path / "table.duckdb"
    data = {"ts": [1, 2, 3, 4], "key": ["a", "b", "a", "c"], "x": [1, 2, 3, 4]}
    source = rr.read(data, schema={"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Int64}, time="ts")
    rr.run(source.latest("key").write(f"duckdb:{file}", table="newest", mode="upsert"))
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.sql("select key, x from newest order by key").fetchall() == [
            ("a", 3),
            ("b", 2),
            ("c", 4),
        ]


def test_keys_beyond_the_limit_do_not_come_out():
    transcript = play(
        feed(0, limits=rr.Limits(max_keys=2)).latest("key"),
        [
            rows((1, "a", 1, 0)),
            rows((2, "b", 1, 1), (3, "c", 1, 2)),
            rows((4, "c", 1, 3), (5, "a", 1, 4)),
            end(),
        ],
    )
    assert transcript.results["row"].to_list() == [0, 1, 4]
