"""The feeds of the demos: times that go on when the data begin again, and what is broken on purpose."""

from __future__ import annotations

from itertools import islice, pairwise

from riverrun.demos import market_feed, ward_feed
from riverrun.testing.manual_clock import ManualClock


def test_prices_go_on_in_time_when_they_begin_again() -> None:
    _, lines = market_feed.prices()
    taken = list(islice(lines, 20_000))
    good = [line for line in taken if line.data not in market_feed.BROKEN]
    days = [line.data[:10] for line in good]

    assert days == sorted(days)
    assert days[-1] > b"2014"
    assert all(a.due_us <= b.due_us for a, b in pairwise(taken))
    # The first broken line comes early, so that a short look sees one.
    assert 66 <= len(taken) - len(good) <= 67


def test_both_feeds_keep_step() -> None:
    _, prices = market_feed.prices()
    _, returns = market_feed.returns()
    due = {line.data[:10]: line.due_us for line in islice(prices, 5_000) if line.data not in market_feed.BROKEN}
    assert all(due[line.data[:10]] == line.due_us for line in islice(returns, 1_000))


def test_the_ward_is_now() -> None:
    clock = ManualClock(1_790_000_000_000_000)
    header, lines = ward_feed.samples(clock)
    taken = list(islice(lines, 30_000))

    assert header == b"t_ms,patient,signal\n"
    first, last = (int(line.data.split(b",")[0]) for line in (taken[0], taken[-1]))
    assert first == 1_790_000_000_000
    assert last - first == taken[-1].due_us // 1_000
    assert last - first > 128_210  # it has begun again
