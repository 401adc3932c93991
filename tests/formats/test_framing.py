"""Lines out of bytes cut anywhere, and the limit on their length."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.formats.framing import Block, LineBuffer
from riverrun.ports import Rejected


def hash_of_pieces(record: bytes) -> str:
    """The hash of a record over the limit, as the documentation defines it."""
    hashed = b""
    for at in range(0, len(record), 65_536):
        hashed = hashlib.sha256(hashed + record[at : at + 65_536]).digest()
    return hashed.hex()


def test_whole_lines_come_out_and_the_rest_waits() -> None:
    buffer = LineBuffer(100)
    assert buffer.feed(b"one\ntw") == [Block(b"one\n", 0)]
    assert buffer.feed(b"o") == []
    assert buffer.feed(b"\nthree\n") == [Block(b"two\nthree\n", 4)]
    assert buffer.feed(b"four") == []
    assert buffer.finish(truncated=False) == [Block(b"four\n", 14)]


def test_whole_lines_are_handed_on_without_a_copy() -> None:
    data = b"line\n" * 10
    (block,) = LineBuffer(100).feed(data)
    assert isinstance(block, Block)
    assert block.data is data


@given(
    pieces=st.lists(st.text("ab\n\ufeff", max_size=6).map(str.encode), min_size=1, max_size=9),
    turns=st.data(),
)
def test_pieces_put_together_here_are_the_same_as_put_together_before(
    pieces: list[bytes], turns: st.DataObject
) -> None:
    here, before = LineBuffer(4), LineBuffer(4)
    while pieces:
        count = turns.draw(st.integers(1, len(pieces)))
        own, pieces = pieces[:count], pieces[count:]
        assert here.feed(own[-1], own[:-1]) == before.feed(b"".join(own))
        assert here.snapshot() == before.snapshot()
    assert here.finish(truncated=False) == before.finish(truncated=False)


def test_a_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    pieces = LineBuffer(5).feed(b"12345\n123456\n12345\n")
    assert [type(piece) for piece in pieces] == [Block, Rejected, Block]
    assert pieces[2] == Block(b"12345\n", 13)


def test_an_endless_line_is_not_kept() -> None:
    buffer = LineBuffer(1_000)
    for _ in range(500):
        assert buffer.feed(b"x" * 900) == []
        assert buffer._held_bytes <= 1_000
    (rejected,) = buffer.feed(b"\n")
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.length, rejected.head) == ("line-too-long", 450_000, b"x" * 256)
    assert rejected.sha256 == hash_of_pieces(b"x" * 450_000)
    assert buffer.feed(b"ok\n") == [Block(b"ok\n", 450_001)]


@pytest.mark.parametrize("size", [11, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_the_hash_of_a_long_line_does_not_depend_on_cuts_or_snapshots(size: int) -> None:
    data = bytes(range(97, 123)) * (size // 26 + 1)
    line = data[:size]
    (whole,) = LineBuffer(10).feed(line + b"\n")
    assert isinstance(whole, Rejected)
    assert whole.sha256 == hash_of_pieces(line)
    for step in (1_000, 65_536, 70_001):
        buffer = LineBuffer(10)
        for at in range(0, size, step):
            assert buffer.feed(line[at : at + step]) == []
            snapshot = buffer.snapshot()
            assert len(snapshot["held"]) + len((snapshot["skipped"] or {"piece": b""})["piece"]) <= 65_536
            buffer = LineBuffer(10, snapshot)
        assert buffer.feed(b"\n") == [whole]


def test_an_endless_line_that_never_ends_is_told_at_the_end() -> None:
    buffer = LineBuffer(10)
    assert buffer.feed(b"x" * 50) == []
    snapshot = buffer.snapshot()
    (rejected,) = buffer.finish(truncated=True)
    assert isinstance(rejected, Rejected)
    what = ("no-frame", "50 bytes without the end of a line, the limit is 10")
    assert (rejected.reason, rejected.detail) == what
    # A file may well end without a line end.
    (rejected,) = LineBuffer(10, snapshot).finish(truncated=False)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.detail) == ("line-too-long", "a line of 50 bytes, the limit is 10")


def test_the_mark_is_stripped_from_the_start_only_even_in_pieces() -> None:
    buffer = LineBuffer(100)
    assert buffer.feed(b"\xef") == []
    assert buffer.feed(b"\xbb") == []
    assert buffer.feed(b"\xbfa\n\xef\xbb\xbfb\n") == [Block(b"a\n\xef\xbb\xbfb\n", 3)]


def test_what_only_begins_like_a_mark_is_data() -> None:
    buffer = LineBuffer(100)
    assert buffer.feed(b"\xef") == []
    assert buffer.feed(b"a\n") == [Block(b"\xefa\n", 0)]
    lone = LineBuffer(100)
    assert lone.feed(b"\xef\xbb") == []
    assert lone.finish(truncated=False) == [Block(b"\xef\xbb\n", 0)]


def test_what_is_left_of_a_broken_connection_is_a_dead_letter() -> None:
    buffer = LineBuffer(100)
    buffer.feed(b"whole\nhal")
    (rejected,) = buffer.finish(truncated=True)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.head, rejected.position) == ("truncated", b"hal", 6)
