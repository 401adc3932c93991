"""What waits for the engine: every arrival is taken or shed, once; ends are never lost; charges come back."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.runtime.budget import Budget
from riverrun.runtime.overload import Shedding
from riverrun.runtime.pump import Arrival
from riverrun.runtime.queue import Item, Queue

ROW = pl.DataFrame({"x": [1]})


def item(name: str, *, source: int = 0, end: bool = False, charged: int = 10) -> Item:
    return Item(source, (Arrival(name, ROW, end=end),), charged=charged)


def names(items) -> list[str]:
    return [arrival.partition for one in items for arrival in one.arrivals if arrival.records]


def drained(queue: Queue) -> list[Item]:
    taken = []
    while (one := queue.take(0)) is not None:
        taken.append(one)
    return taken


def fed(policy: str, count: int, budget: Budget | None = None) -> tuple[list[str], list[str]]:
    """The names of what is kept and shed of so many items that nobody takes meanwhile."""
    queue, shedding, shed = Queue(budget or Budget(1_000)), Shedding(policy), []
    for number in range(count):
        shedding, left_out = queue.put(item(str(number)), shedding)
        shed += [arrival.partition for arrival in left_out]
    return names(drained(queue)), shed


@pytest.mark.parametrize(
    ("policy", "kept", "shed"),
    [
        ("drop_newest", ["0", "1"], ["2", "3", "4", "5"]),
        ("drop_oldest", ["4", "5"], ["0", "1", "2", "3"]),
        ("sample", ["0", "1"], ["2", "3", "4", "5"]),
    ],
)
def test_what_each_policy_keeps(policy, kept, shed):
    assert fed(policy, 6) == (kept, shed)


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "sample"])
def test_without_room_in_the_budget_all_is_shed(policy):
    budget = Budget(100)
    budget.charge(1_000)
    assert fed(policy, 3, budget) == ([], ["0", "1", "2"])


def test_to_block_is_to_wait_for_a_place():
    queue = Queue(Budget(1_000))
    queue.put(item("0"))
    queue.put(item("1"))
    thread = threading.Thread(target=queue.put, args=(item("2"), Shedding("block")), daemon=True)
    thread.start()
    assert queue.backlog == 2
    assert names([queue.take(60)]) == ["0"]
    thread.join(60)
    assert names(drained(queue)) == ["1", "2"]


def test_no_source_takes_the_places_of_another():
    queue, shedding = Queue(Budget(1_000)), Shedding("drop_newest")
    for number in range(5):
        queue.put(item(f"fast-{number}"), shedding)
    queue.put(item("slow", source=1))
    assert names(drained(queue)) == ["fast-0", "fast-1", "slow"]


def test_the_end_of_a_partition_costs_nobody_rows():
    queue, shedding = Queue(Budget(1_000)), Shedding("drop_oldest")
    for name in ("0", "1"):
        shedding, _ = queue.put(item(name), shedding)
    queue.put(Item(0, (Arrival("1", ROW.clear(), end=True),)), shedding)
    taken = drained(queue)
    assert names(taken) == ["0", "1"]
    assert [(a.partition, a.end) for a in taken[-1].arrivals] == [("1", False), ("1", True)]


moves = st.lists(
    st.one_of(
        st.just("take"),
        st.tuples(st.integers(0, 1), st.booleans(), st.booleans()),
        st.tuples(st.just("held"), st.sampled_from([0, 100]), st.just(0)),
    ),
    max_size=60,
)


@given(moves, st.sampled_from(["drop_newest", "drop_oldest", "sample"]))
def test_every_arrival_is_taken_or_shed_and_every_end_is_taken(steps, policy):
    budget = Budget(100)
    queue = Queue(budget)
    policies, taken, shed, put, ends = [Shedding(policy)] * 2, [], [], [], []
    for number, step in enumerate(steps):
        if step == "take":
            one = queue.take(0)
            if one is not None:
                budget.release(one.charged)
                taken.append(one)
        elif step[0] == "held":
            budget.hold(9, step[1])
        else:
            source, end, rows = step
            arrival = Arrival(str(number), ROW if rows else ROW.clear(), end=end)
            budget.charge(7)
            policies[source], left_out = queue.put(Item(source, (arrival,), charged=7), policies[source])
            put += [str(number)] * rows
            ends += [str(number)] * end
            shed += [a.partition for a in left_out if a.records]
    budget.hold(9, 0)
    rest = drained(queue)
    assert budget.used_bytes == sum(one.charged for one in rest)
    assert sorted(names(taken + rest) + shed) == sorted(put)
    told = [a.partition for one in taken + rest for a in one.arrivals if a.end]
    assert sorted(told) == sorted(ends)
