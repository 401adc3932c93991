"""Which arrivals are shed when the queue is full: one table for each policy, and laws for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.runtime.overload import CALM_ARRIVALS, STRIDE_MAX, Shedding, Verdict


@pytest.mark.parametrize(
    ("policy", "when_full"),
    [
        ("block", Verdict.WAIT),
        ("drop_newest", Verdict.SHED),
        ("drop_oldest", Verdict.SHED_OLDEST),
        ("sample", Verdict.SHED),
    ],
)
def test_only_a_full_queue_sheds(policy, when_full):
    shedding = Shedding(policy)
    assert shedding.judge(full=False)[1] is Verdict.PUT
    assert shedding.judge(full=True)[1] is when_full


def judged(fulls, policy="sample"):
    shedding, verdicts = Shedding(policy), []
    for full in fulls:
        shedding, verdict = shedding.judge(full=full)
        verdicts.append(verdict)
    return shedding, verdicts


@given(st.lists(st.booleans(), max_size=300))
def test_sampling_follows_from_what_it_found_alone(fulls):
    once, again = judged(fulls), judged(fulls)
    assert once == again
    shedding, verdicts = once
    assert 1 <= shedding.stride <= STRIDE_MAX
    assert all(verdict is Verdict.SHED for full, verdict in zip(fulls, verdicts, strict=True) if full)


def test_the_stride_doubles_while_it_is_full_and_halves_when_it_is_calm():
    # Numbers 0, 2, 4 and 8 have their turn when the stride is 1, 2, 4 and 8; 1 is shed for its number.
    shedding, _ = judged([True] * 9)
    assert shedding.stride == 16
    calm, verdicts = judged([True] * 9 + [False] * (CALM_ARRIVALS * 4 + 1))
    assert calm.stride == 1
    assert verdicts[-1] is Verdict.PUT


def test_between_them_one_in_stride_is_kept():
    shedding, kept = Shedding("sample", stride=8), 0
    for number in range(CALM_ARRIVALS - 1):
        shedding, verdict = shedding.judge(full=False)
        assert (verdict is Verdict.PUT) == (number % 8 == 0)
        kept += verdict is Verdict.PUT
    assert kept == 2


@pytest.mark.parametrize(
    ("policy", "hint"),
    [
        ("reject", "reject is for senders who can be told so, over HTTP, which there is no source for yet"),
        ("drop-newest", "did you mean 'drop_newest'?"),
        ("fail", "one of: block, drop_newest, drop_oldest, sample"),
    ],
)
def test_an_unknown_policy(policy, hint):
    with pytest.raises(ConfigError) as raised:
        Limits(overload=policy)
    assert str(raised.value) == (
        f"Limits(overload=): there is no policy {policy!r} for overload\n  try: {hint}"
    )
