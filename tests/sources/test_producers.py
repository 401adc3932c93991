"""The book-keeping of lines: what is new, what is safe, and whom to forget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.sources.producers import Hello, Ledger, Producers, read_hello


@pytest.mark.parametrize(
    ("line", "hello"),
    [
        (b"HELLO a\n", Hello("a")),
        (b"HELLO shop-1.x_Y 0\r\n", Hello("shop-1.x_Y", 0)),
        (b"HELLO \n", None),
        (b"HELLO a b\n", None),
        (b"HELLO a -1\n", None),
        (b"HELLO a#1\n", None),
        (b"HELLO " + b"a" * 65 + b"\n", None),
        (b"hello a\n", None),
    ],
)
def test_hello(line, hello):
    assert read_hello(line) == hello


@given(st.lists(st.integers(1, 5), max_size=8), st.integers(0, 60), st.lists(st.integers(1, 7), max_size=12))
def test_of_lines_that_are_sent_again_only_the_new_ones_are_taken(received, start, again):
    ledger = Ledger("p")
    for lines in received:
        ledger.took(lines, 2 * lines)
    total = sum(received)
    if not ledger.begin_at(start):
        assert start > total
        return
    number, taken = start, []
    for lines in again:
        data = b"".join(b"%d\n" % at for at in range(number, number + lines))
        number += lines
        new, known = ledger.new_of(data)
        assert known + new.count(b"\n") == lines
        taken += new.split()
    assert taken == [b"%d" % at for at in range(total, number)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.lists(st.integers(0, 100), max_size=8))
def test_lines_are_safe_once_all_their_bytes_are(received, positions):
    ledger = Ledger("p")
    for lines in received:
        ledger.took(lines, 10 * lines)
    ends = [sum(received[: count + 1]) for count in range(len(received))]
    reached = 0
    for position in positions:
        reached = max(reached, position)
        expected = max([lines for lines in ends if 10 * lines <= reached], default=0)
        assert ledger.safe(position) == ledger.durable == expected


def test_the_one_that_was_silent_for_longest_is_forgotten_first():
    producers = Producers(most=2, ttl_us=100)
    for at, name in enumerate(("a", "b", "c", "a")):
        producers.heard_of(name, at)
    assert [ledger.partition for ledger in producers.too_many(4, {})] == ["b"]
    assert [ledger.partition for ledger in producers.too_many(4, {"b": None})] == ["c"]
    assert [ledger.partition for ledger in producers.too_many(102, {"b": None})] == ["c"]
    assert [ledger.partition for ledger in producers.too_many(103, {})] == ["b", "c", "a"]
