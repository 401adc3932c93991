"""Sources that cannot be read again never use the name of a partition twice."""

from __future__ import annotations

import json

from riverrun.limits import Limits
from riverrun.ports import Chunk
from riverrun.sources.stdin import Stdin
from riverrun.sources.tcp import Tcp, TcpListen
from riverrun.testing.simulated_network import close
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import TcpAddress
from tests.sources.pumping import pump

SERVER = TcpAddress("localhost", 9999)
DOOR = TcpAddress("127.0.0.1", 9999)


def resumed(source, world, reader, chunks=()):
    again = source.open(world, Limits())
    again.resume(json.loads(json.dumps(reader.bookmark())))
    for chunk in chunks:
        assert again.replay(chunk) is chunk
    return again


def test_a_source_that_connects():
    world = SimulatedWorld()
    world.network.serve(SERVER, [b"1\n", close(), b"2\n", close(), b"3\n"])
    source = Tcp("localhost", 9999)
    assert not source.replayable
    reader = source.open(world, Limits())
    pump(world, reader, until=lambda chunks: len(chunks) == 3)
    reader.close()
    world.network.serve(SERVER, [b"4\n"])
    again = resumed(source, world, reader, [Chunk("localhost:9999#3", b"", 0, 0)])
    assert [chunk.partition for chunk in pump(world, again, lasting="1s")] == ["localhost:9999#4"]
    assert again.counters == {
        "connections": 4,
        "reconnects": 3,
        "connects_failed": 0,
        "connections_without_lines": 0,
    }


def test_a_source_that_listens():
    world = SimulatedWorld()
    source = TcpListen(port=9999)
    reader = source.open(world, Limits())
    world.network.dial(DOOR).send(b"1\n")
    pump(world, reader, lasting="1s")
    reader.close()
    again = resumed(source, world, reader, [Chunk("127.0.0.1:1#7", b"x", 0, 0)])
    world.network.dial(DOOR).send(b"2\n")
    assert [chunk.partition.split("#")[1] for chunk in pump(world, again, lasting="1s")] == ["8"]
    assert again.counters["connections"] == 2


def test_standard_input():
    world = SimulatedWorld()
    world.stdin.feed(b"1\n")
    reader = Stdin().open(world, Limits())
    assert [chunk.partition for chunk in reader.poll(100)] == ["stdin"]
    world.stdin.feed(b"2\n")
    again = resumed(Stdin(), world, reader)
    assert [chunk.partition for chunk in again.poll(100)] == ["stdin#2"]
    world.stdin.feed(b"3\n")
    third = resumed(Stdin(), world, reader, [Chunk("stdin#2", b"2\n", 0, 0)])
    assert [chunk.partition for chunk in third.poll(100)] == ["stdin#3"]
