"""Session windows agree with a row-by-row engine, on any input and however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from tests.kernel.streams import examples, feed, late_of, played, results_of, seconds
from tests.reference import Event, Late, Sessions
from tests.reference_sessions import PartitionedSessions

X = st.one_of(st.none(), st.floats(-1e6, 1e6))
EVENTS = st.lists(
    st.builds(Event, t=st.integers(-10, 50), key=st.sampled_from(["a", "b", None]), x=X), max_size=40
)
TWO_PARTITIONS = st.lists(
    st.builds(
        Event,
        t=st.integers(-10, 50),
        key=st.sampled_from(["a", "b"]),
        x=st.just(1.0),
        partition=st.sampled_from(["p", "q"]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(1, 40), max_size=15)
DELAYS = st.sampled_from([0, 2, 15, None])


#: A source of several partitions; their rows are told apart.
SEVERAL = "tcp+listen://localhost:9"


def stream_of(gap, delay, lateness, *, keyed=True, **options):
    keys = ["key"] if keyed else []
    return (
        feed(delay, **options)
        .group_by(*keys)
        .window(rr.session(seconds(gap)), lateness=seconds(lateness))
        .agg(rows=rr.collect("row"), n=rr.count(), s=rr.sum("x"))
    )


def by_key(results):
    """Only keys are apart here: how rows are cut decides the order of results of different keys."""
    return sorted(results, key=lambda result: str(result.key))


@examples(100)
@given(EVENTS, st.sampled_from([3, 5, 10]), CUTS, DELAYS, st.sampled_from([0, 0, 4, 25]), st.booleans())
def test_agrees_with_the_row_by_row_engine(events, gap, cuts, delay, lateness, keyed):
    if not keyed:
        events = [Event(e.t, None, e.x) for e in events]
    expected = Sessions(gap, delay, lateness).run(events)
    transcript = played(stream_of(gap, delay, lateness, keyed=keyed), events, cuts)
    assert by_key(results_of(transcript)) == by_key(expected.results)
    if lateness == 0:
        assert results_of(transcript) == expected.results
    assert late_of(transcript) == expected.late
    assert all(n == len(held) for n, held in transcript.results.select("n", "rows").iter_rows())


@examples(60)
@given(TWO_PARTITIONS, st.sampled_from([3, 10]), CUTS, st.sampled_from([0, 2, 15]), st.sampled_from([0, 5, 30]))
def test_agrees_with_the_row_by_row_engine_over_two_partitions(events, gap, cuts, delay, lateness):
    """However rows are cut, results come in the same order."""
    partitions = sorted({event.partition for event in events})
    expected = PartitionedSessions(gap, delay, lateness, partitions).run(events)
    transcript = played(stream_of(gap, delay, lateness, url=SEVERAL), events, cuts)
    assert by_key(results_of(transcript)) == by_key(expected.results)
    if lateness == 0:
        assert results_of(transcript) == expected.results
    assert late_of(transcript) == expected.late


@examples(60)
@given(TWO_PARTITIONS, st.sampled_from([3, 10]), st.sampled_from([0, 2]), st.sampled_from([0, 5]), st.randoms())
def test_turns_of_partitions_change_nothing(events, gap, delay, lateness, chance):
    """Rows are told by their partition and their place in it."""
    of = {name: [event for event in events if event.partition == name] for name in "pq"}
    turns = [name for name in "pq" for _ in of[name]]
    found = []
    for _ in range(2):
        chance.shuffle(turns)
        left = {name: iter(of[name]) for name in "pq"}
        place = {name: iter(range(len(of[name]))) for name in "pq"}
        order = [(next(left[name]), (name, next(place[name]))) for name in turns]
        stream = stream_of(gap, delay, lateness, url=SEVERAL)
        transcript = played(stream, [event for event, _ in order], [])
        results = [
            (r.key, r.start, r.end, sorted(order[row][1] for row in r.rows), r.revision)
            for r in results_of(transcript)
        ]
        late = sorted((order[item.row][1], item.start, item.end) for item in late_of(transcript))
        found.append((sorted(results, key=str), late))
    assert found[0] == found[1]


def test_a_row_waits_until_the_other_partition_has_come_as_far():
    """Row 2 is behind its own partition; whether its session is over depends on the rows of the other."""
    stream = stream_of(5, 0, 0)
    events = [Event(0, "a", 1.0, "p"), Event(20, "a", 1.0, "p"), Event(6, "a", 1.0, "p")]
    more = [Event(t, "a", 1.0, "q") for t in (4, 8, 12, 16)]
    transcript = played(stream, [*events, *more], [])
    assert late_of(transcript) == []
    assert [result.rows for result in results_of(transcript)] == [(0, 1, 2, 3, 4, 5, 6)]
    assert late_of(played(stream, [*events, more[0], more[3]], [])) == [Late(2, 6, 11)]


def test_many_rows_that_have_to_be_judged_in_order():
    """More than are judged at a time; the sessions of one round go on in the next."""
    events = [Event(0, "a", 1.0), Event(1_000, "a", 1.0)]
    events += [Event(990 - place * 7 % 400, "ab"[place % 2], 1.0) for place in range(600)]
    expected = Sessions(5, 0, 500).run(events)
    transcript = played(stream_of(5, 0, 500), events, [300])
    assert by_key(results_of(transcript)) == by_key(expected.results)
    assert late_of(transcript) == expected.late


def test_a_late_row_that_had_to_wait_is_counted():
    events = [
        Event(0, "a", 1.0, "p"),
        Event(50, "a", 1.0, "p"),
        Event(6, "a", 1.0, "p"),
        Event(1, "b", 1.0, "q"),
    ]
    counts = played(stream_of(5, 0, 0), events, []).counts
    assert (counts.received, counts.applied, counts.late) == (4, 3, 1)


def test_a_session_that_no_row_can_revise_any_more_takes_none():
    """Found by thinking: it was forgotten only when the next session closed, which depends on the cut."""
    events = [Event(t, "a", 1.0) for t in (0, 11, 16, 9)]
    for cuts in ([], [1, 2, 3], [2], [3]):
        transcript = played(stream_of(5, 0, 4), events, cuts)
        assert late_of(transcript) == Sessions(5, 0, 4).run(events).late
        assert by_key(results_of(transcript)) == by_key(Sessions(5, 0, 4).run(events).results)
