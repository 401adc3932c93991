"""Windows that cannot be are refused when they are described, in words that help."""

from __future__ import annotations

import pytest

import riverrun as rr

FEED = rr.read(
    "tcp://localhost:9", format="csv", schema={"t": rr.Timestamp("s"), "k": rr.Timestamp("s")}, time="t"
)

LONGER = "a window must be longer than zero"
WHOLE = "a whole number of rows from 1 to 1,000,000,000 is needed, got"
REFUSED = {
    "tumbling 0": (lambda: rr.tumbling("0s"), f"tumbling: {LONGER}"),
    "tumbling -5": (lambda: rr.tumbling("-5s"), "tumbling(size=): a duration cannot be negative, got '-5s'"),
    "hopping 0": (lambda: rr.hopping("0s", "1s"), f"hopping: {LONGER}"),
    "hopping every 0": (lambda: rr.hopping("1s", "0s"), f"hopping: {LONGER}"),
    "cumulating 0": (lambda: rr.cumulating("0s", "1s"), f"cumulating: {LONGER}"),
    "cumulating by 0": (lambda: rr.cumulating("1d", "0s"), f"cumulating: {LONGER}"),
    "no multiple": (
        lambda: rr.cumulating("1h", "25m"),
        "cumulating: windows cannot grow by 25m up to 1h, which is no multiple of it\n"
        '  try: rr.cumulating("50m", "25m")',
    ),
    "step beyond size": (
        lambda: rr.cumulating("1m", "1h"),
        "cumulating: windows cannot grow by 1h up to 1m, which is no multiple of it\n"
        '  try: rr.cumulating("1h", "1h")',
    ),
    "session 0": (lambda: rr.session("0s"), "session: the gap must be longer than zero"),
    "maximum below gap": (
        lambda: rr.session("30m", maximum="5m"),
        "session(maximum=): a session is at least as long as its gap, 30m; it cannot be held to 5m\n"
        '  try: rr.session("30m", maximum="4h")',
    ),
    "counting 0": (lambda: rr.counting(0), f"counting(n=): {WHOLE} 0"),
    "counting a part": (lambda: rr.counting(2.5), f"counting(n=): {WHOLE} 2.5"),
    "counting every 0": (lambda: rr.counting(10, every=0), f"counting(every=): {WHOLE} 0"),
    "counting with gaps": (
        lambda: rr.counting(10, every=11),
        "counting(every=): rows between windows of 10 that begin every 11 would fall into none",
    ),
    "rolling 0": (lambda: FEED.group_by("k").rolling("0s"), "rolling: the period must be longer than zero"),
    "lateness of counting": (
        lambda: FEED.group_by("k").window(rr.counting(3), lateness="5s"),
        "window(lateness=): counting(3) takes rows in the order of event time, so a late row would change "
        "every window after it\n  try: leave it out, and let rows wait for each other: "
        'rr.read(..., delay="10s")',
    ),
    "early results of limited sessions": (
        lambda: FEED.group_by("k").window(rr.session("5s", maximum="1m"), emit="1s"),
        "window(emit=): session('5s', maximum='1m') takes rows in the order of event time, when they are "
        "final, so nothing can come early",
    ),
    "name of a column": (
        lambda: FEED.group_by("k").rolling("5s").agg(t=rr.count()),
        "agg: the result name 't' is taken\n  try: t_value=count()",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name):
    make, text = REFUSED[name]
    with pytest.raises(rr.RiverrunError) as caught:
        make()
    assert str(caught.value).startswith(text)


def test_windows_in_words():
    windows = [
        rr.cumulating("1d", "1h"),
        rr.cumulating("1d", "1h", offset="6h"),
        rr.counting(100, every=10),
        rr.counting(5),
        rr.session("30m", maximum="4h"),
    ]
    assert [str(window) for window in windows] == [
        "cumulating('1d', '1h')",
        "cumulating('1d', '1h', offset='6h')",
        "counting(100, 10)",
        "counting(5)",
        "session('30m', maximum='4h')",
    ]
    assert [window.words for window in windows] == [
        "windows that grow by 1h up to 1d",
        "windows that grow by 1h up to 1d",
        "windows of 100 rows every 10",
        "windows of 5 rows",
        "sessions with gaps under 30m, 4h at most",
    ]
    assert [window.short for window in windows] == [
        "cumulating 1d by 1h",
        "cumulating 1d by 1h",
        "counting 100 every 10",
        "counting 5",
        "session 30m up to 4h",
    ]


def test_a_rolling_aggregate_in_words():
    node = FEED.group_by("k").rolling("5m").agg(n=rr.count()).node
    assert node.label == "aggregate n=count() by k over rolling('5m')"
    assert (
        FEED.group_by().running().agg(n=rr.count()).node.label
        == "aggregate n=count() by everything over running()"
    )
