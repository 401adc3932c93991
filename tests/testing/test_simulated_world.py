"""The world in memory behaves as the real one does, and the same each time."""

from __future__ import annotations

import pytest

from riverrun.testing.simulated_network import close, pause, refuse, reset
from riverrun.testing.simulated_world import START_US, SimulatedWorld, SimulationStuck
from riverrun.world import TcpAddress, World

ADDRESS = TcpAddress("localhost", 9999)


def test_it_is_a_world():
    world: World = SimulatedWorld()
    assert world.clock.now_us() == START_US


def test_waiting_moves_the_clock_to_the_next_event():
    world = SimulatedWorld()
    happened: list[str] = []
    world.after("3s", lambda: happened.append("later"))
    world.after("1s", lambda: happened.append("sooner"))
    world.wait((), None)
    assert (happened, world.clock.monotonic_us()) == (["sooner"], 1_000_000)
    world.wait((), 2_000_000)
    assert (happened, world.clock.monotonic_us()) == (["sooner"], 2_000_000)
    world.wait((), None)
    assert happened == ["sooner", "later"]


def test_waiting_for_ever_is_found_out():
    with pytest.raises(SimulationStuck, match="the pipeline waits for ever"):
        SimulatedWorld().wait((), None)


def test_what_is_ready_is_not_waited_for():
    world = SimulatedWorld()
    world.stdin.feed(b"x")
    world.wait((world.stdin,), None)
    assert world.clock.monotonic_us() == 0


def test_a_wake_ends_the_next_wait():
    world = SimulatedWorld()
    world.wake()
    world.wait((), None)
    with pytest.raises(SimulationStuck):
        world.wait((), None)


def test_advancing_runs_what_happens_meanwhile():
    world = SimulatedWorld()
    seen: list[int] = []
    world.after("1s", lambda: world.after("1s", lambda: seen.append(world.clock.monotonic_us())))
    world.advance("5s")
    assert (seen, world.clock.monotonic_us()) == ([2_000_000], 5_000_000)


def test_a_script_is_played_connection_by_connection():
    world = SimulatedWorld()
    world.network.serve(ADDRESS, [refuse(), b"a", pause("1s"), b"b", close(), b"c", reset()])
    with pytest.raises(ConnectionRefusedError):
        world.network.connect(ADDRESS).receive(10)
    first = world.network.connect(ADDRESS)
    assert (first.receive(10), first.receive(10)) == (b"a", None)
    world.advance("1s")
    assert (first.receive(10), first.receive(10)) == (b"b", b"")
    second = world.network.connect(ADDRESS)
    assert second.receive(10) == b"c"
    with pytest.raises(ConnectionResetError):
        second.receive(10)
    with pytest.raises(ConnectionRefusedError):
        world.network.connect(ADDRESS).receive(10)


def test_a_script_can_be_gone_on_with():
    world = SimulatedWorld()
    server = world.network.serve(ADDRESS, [b"a"])
    connection = world.network.connect(ADDRESS)
    server.extend([pause("1s"), b"b"])
    server.extend([b"c"])
    assert connection.receive(10) == b"a"
    world.advance("1s")
    assert connection.receive(10) == b"bc"


def test_what_is_sent_arrives():
    world = SimulatedWorld()
    server = world.network.serve(ADDRESS, [b"hello"])
    connection = world.network.connect(ADDRESS)
    connection.send(b"request")
    assert server.received.take(100) == b"request"


def test_dialling_a_listener():
    world = SimulatedWorld()
    with pytest.raises(ConnectionRefusedError):
        world.network.dial(ADDRESS)
    listener = world.network.listen(ADDRESS)
    assert listener.accept() is None
    peer = world.network.dial(ADDRESS, host="10.0.0.7")
    accepted = listener.accept()
    assert accepted.peer.startswith("10.0.0.7:")
    peer.send(b"x")
    accepted.send(b"y")
    assert (accepted.receive(9), peer.receive(9)) == (b"x", b"y")
    accepted.close()
    assert peer.receive(9) == b""


def test_bytes_can_be_cut_at_random_and_the_same_each_time():
    def pieces(seed: int) -> list[bytes]:
        world = SimulatedWorld(seed=seed, cut_bytes=3)
        world.stdin.feed(b"0123456789")
        world.stdin.end()
        return list(iter(lambda: world.stdin.receive(100), b""))

    assert b"".join(pieces(1)) == b"0123456789"
    assert len(pieces(1)) >= 4
    assert pieces(1) == pieces(1)
    assert pieces(1) != pieces(2)


def test_files_keep_their_identity_over_a_rename():
    files = SimulatedWorld().files
    files.append("a", b"1")
    opened = files.open_read("a")
    files.replace("a", "b")
    files.append("a", b"2")
    files.append("b", b"3")
    assert opened.read_at(0, 10) == b"13"
    assert opened.status() == files.status("b")
    assert files.status("a").inode != files.status("b").inode


def test_folders():
    files = SimulatedWorld().files
    files.append("data/a.csv", b"")
    files.append("data/deep/b.csv", b"")
    files.make_dirs("empty")
    assert [files.status(name).is_dir for name in ("data", "data/deep", "empty", ".")] == [True] * 4
    assert files.glob("data/*.csv") == ["data/a.csv"]
    assert files.glob("data/**/*.csv") == ["data/deep/b.csv"]
    assert files.status("nowhere") is None
    with pytest.raises(FileNotFoundError):
        files.open_read("nowhere")
