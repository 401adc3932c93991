"""However many keys there are, so many are remembered; what becomes of others is that of a loop over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import riverrun as rr
from riverrun.kernel.key_limit import UNTIL, Instants, beyond_room
from riverrun.testing import Script, Transcript, end, play, rows
from tests.kernel.streams import examples, feed, played
from tests.reference import Event

OTHER = "__other__"
KINDS = {
    "tumbling": rr.tumbling("10s"),
    "hopping": rr.hopping("10s", every="5s"),
    "session": rr.session("5s"),
    "limited session": rr.session("5s", maximum="12s"),
    "counting": rr.counting(3),
}
KEYS = st.sampled_from([*"abcdef", None, OTHER])
EVENTS = st.lists(st.builds(Event, t=st.integers(0, 40), key=KEYS, x=st.integers(0, 9).map(float)), max_size=40)
CUTS = st.lists(st.integers(1, 39), max_size=6)


def limited(max_keys: int, delay: int | None = 60) -> rr.Stream:
    return feed(delay, limits=rr.Limits(max_keys=max_keys))


def beyond(transcript: Transcript) -> int:
    return sum(step.beyond_max_keys for step in transcript.moments[-1].steps)


def folded(rows: Sequence[tuple[str | None, int, int]], max_keys: int) -> Iterator[tuple[str | None, bool]]:
    """For each row (key, instant, until when it keeps its key known) the key that it counts for."""
    known: dict[str | None, int] = {}
    for key, now, until in rows:
        known = {other: end for other, end in known.items() if end > now}
        if key != OTHER and key not in known and len(known) >= max_keys and until > now:
            yield OTHER, True
            continue
        if key != OTHER and until > now:
            known[key] = max(until, known.get(key, until))
        yield key, False


# -- the rule ---------------------------------------------------------------------------------------


@examples(300)
@given(
    rows=st.lists(st.tuples(KEYS, st.integers(0, 30), st.integers(-3, 12)), max_size=30),
    cut=st.integers(0, 30),
    max_keys=st.integers(1, 4),
)
def test_a_batch_is_told_as_a_loop_over_its_rows_would(rows, cut, max_keys):
    rows = [
        (key, now, now + reach) for (key, _, reach), now in zip(rows, sorted(r[1] for r in rows), strict=True)
    ]
    expected = [key for key, _ in folded(rows, max_keys)]
    held: dict[str | None, int] = {}
    got = []
    for part in (rows[:cut], rows[cut:]):
        frame = pl.DataFrame(part, schema={"key": pl.String, "now": pl.Int64, "until": pl.Int64}, orient="row")
        known = pl.DataFrame(
            {"key": list(held), UNTIL: list(held.values())}, schema={"key": pl.String, UNTIL: pl.Int64}
        )
        excess = beyond_room(known, frame, ["key"], max_keys, Instants(frame["now"], frame["until"]))
        marks = [False] * len(part) if excess is None else excess.to_list()
        got += [OTHER if mark else key for (key, _, _), mark in zip(part, marks, strict=True)]
        for (key, now, until), mark in zip(part, marks, strict=True):
            held = {other: end for other, end in held.items() if end > now}
            if not mark and until > now:
                held[key] = max(until, held.get(key, until))
    assert got == expected


# -- windows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@examples(20)
@given(events=EVENTS, cuts=CUTS, delay=st.sampled_from([0, 60]))
def test_totals_stay_exact(kind, events, cuts, delay):
    stream = limited(2, delay).group_by("key").window(KINDS[kind])
    transcript = played(stream.agg(n=rr.count(), total=rr.sum("x")), events, cuts)
    results = transcript.results
    late = 0 if not transcript.late.height else transcript.late["row"].n_unique()
    times = 2 if kind == "hopping" else 1
    assert set(transcript.late["key"]) <= {event.key for event in events}
    if kind != "hopping" or delay == 60:
        assert results["n"].sum() + late * times == len(events) * times
        assert results["total"].sum() == times * sum(event.x for event in events) or late
    if kind in ("tumbling", "hopping") and results.height:
        others = results.filter(pl.col("key") != OTHER)
        assert others.group_by("window_end").len()["len"].max() in (None, 1, 2) or times == 2
    if delay == 60 and not any(event.key == OTHER for event in events):
        assert beyond(transcript) * times == results.filter(pl.col("key") == OTHER)["n"].sum()


@pytest.mark.parametrize("kind", KINDS)
@examples(30)
@given(events=EVENTS, cuts=CUTS, delay=st.sampled_from([0, 3, 60]), big=st.booleans())
def test_what_is_folded_does_not_depend_on_cuts(kind, events, cuts, delay, big):
    stream = limited(2, delay)
    # Rows that do not come to the step move the watermark all the same.
    stream = stream.filter(pl.col("x") > 2) if big else stream
    stream = stream.group_by("key").window(KINDS[kind]).agg(rows=rr.collect("row"))
    whole, cut = played(stream, events, []), played(stream, events, cuts)
    order = ["window_start", "window_end", "key", "rows"]
    assert whole.results.sort(order).equals(cut.results.sort(order))
    assert beyond(whole) == beyond(cut)


@examples(60)
@given(events=EVENTS, cuts=CUTS, delay=st.sampled_from([0, 3, None]), gap=st.integers(1, 8))
def test_sessions_fold_what_a_loop_over_the_rows_folds(events, cuts, delay, gap):
    late = feed(delay).group_by("key").window(rr.session(f"{gap}s")).agg(n=rr.count())
    if played(late, events, []).late.height:
        # Late rows have no session; which ones they are changes when keys are folded.
        events = sorted(events, key=lambda event: event.t)
    made, newest = [], -(10**6)
    for event in events:
        now = newest - delay if delay is not None else -(10**6)
        made.append((event.key, now, event.t + gap))
        newest = max(newest, event.t)
    counted = limited(2, delay).group_by("key").window(rr.session(f"{gap}s")).agg(rows=rr.collect("row"))
    transcript = played(counted, events, cuts)
    keys = {row: key for key, held in transcript.results.select("key", "rows").rows() for row in held}
    assert [keys[place] for place in range(len(events))] == [key for key, _ in folded(made, 2)]
    assert beyond(transcript) == sum(excess for _, excess in folded(made, 2))


@examples(60)
@given(events=EVENTS, cuts=CUTS, lateness=st.sampled_from([0, 4, 30]))
def test_sessions_with_late_rows_fold_the_same_whatever_the_cut(events, cuts, lateness):
    stream = limited(2, 0).group_by("key").window(rr.session("4s"), lateness=f"{lateness}s")
    stream = stream.agg(rows=rr.collect("row"))
    whole, cut = played(stream, events, []), played(stream, events, cuts)
    order = ["window_start", "window_end", "key", "rows"]
    assert whole.results.sort(order).equals(cut.results.sort(order))
    assert whole.late.sort("row").equals(cut.late.sort("row"))
    assert beyond(whole) == beyond(cut)


@pytest.mark.parametrize("kind", ["tumbling", "hopping", "cumulating"])
@examples(30)
@given(events=EVENTS, cuts=CUTS)
def test_late_rows_of_fixed_windows_fold_the_same_whatever_the_cut(kind, events, cuts):
    window = rr.cumulating("10s", "5s") if kind == "cumulating" else KINDS[kind]
    stream = limited(2, 0).group_by("key").window(window, lateness="30s").agg(rows=rr.collect("row"))
    whole, cut = played(stream, events, []), played(stream, events, cuts)
    # Rows of one revision stand in the order in which partials were merged.
    order = ["window_end", "key", "revision"]
    told = [t.results.with_columns(pl.col("rows").list.sort()).sort(order) for t in (whole, cut)]
    assert told[0].equals(told[1])
    assert beyond(whole) == beyond(cut)
    last = told[0].group_by("window_end", "key").agg(pl.all().sort_by("revision").last())
    parts = 2 if kind == "hopping" else 1
    if last.height:
        # In each pane, and among the rows behind the watermark, two keys and the others.
        assert last.group_by("window_end").len()["len"].max() <= 2 * (parts + 1) + 1
    late = set(whole.late["row"].to_list())
    held = {place for places in last["rows"] for place in places}
    assert held | late == set(range(len(events)))


def test_numbers_beyond_the_limit_become_null():
    stream = feed(60, limits=rr.Limits(max_keys=1)).with_columns(key=pl.col("row"))
    counted = stream.group_by("key").window(rr.counting(5)).agg(n=rr.count())
    results = played(counted, [Event(t, "a", 1.0) for t in range(3)], []).results
    assert results.select("key", "n").rows() == [(0, 1), (None, 2)]


# -- every row --------------------------------------------------------------------------------------

#: Told by sums, by merging row by row, by merging tables.
AGGREGATES: dict[str, Callable[[], rr.Aggregate]] = {
    "sums": lambda: rr.sum("x"),
    "paired": lambda: rr.skew("x"),
    "tables": lambda: rr.collect("row"),
}


@pytest.mark.parametrize("told", AGGREGATES)
@pytest.mark.parametrize("period", [None, 3, 12])
@examples(30)
@given(events=EVENTS, cuts=CUTS, delay=st.sampled_from([60, 5]))
def test_rolling_and_running_fold_in_the_order_of_event_time(told, period, events, cuts, delay):
    grouped = limited(2, delay).group_by("key")
    windowed = grouped.running() if period is None else grouped.rolling(f"{period}s")
    stream = windowed.agg(value=AGGREGATES[told](), n=rr.count())
    transcript = played(stream, events, cuts)
    late = set(transcript.late["row"].to_list())
    ordered = sorted(
        ((event, place) for place, event in enumerate(events) if place not in late), key=lambda pair: pair[0].t
    )
    reach = 10**6 if period is None else period
    keys = list(folded([(event.key, event.t, event.t + reach) for event, _ in ordered], 2))
    results = transcript.results
    assert results["row"].to_list() == [place for _, place in ordered]
    assert results["key"].to_list() == [key for key, _ in keys]
    assert beyond(transcript) == sum(excess for _, excess in keys)
    counts = []
    for at, ((event, _), (key, _)) in enumerate(zip(ordered, keys, strict=True)):
        upto = [
            place
            for place, ((other, _), (other_key, _)) in enumerate(zip(ordered, keys, strict=True))
            if other_key == key and (place <= at if period is None else event.t - reach < other.t <= event.t)
        ]
        counts.append(len(upto))
    assert results["n"].to_list() == counts


# -- cleaning ---------------------------------------------------------------------------------------


@examples(100)
@given(
    events=st.lists(
        st.builds(Event, t=st.integers(0, 40), key=KEYS, x=st.sampled_from([1.0, 2.0, None])), max_size=30
    ),
    cuts=CUTS,
    delay=st.sampled_from([0, 4, None]),
    max_age=st.sampled_from([1, 5, 50]),
    filtered=st.booleans(),
)
def test_old_values_make_room_for_those_of_other_keys(events, cuts, delay, max_age, filtered):
    newest, known, excess, expected = -(10**6), {}, 0, []
    passing = [(place, e) for place, e in enumerate(events) if not filtered or e.t % 3]
    for place, event in passing:
        now = newest - delay if delay is not None else -(10**6)
        known = {key: held for key, held in known.items() if held[1] + max_age >= now}
        value, fills = event.x, event.key in known
        if event.x is None and fills:
            last, _, since = known[event.key]
            seen = now if event.t < now else since
            value = last if abs(event.t - since) <= max_age and since + max_age >= seen else None
        if event.x is not None and fills:
            known[event.key] = (event.x, max(known[event.key][1], event.t), event.t)
        elif event.x is not None and event.t + max_age >= now:
            if len(known) < 2:
                known[event.key] = (event.x, event.t, event.t)
            else:
                excess += 1
        expected.append((place, value))
        newest = max(newest, event.t)
    stream = limited(2, delay)
    stream = stream.filter(pl.col("t").dt.epoch("s") % 3 != 0) if filtered else stream
    transcript = played(stream.forward_fill("x", by="key", max_age=f"{max_age}s"), events, cuts)
    assert beyond(transcript) == excess
    if not filtered:
        assert dict(transcript.results.select("row", "x").rows()) == dict(expected)


# -- joins ------------------------------------------------------------------------------------------

SIDES = st.lists(
    st.tuples(st.sampled_from(["left", "right", "right"]), st.integers(0, 25), st.sampled_from("abcde")),
    max_size=40,
)


def joined(events, cuts, delay, max_keys, *, exact=True):
    made = {
        name: rr.read(
            f"tcp://localhost:{at}",
            format="csv",
            schema={"t": rr.Timestamp("s"), "key": pl.String, "place": pl.Int64},
            time="t",
            delay=f"{delay}s",
            name=name,
            limits=rr.Limits(max_keys=max_keys),
        )
        for at, name in enumerate(("left", "right"), start=1)
    }
    stream = made["left"].join_asof(made["right"], by="key", allow_exact_matches=exact)
    steps: list = []
    for place, (side, t, key) in enumerate(events):
        row = (t, key, place)
        if steps and steps[-1][0] == side and place not in cuts:
            steps[-1][1].append(row)
        else:
            steps.append((side, [row]))
    return play(stream, Script([*(rows(*group, source=side) for side, group in steps), end()]))


@examples(60)
@given(events=SIDES, cuts=CUTS, exact=st.booleans(), max_keys=st.integers(1, 4))
def test_the_first_keys_of_the_right_side_match(events, cuts, exact, max_keys):
    """A loop over the right rows in the order of event time, none of which is late."""
    right = sorted((t, place, key) for place, (side, t, key) in enumerate(events) if side == "right")
    first = list(dict.fromkeys(key for _, _, key in right))[:max_keys]
    expected = {}
    for place, (side, t, key) in enumerate(events):
        if side == "left":
            seen = [at for when, at, other in right if other == key and key in first and when < t + exact]
            expected[place] = seen[-1] if seen else None
    transcript = joined(events, cuts, 60, max_keys, exact=exact)
    assert dict(transcript.results.select("place", "place_right").rows()) == expected
    assert beyond(transcript) == sum(key not in first for _, _, key in right)


@examples(60)
@given(events=SIDES, cuts=CUTS, delay=st.sampled_from([0, 4]), exact=st.booleans())
def test_which_keys_match_does_not_depend_on_cuts(events, cuts, delay, exact):
    whole, cut = joined(events, [], delay, 2, exact=exact), joined(events, cuts, delay, 2, exact=exact)
    assert whole.results.equals(cut.results)
    assert beyond(whole) == beyond(cut)


# -- what is told -----------------------------------------------------------------------------------


def test_it_is_told_once_in_the_log_and_always_in_health(caplog):
    stream = limited(2).group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    transcript = played(stream, [Event(t, "abcabdd"[t], 1.0) for t in range(7)], [3, 5])
    (step,) = (step for step in transcript.moments[-1].steps if step.beyond_max_keys)
    assert (step.beyond_max_keys, step.warning) == (
        3,
        "aggregate by key, tumbling 10s has met more than 2 keys: rows of further ones are counted together, "
        "as __other__ (null if keys are no text); rr.Limits(max_keys=...) raises the limit",
    )
    assert [record.message for record in caplog.records] == [f"script: {step.warning}"]
