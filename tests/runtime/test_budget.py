"""The byte budget of all sources: what is charged is released, and reading pauses and goes on in time."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from riverrun.runtime.budget import Budget

LIMIT = 1_000

events = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.integers(0, 400)),
        st.tuples(st.just("release"), st.just(0)),
        st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 400)),
    ),
    max_size=60,
)


@given(events)
def test_it_agrees_with_a_list_of_what_is_there(events):
    budget, charged, held, paused = Budget(LIMIT), [], {}, False
    for what, size in events:
        if what == "charge":
            charged.append(size)
            budget.charge(size)
        elif what == "release":
            if not charged:
                continue
            budget.release(charged.pop(0))
        else:
            held[what] = size
            budget.hold(what, size)
        used = sum(charged) + sum(held.values())
        paused = used > 800 or (paused and sum(charged) > 0 and used > 500)
        assert budget.used_bytes == used
        assert budget.paused == paused
        most = max(held.values(), default=0)
        for source in range(3):
            gives_up = paused and not sum(charged) and held.get(source) == most
            assert budget.stuck(source) == gives_up


def test_a_reader_that_asks_first_overshoots_by_one_read_at_most():
    budget, read = Budget(LIMIT), 0
    while not budget.paused:
        budget.charge(64)
        read += 64
    assert 800 < read <= 800 + 64
    budget.release(read - 501)
    assert budget.paused
    budget.release(1)
    assert not budget.paused


def test_one_answer_to_a_source_that_was_not_paused_stays_within_the_limit():
    budget = Budget(LIMIT)
    budget.charge(800)
    assert not budget.paused
    assert 800 + budget.portion(1 << 20) <= LIMIT
    assert (Budget(1).portion(64), Budget(1 << 30).portion(64)) == (1, 64)


def test_waiting_ends_when_others_have_made_room():
    budget = Budget(LIMIT)
    budget.charge(900)
    threading.Thread(target=budget.release, args=(900,)).start()
    budget.wait(0, timeout_s=60)
    assert not budget.paused


def test_waiting_ends_for_the_one_who_has_to_give_up_something():
    budget = Budget(LIMIT)
    budget.charge(100)
    budget.hold(0, 400)
    budget.hold(1, 500)
    threading.Thread(target=budget.release, args=(100,)).start()
    budget.wait(1, timeout_s=60)
    assert (budget.stuck(0), budget.stuck(1)) == (False, True)
