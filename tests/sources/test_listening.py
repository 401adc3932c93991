"""What a listening source does with many producers: places, fairness, silent and broken ones."""

from __future__ import annotations

import pytest

from riverrun.errors import ConfigError, SourceError
from riverrun.limits import Limits
from riverrun.sources.tcp import TcpListen
from riverrun.sources.unix import UnixListen
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import TcpAddress, UnixAddress
from tests.sources.pumping import ends, pump, texts

DOOR = TcpAddress("127.0.0.1", 9999)


def listening(world: SimulatedWorld, **limits: float):
    return TcpListen(port=9999).open(world, Limits(**limits))


def test_each_connection_is_a_partition():
    world = SimulatedWorld()
    reader = listening(world)
    first, second = world.network.dial(DOOR), world.network.dial(DOOR)
    first.send(b"a\n")
    second.send(b"b\n")
    world.after("1s", lambda: first.send(b"hal"))
    world.after("2s", first.close)
    chunks = pump(world, reader)
    assert sorted(texts(chunks).values()) == [b"a\nhal", b"b\n"]
    assert [name.split("#")[1] for name in texts(chunks)] == ["1", "2"]
    assert list(ends(chunks).values()) == [True]
    assert reader.status == "listening at 127.0.0.1:9999, 1 connection"


def test_a_fast_sender_does_not_starve_others():
    world = SimulatedWorld()
    reader = listening(world)
    fast = world.network.dial(DOOR)
    slow = [world.network.dial(DOOR) for _ in range(9)]
    fast.send(b"f" * 50_000_000)
    for peer in slow:
        peer.send(b"s" * 200_000)
    received: dict[str, int] = {}
    for _ in range(12):
        for chunk in reader.poll(1_000_000):
            received[chunk.partition] = received.get(chunk.partition, 0) + len(chunk.data)
    others = [size for name, size in received.items() if not name.endswith("#1")]
    assert others == [200_000] * 9


def test_shares_are_equal_while_all_send():
    world = SimulatedWorld()
    reader = listening(world)
    for _ in range(10):
        world.network.dial(DOOR).send(b"x" * 10_000_000)
    received: dict[str, int] = {}
    reader.poll(1_000_000)  # the first turn finds out how many they are
    for _ in range(30):
        for chunk in reader.poll(1_000_000):
            received[chunk.partition] = received.get(chunk.partition, 0) + len(chunk.data)
    assert len(received) == 10
    assert min(received.values()) > 0.9 * max(received.values())


def test_one_sender_alone_gets_everything():
    world = SimulatedWorld()
    reader = listening(world)
    quiet = [world.network.dial(DOOR) for _ in range(20)]
    world.network.dial(DOOR).send(b"x" * 10_000_000)
    assert len(quiet) == 20
    assert sum(len(chunk.data) for chunk in reader.poll(2_000_000)) == 2_000_000


def test_when_full_new_ones_wait_until_a_place_is_free():
    world = SimulatedWorld()
    reader = listening(world, connections=2)
    first, second, third = (world.network.dial(DOOR) for _ in range(3))
    for peer, text in ((first, b"1\n"), (second, b"2\n"), (third, b"3\n")):
        peer.send(text)
    world.after("5s", first.close)
    chunks = pump(world, reader, lasting="4s")
    assert sorted(texts(chunks).values()) == [b"1\n", b"2\n"]
    assert reader.status == "listening at 127.0.0.1:9999, 2 connections (full: the limit is 2)"
    assert sorted(texts(pump(world, reader)[1:]).values()) == [b"3\n"]


def test_when_full_the_oldest_that_never_sent_makes_room():
    world = SimulatedWorld()
    reader = listening(world, connections=3, first_line_s=10)
    silent = [world.network.dial(DOOR)]
    reader.poll(1_000)
    world.advance("1s")
    silent += [world.network.dial(DOOR), world.network.dial(DOOR)]
    reader.poll(1_000)
    healthy = world.network.dial(DOOR)
    healthy.send(b"x\n")
    chunks = pump(world, reader, lasting="60s", until=bool)
    assert list(texts(chunks).values()) == [b"x\n"]
    assert world.clock.monotonic_us() == 10_000_000
    assert [peer.receive(1) for peer in silent] == [b"", None, None]
    assert reader.counters["connections_closed_silent"] == 1


