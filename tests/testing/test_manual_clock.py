"""A clock that moves when told to, and only forward."""

from __future__ import annotations

import pytest

from riverrun.testing.manual_clock import ManualClock


def test_it_stands_still_until_it_is_moved():
    clock = ManualClock(now_us=5)
    assert (clock.now_us(), clock.monotonic_us()) == (5, 0)
    clock.advance(10)
    assert (clock.now_us(), clock.monotonic_us()) == (15, 10)


def test_it_does_not_go_back():
    with pytest.raises(ValueError, match="time does not go back: advance by -1 us"):
        ManualClock().advance(-1)
