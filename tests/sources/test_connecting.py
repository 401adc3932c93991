"""What a connecting source does when the other end refuses, closes, breaks, or says nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.sources.tcp import Tcp
from riverrun.sources.unix import Unix
from riverrun.testing.simulated_network import close, pause, refuse, reset
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import TcpAddress, UnixAddress
from tests.sources.pumping import ends, pump, texts

SERVER = TcpAddress("localhost", 9999)


def test_each_connection_is_a_partition_that_ends_cut_off():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"a,1\n", pause("1s"), b"a,2\nhal", close(), b"b,1\n"])
    reader = Tcp("localhost", 9999).open(world, Limits())
    chunks = pump(world, reader)
    assert texts(chunks) == {"localhost:9999#1": b"a,1\na,2\nhal", "localhost:9999#2": b"b,1\n"}
    assert ends(chunks) == {"localhost:9999#1": True}
    assert reader.counters == {
        "connections": 2,
        "reconnects": 1,
        "connects_failed": 0,
        "connections_without_lines": 0,
    }
    assert reader.status == "connected to localhost:9999"


def test_without_reconnect_the_input_ends_when_the_peer_closes():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"a,1\n", close()])
    reader = Tcp("localhost", 9999, reconnect=False).open(world, Limits())
    chunks = pump(world, reader)
    assert reader.finished
    assert texts(chunks) == {"localhost:9999#1": b"a,1\n"}
    assert ends(chunks) == {"localhost:9999#1": True}
    assert reader.status == "ended: the peer closed the connection"


def test_without_reconnect_a_peer_that_sends_nothing_gives_an_empty_partition():
    world = SimulatedWorld()
    world.network.serve(SERVER, [pause("1s"), close()])
    chunks = pump(world, Tcp("localhost", 9999, reconnect=False).open(world, Limits()))
    assert texts(chunks) == {"localhost:9999#1": b""}


def test_without_reconnect_a_refusal_is_an_error_that_says_what_to_try():
    world = SimulatedWorld()
    reader = Tcp("localhost", 9999, reconnect=False).open(world, Limits())
    with pytest.raises(SourceError) as raised:
        reader.poll(1_000)
    assert str(raised.value) == (
        "tcp://localhost:9999: cannot connect to localhost:9999: connection refused\n"
        "  try: is the producer listening? for a trial: nc -lk 9999; with reconnect=True riverrun waits for it"
    )
    assert reader.finished


def test_a_refusal_is_waited_out():
    world = SimulatedWorld()
    reader = Tcp("localhost", 9999).open(world, Limits())
    assert reader.poll(1_000) == ()
    assert reader.status.startswith("waiting for localhost:9999: connection refused, again in 0.")
    world.after("20s", lambda: world.network.serve(SERVER, [b"x\n"]))
    chunks = pump(world, reader, lasting="60s")
    assert texts(chunks) == {"localhost:9999#1": b"x\n"}


def retries(world: SimulatedWorld, source: Tcp, count: int) -> list[int]:
    """The instants of the first attempts to connect, in microseconds."""
    world.network.serve(SERVER, [refuse()] * count)
    reader = source.open(world, Limits())
    instants = []
    for _ in range(count):
        assert reader.poll(1_000) == ()
        instants.append(world.clock.monotonic_us())
        world.wait((), reader.wait().until_us)
    return instants


def test_waits_double_up_to_the_longest_and_are_shortened_by_chance():
    instants = retries(SimulatedWorld(), Tcp("localhost", 9999, retry="200ms", retry_max="10s"), 12)
    waits = [later - earlier for earlier, later in pairwise(instants)]
    full = [min(200_000 * 2**index, 10_000_000) for index in range(len(waits))]
    assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits, full, strict=True))
    assert len(set(waits[-4:])) == 4, "waits of the same length are spread"


def test_the_same_seed_gives_the_same_waits():
    source = Tcp("localhost", 9999)
    assert retries(SimulatedWorld(seed=3), source, 8) == retries(SimulatedWorld(seed=3), source, 8)
    assert retries(SimulatedWorld(seed=3), source, 8) != retries(SimulatedWorld(seed=4), source, 8)


def test_a_server_that_only_accepts_and_closes_is_asked_less_and_less():
    world = SimulatedWorld()
    server = world.network.serve(SERVER, [close()] * 100)
    chunks = pump(world, Tcp("localhost", 9999).open(world, Limits()), lasting="60s")
    assert chunks == []
    assert server.attempts < 20


def test_a_server_that_sends_is_asked_again_soon():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"x\n", close()] * 50)
    chunks = pump(world, Tcp("localhost", 9999, retry="100ms").open(world, Limits()), lasting="10s")
    assert len(texts(chunks)) == 50


def test_a_broken_connection_is_made_anew():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"a\n", reset(), b"b\n"])
    chunks = pump(world, Tcp("localhost", 9999).open(world, Limits()))
    assert texts(chunks) == {"localhost:9999#1": b"a\n", "localhost:9999#2": b"b\n"}
    assert ends(chunks) == {"localhost:9999#1": True}


def test_a_peer_without_data_is_told_from_none():
    world = SimulatedWorld()
    world.network.serve(SERVER, [pause("1h")])
    reader = Tcp("localhost", 9999).open(world, Limits())
    assert reader.status == "about to connect to localhost:9999"
    reader.poll(1_000)
    assert reader.status == "connected to localhost:9999, no data yet"


def test_how_bytes_are_cut_does_not_change_them():
    sent = bytes(range(256)) * 40
    world = SimulatedWorld(seed=7, cut_bytes=300)
    world.network.serve(SERVER, [sent[:5_000], pause("1ms"), sent[5_000:], close()])
    chunks = pump(world, Tcp("localhost", 9999, reconnect=False).open(world, Limits()), max_bytes=1_000)
    assert texts(chunks) == {"localhost:9999#1": sent}
    assert len(chunks) > 40
    again = SimulatedWorld(seed=7, cut_bytes=300)
    again.network.serve(SERVER, [sent[:5_000], pause("1ms"), sent[5_000:], close()])
    assert pump(again, Tcp("localhost", 9999, reconnect=False).open(again, Limits()), max_bytes=1_000) == chunks


def test_a_poll_takes_no_more_than_it_may():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"x" * 10_000_000])
    reader = Tcp("localhost", 9999).open(world, Limits())
    assert [len(chunk.data) for chunk in reader.poll(3_000_000)] == [3_000_000]
    assert [len(chunk.data) for chunk in reader.poll(500_000)] == [500_000]


def test_closing_ends_it_and_may_be_done_twice():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"x"])
    reader = Tcp("localhost", 9999).open(world, Limits())
    reader.poll(1_000)
    reader.close()
    reader.close()
    assert reader.finished
    assert reader.poll(1_000) == ()


def test_unix_sockets_behave_the_same():
    world = SimulatedWorld()
    world.network.serve(UnixAddress("/run/feed.sock"), [refuse(), b"a\n", close(), b"b\n"])
    chunks = pump(world, Unix("/run/feed.sock").open(world, Limits()))
    assert texts(chunks) == {"/run/feed.sock#1": b"a\n", "/run/feed.sock#2": b"b\n"}
    with pytest.raises(SourceError, match=r"cannot connect to /none: connection refused"):
        Unix("/none", reconnect=False).open(world, Limits()).poll(1_000)


def test_a_peer_that_never_ends_a_line_is_left_and_tried_again_later_and_later():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"a\n" + b"x" * 900, close(), b"y" * 900, close(), b"b\n"])
    reader = Tcp("localhost", 9999).open(world, Limits(line_bytes=100))
    chunks = pump(world, reader)
    assert texts(chunks) == {
        "localhost:9999#1": b"a\n" + b"x" * 900,
        "localhost:9999#2": b"y" * 900,
        "localhost:9999#3": b"b\n",
    }
    assert ends(chunks) == {"localhost:9999#1": True, "localhost:9999#2": True}
    assert reader.counters["connections_without_lines"] == 2


def test_without_reconnect_the_input_ends_with_a_peer_that_never_ends_a_line():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"x" * 900, pause("1h")])
    reader = Tcp("localhost", 9999, reconnect=False).open(world, Limits(line_bytes=100))
    assert list(ends(pump(world, reader)).values()) == [True]
    assert reader.status == "ended: the peer sends no line ends"