@pytest.mark.parametrize("head", [b"", b"half a li"])
def test_behind_two_thousand_silent_ones_a_sender_is_heard_within_a_second(head):
    world = SimulatedWorld()
    reader = listening(world, connections_per_peer=10_000)
    silent = [world.network.dial(DOOR) for _ in range(2_000)]
    for peer in silent:
        peer.send(head)
    world.network.dial(DOOR).send(b"sound\n")
    heard = pump(world, reader, until=lambda chunks: any(chunk.data == b"sound\n" for chunk in chunks))
    assert b"sound\n" in texts(heard).values()
    # A real machine needs its time for two thousand connections, too, to be done within a second.
    assert world.clock.monotonic_us() <= 750_000


def test_once_nobody_waits_there_is_time_for_a_first_line_again():
    world = SimulatedWorld()
    reader = listening(world, connections=2, first_line_s=8)
    for _ in range(3):
        world.network.dial(DOOR)
    pump(world, reader, lasting="9s")
    assert reader.counters["connections_closed_silent"] == 1
    world.after("4s", lambda: world.network.dial(DOOR))
    world.after("4s", lambda: world.network.dial(DOOR))
    pump(world, reader, lasting="6s")
    assert reader.counters["connections_closed_silent"] == 2, "the second guest has had its time, not the third"
    pump(world, reader, lasting="2s")
    assert reader.counters["connections_closed_silent"] == 3, "in a crowd half a second will do"


def test_a_silent_connection_keeps_its_place_while_nobody_needs_it():
    world = SimulatedWorld()
    reader = listening(world, connections=1, first_line_s=10, idle_s=None)
    silent = world.network.dial(DOOR)
    pump(world, reader, lasting="60s")
    silent.send(b"late, but here\n")
    assert list(texts(pump(world, reader)).values()) == [b"late, but here\n"]


def test_when_full_the_longest_silent_makes_room_after_a_minute():
    world = SimulatedWorld()
    reader = listening(world, connections=2)
    first, second = world.network.dial(DOOR), world.network.dial(DOOR)
    for peer in (first, second):
        peer.send(b"x\n")
    reader.poll(1_000)
    world.advance("10s")
    first.send(b"again\n")
    reader.poll(1_000)
    third = world.network.dial(DOOR)
    third.send(b"new\n")
    chunks = pump(world, reader, lasting="90s", until=lambda chunks: any(c.data == b"new\n" for c in chunks))
    assert [chunk.partition.split("#")[1] for chunk in chunks] == ["2", "3"]
    assert world.clock.monotonic_us() == 60_000_000
    assert [peer.receive(1) for peer in (first, second, third)] == [None, b"", None]
    assert reader.counters["connections_closed_for_others"] == 1


def test_a_silent_sender_is_left_alone_unless_told_otherwise():
    world = SimulatedWorld()
    reader, strict = listening(world), TcpListen(port=9998).open(world, Limits(idle_s=60))
    peers = [world.network.dial(TcpAddress("127.0.0.1", port)) for port in (9999, 9998)]
    for one, peer in zip((reader, strict), peers, strict=True):
        peer.send(b"x\n")
        one.poll(1_000)
    world.advance("1d")
    assert reader.poll(1_000) == []
    assert [chunk.end for chunk in strict.poll(1_000)] == [True]
    assert strict.counters["connections_closed_idle"] == 1


def test_what_is_held_is_no_more_than_a_line_for_each_connection():
    world = SimulatedWorld()
    reader = listening(world, line_bytes=100)
    for size in (50, 100, 700):
        world.network.dial(DOOR).send(b"x" * size)
    reader.poll(10_000)
    assert reader.held_bytes == 250
    newest = reader.relieve()
    assert ([chunk.end for chunk in newest], reader.held_bytes) == ([True], 150)
    assert reader.counters["connections_closed_for_memory"] == 1


