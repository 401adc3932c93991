"""Waits grow, stay within bounds, and do not overflow."""

from __future__ import annotations

from riverrun.sources.backoff import Backoff

BACKOFF = Backoff(first_us=100_000, longest_us=1_000_000)


def test_waits_double_until_the_longest():
    assert [BACKOFF.wait_us(failures, chance=0) for failures in range(1, 7)] == [
        100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000,
    ]  # fmt: skip


def test_chance_shortens_by_up_to_half():
    assert BACKOFF.wait_us(1, chance=0.999_999) == 50_000


def test_after_a_week_of_failures():
    assert BACKOFF.wait_us(10**9, chance=0) == 1_000_000
