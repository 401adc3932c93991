"""Acknowledgments: numbers that grow, producers that come back, and nothing that is taken twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.ports import Chunk
from riverrun.sources.tcp import TcpListen
from riverrun.sources.unix import UnixListen
from riverrun.testing.simulated_network import SimulatedConnection
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import TcpAddress
from tests.sources.pumping import ends, pump, texts

DOOR = TcpAddress("127.0.0.1", 9999)


def listening(world: SimulatedWorld, bookmark=None, limits: Limits | None = None, **options):
    reader = TcpListen(port=9999, ack=True, **options).open(world, limits or Limits())
    if bookmark is not None:
        reader.resume(json.loads(json.dumps(bookmark)))
    return reader


def safe(reader, chunks) -> None:
    """All of this is on the disk now."""
    for chunk in chunks:
        reader.acknowledge({chunk.partition: chunk.position + len(chunk.data)})


def answers(peer: SimulatedConnection) -> bytes:
    return peer.receive(1_000) or b""


def test_a_connection_counts_its_lines():
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    peer.send(b"one\ntwo\nthr")
    first = reader.poll(1_000)
    assert [(chunk.data, chunk.partition.split("#")[1]) for chunk in first] == [(b"one\ntwo\n", "1")]
    assert answers(peer) == b""
    safe(reader, first)
    assert answers(peer) == b"+2\n"
    peer.send(b"ee\n")
    second = reader.poll(1_000)
    assert [(chunk.data, chunk.position) for chunk in second] == [(b"three\n", 8)]
    safe(reader, second)
    assert answers(peer) == b"+3\n"


def test_many_lines_may_be_acknowledged_by_one_number():
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    chunks = []
    for number in range(5):
        peer.send(b"%d\n" % number)
        chunks += reader.poll(1_000)
    safe(reader, chunks[3:4])
    assert answers(peer) == b"+4\n"
    safe(reader, chunks)
    assert answers(peer) == b"+5\n"


def test_a_line_that_did_not_end_is_no_record():
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    peer.send(b"one\nhal")
    world.after("1s", peer.close)
    chunks = pump(world, reader)
    assert list(texts(chunks).values()) == [b"one\n"]
    assert list(ends(chunks).values()) == [True]


def test_a_producer_goes_on_across_connections():
    world = SimulatedWorld()
    reader = listening(world)
    first = world.network.dial(DOOR)
    first.send(b"HELLO shop 0\none\ntwo\n")
    chunks = list(reader.poll(1_000))
    assert answers(first) == b"+0\n"
    safe(reader, chunks)
    assert answers(first) == b"+2\n"
    first.close()
    second = world.network.dial(DOOR)
    second.send(b"HELLO shop 1\ntwo\nthree\n")
    chunks += reader.poll(1_000)
    assert answers(second) == b"+2\n"
    assert texts(chunks) == {"shop": b"one\ntwo\nthree\n"}
    assert ends(chunks) == {}
    assert reader.counters["duplicate_records"] == 1


def test_a_producer_that_does_not_say_where_it_stands_goes_on_from_the_answer():
    world = SimulatedWorld()
    reader = listening(world)
    first = world.network.dial(DOOR)
    first.send(b"HELLO shop\none\n")
    chunks = list(reader.poll(1_000))
    safe(reader, chunks)
    first.send(b"two\n")
    chunks += reader.poll(1_000)
    second = world.network.dial(DOOR)
    second.send(b"HELLO shop\n")
    chunks += reader.poll(1_000)
    # The second line was received, but is not safe yet: it is asked for again, and dropped.
    assert answers(second) == b"+1\n"
    second.send(b"two\nthree\n")
    chunks += reader.poll(1_000)
    assert texts(chunks) == {"shop": b"one\ntwo\nthree\n"}
    # The first connection of this producer was a dead one.
    assert answers(first) == b"+0\n+1\n"
    assert first.receive(1) == b""


def test_lines_that_are_missing_begin_a_partition_of_their_own():
    world = SimulatedWorld()
    reader = listening(world)
    first = world.network.dial(DOOR)
    first.send(b"HELLO shop\none\n")
    chunks = list(reader.poll(1_000))
    second = world.network.dial(DOOR)
    second.send(b"HELLO shop 500\nx\n")
    chunks += reader.poll(1_000)
    assert answers(second) == b"+500\n"
    assert texts(chunks) == {"shop": b"one\n", "shop@500": b"x\n"}
    assert ends(chunks) == {"shop": True}
    safe(reader, chunks)
    assert answers(second) == b"+501\n"
    again = reopened(world, reader, listening(SimulatedWorld()).bookmark(), chunks)
    third = world.network.dial(DOOR)
    third.send(b"HELLO shop 500\nx\ny\n")
    assert [(chunk.partition, chunk.data) for chunk in again.poll(1_000)] == [("shop@500", b"y\n")]


def reopened(world, reader, bookmark, chunks):
    reader.close()
    again = listening(world, bookmark)
    for chunk in chunks:
        assert again.replay(chunk) is chunk
    return again


@pytest.mark.parametrize(
    "line",
    [b"HELLO\n", b"HELLO a b c\n", b"HELLO a#1\n", b"HELLO " + b"x" * 200, b"HELLO " + b"x" * 200 + b"\n"],
)
def test_a_hello_that_cannot_be_read(line):
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    peer.send(line)
    plain = line == b"HELLO\n"
    assert [chunk.data for chunk in reader.poll(1_000)] == ([line] if plain else [])
    if not plain:
        assert answers(peer) == (
            b"-HELLO and a name of letters, digits, . _ - (64 at most), then maybe a number\n"
        )
        assert peer.receive(1) == b""
    assert reader.counters["hellos_refused"] == (0 if plain else 1)


def test_a_hello_that_comes_byte_by_byte():
    world = SimulatedWorld(cut_bytes=1)
    reader = listening(world)
    peer = world.network.dial(DOOR)
    peer.send(b"HELLO shop 0\none\ntwo\n")
    assert texts(pump(world, reader)) == {"shop": b"one\ntwo\n"}


def test_producers_are_forgotten_when_they_are_too_many_or_silent_for_too_long():
    world = SimulatedWorld()
    reader = listening(world, max_producers=2, producer_ttl="1h")
    chunks = []
    for name in (b"a", b"b", b"c"):
        peer = world.network.dial(DOOR)
        peer.send(b"HELLO %s\nx\n" % name)
        chunks += reader.poll(1_000)
        peer.close()
        chunks += reader.poll(1_000)
    assert ends(chunks) == {"a": True}
    chunks = pump(world, reader, lasting="61m")
    assert ends(chunks) == {"b": True, "c": True}
    assert reader.counters["producers"] == 0
    assert reader.bookmark()["producers"] == {}
    assert reader.counters["producers_forgotten"] == 3


class Reluctant(SimulatedConnection):
    """Takes so many bytes, and no more."""

    room = 0

    def send(self, data: bytes | memoryview) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        return super().send(bytes(data[:taken])) if taken else 0


def test_who_does_not_read_gets_the_newest_number_later():
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    listener = world.network._listeners[DOOR]
    reluctant = listener.waiting[0]
    reluctant.__class__ = Reluctant
    reluctant.room = 2
    for number in range(20):
        peer.send(b"%d\n" % number)
        safe(reader, reader.poll(1_000))
    assert answers(peer) == b"+1"
    assert reader.wait().until_us <= world.clock.monotonic_us() + 50_000
    reluctant.room = 100
    reader.poll(1_000)
    assert answers(peer) == b"\n+20\n"


lines = st.integers(0, 4)
events = st.lists(
    st.one_of(
        st.tuples(st.just("send"), lines),
        st.tuples(st.just("poll"), st.just(0)),
        st.tuples(st.just("safe"), st.just(0)),
        st.tuples(st.just("checkpoint"), st.just(0)),
        st.tuples(st.just("producer crashes"), st.just(0)),
        st.tuples(st.just("server crashes"), st.just(0)),
    ),
    max_size=40,
)


@given(events, st.booleans())
def test_every_line_arrives_once_whatever_crashes(events, says_where):
    """A producer that keeps what is not acknowledged, and a server that keeps what it acknowledges."""
    world = SimulatedWorld()
    reader = listening(world)
    bookmark, since, journal = reader.bookmark(), [], []
    waiting: list[Chunk] = []
    peer, acked, sent, made, hello, unread = None, 0, 0, 0, False, b""

    def connect() -> None:
        nonlocal peer, sent, hello, unread
        peer, hello, unread = world.network.dial(DOOR), not says_where, b""
        sent = acked
        peer.send(b"HELLO p %d\n" % acked if says_where else b"HELLO p\n")

    def listen() -> None:
        nonlocal acked, sent, hello, unread
        unread += answers(peer)
        whole, _, unread = unread.rpartition(b"\n")
        for line in whole.split():
            acked = max(acked, int(line[1:]))
            if hello:
                sent, hello = acked, False
        if not hello:
            while sent < made:
                peer.send(b"%d\n" % sent)
                sent += 1

    def poll() -> None:
        waiting.extend(reader.poll(1_000))

    def commit() -> None:
        journal.extend(waiting)
        since.extend(waiting)
        safe(reader, waiting)
        waiting.clear()

    connect()
    for event, count in events:
        if event == "send":
            made += count
            listen()
        elif event == "poll":
            poll()
        elif event == "safe":
            commit()
        elif event == "checkpoint":
            commit()
            bookmark, since = reader.bookmark(), []
        elif event == "producer crashes":
            peer.close()
            connect()
        else:
            reader = reopened(world, reader, bookmark, since)
            waiting.clear()
            connect()
    for _ in range(5):
        listen()
        poll()
        commit()
    listen()
    assert texts(journal).get("p", b"") == b"".join(b"%d\n" % number for number in range(made))
    assert acked == made


def test_settings():
    assert TcpListen(ack=True).acknowledges
    assert not TcpListen().acknowledges
    assert UnixListen("a.sock", ack=True).acknowledges
    with pytest.raises(ConfigError, match="max_producers is at least 1, got 0"):
        TcpListen(max_producers=0)
    with pytest.raises(ConfigError, match="producer_ttl must be longer than nothing"):
        UnixListen("a.sock", producer_ttl="0s")


def test_partitions_of_producers_go_on_and_those_of_connections_do_not():
    world = SimulatedWorld()
    reader = listening(world)
    for first_line in (b"HELLO shop\n", b"1\n"):
        world.network.dial(DOOR).send(first_line + b"x\n")
    chunks = reader.poll(1_000)
    assert len(chunks) == 2
    again = reopened(world, reader, listening(SimulatedWorld()).bookmark(), chunks)
    assert list(again.lasting) == ["shop"]


@pytest.mark.parametrize("hello", [b"", b"HELLO shop-1\n"])
def test_a_line_that_never_ends_is_handed_out_once_and_is_none_of_the_producer(hello):
    world = SimulatedWorld()
    reader = listening(world, limits=Limits(line_bytes=100))
    peer = world.network.dial(DOOR)
    peer.send(hello + b"one\n" + b"x" * 500)
    chunks = list(reader.poll(10_000))
    assert reader.held_bytes == 500
    peer.send(b"x" * 400)
    chunks += reader.poll(10_000)
    safe(reader, chunks)
    found = texts(chunks)
    whole = found.pop("shop-1", b"") + b"".join(found.values())
    assert (whole, reader.held_bytes) == (b"one\n" + b"x" * 900, 0)
    assert list(ends(chunks).values()) == [True]
    assert "shop-1" not in ends(chunks)
    assert reader.counters["connections_without_lines"] == 1
    again = world.network.dial(DOOR)
    again.send(b"HELLO shop-1\n")
    reader.poll(10_000)
    assert answers(again) == (b"+1\n" if hello else b"+0\n")