def test_one_host_may_not_take_all_places():
    world = SimulatedWorld()
    reader = listening(world, connections_per_peer=2)
    greedy = [world.network.dial(DOOR, host="10.0.0.1") for _ in range(4)]
    other = world.network.dial(DOOR, host="10.0.0.2")
    other.send(b"x\n")
    assert [chunk.data for chunk in reader.poll(1_000)] == [b"x\n"]
    assert [peer.receive(1) for peer in greedy] == [None, None, b"", b""]
    assert reader.counters["connections_refused_per_peer"] == 2


def test_a_broken_connection_costs_no_other():
    world = SimulatedWorld()
    reader = listening(world)
    broken, sound = world.network.dial(DOOR), world.network.dial(DOOR)
    broken.send(b"a")
    world.after("1s", broken.reset)
    world.after("2s", lambda: sound.send(b"b\n"))
    chunks = pump(world, reader)
    assert sorted(texts(chunks).values()) == [b"a", b"b\n"]
    assert list(ends(chunks).values()) == [True]
    assert reader.counters["connections_broken"] == 1


def test_who_comes_and_goes_without_a_byte_leaves_no_trace():
    world = SimulatedWorld()
    reader = listening(world)
    world.network.dial(DOOR).close()
    assert pump(world, reader) == []
    assert reader.counters["connections"] == 1


def test_it_does_not_spin_while_it_is_full():
    world = SimulatedWorld()
    reader = listening(world, connections=1)
    for _ in range(2):
        world.network.dial(DOOR).send(b"x")
    reader.poll(1_000)
    assert not any(getattr(waitable, "ready", False) for waitable in reader.wait().ready)


def test_an_address_in_use_is_an_error():
    world = SimulatedWorld()
    listening(world)
    with pytest.raises(SourceError) as raised:
        listening(world)
    assert str(raised.value) == (
        "tcp+listen://127.0.0.1:9999: cannot listen at 127.0.0.1:9999: the address is already in use\n"
        "  try: is another riverrun running there? choose another address"
    )


def test_an_address_that_others_can_reach_needs_a_word():
    with pytest.raises(ConfigError) as raised:
        TcpListen("0.0.0.0", 9999)
    assert str(raised.value) == (
        "tcp+listen://0.0.0.0:9999: 0.0.0.0 can be reached from other machines, and this source asks nobody "
        "who they are\n"
        "  try: listen at 127.0.0.1, or say allow_unauthenticated=True if the network can be trusted"
    )
    assert TcpListen("0.0.0.0", 9999, allow_unauthenticated=True).port == 9999
    for host in ("::", "example.org", "192.168.0.4", ""):
        with pytest.raises(ConfigError):
            TcpListen(host, 9999)
    for host in ("localhost", "::1", "127.3.2.1"):
        assert TcpListen(host, 9999).host == host


def test_closing_frees_the_address():
    world = SimulatedWorld()
    reader = listening(world)
    peer = world.network.dial(DOOR)
    reader.poll(1_000)
    reader.close()
    reader.close()
    assert reader.finished
    assert peer.receive(1) == b""
    assert listening(world).address == DOOR


def test_unix_sockets_have_no_limit_per_peer():
    world = SimulatedWorld()
    reader = UnixListen("feed.sock").open(world, Limits(connections_per_peer=1))
    for _ in range(3):
        world.network.dial(UnixAddress("feed.sock")).send(b"x")
    assert [chunk.partition for chunk in reader.poll(1_000)] == ["feed.sock#1", "feed.sock#2", "feed.sock#3"]


def test_a_connection_that_never_ends_a_line_is_closed():
    world = SimulatedWorld()
    reader = listening(world, line_bytes=100)
    endless, sound = world.network.dial(DOOR), world.network.dial(DOOR)
    # One line over the limit is passed over by the format; it does not cost the connection.
    sound.send(b"x" * 500 + b"\nb\n")
    for _ in range(9):
        endless.send(b"y" * 100)
    world.after("1s", lambda: sound.send(b"c\n"))
    chunks = pump(world, reader)
    assert sorted(texts(chunks).values()) == [b"x" * 500 + b"\nb\nc\n", b"y" * 900]
    assert list(ends(chunks).values()) == [True]
    assert endless.receive(1) == b""
    assert sound.receive(1) is None
    assert reader.counters["connections_without_lines"] == 1
