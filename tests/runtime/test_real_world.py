"""The real world: waiting and waking between threads, files, and the doors it opens."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from riverrun.runtime.real_world import PipedInput, RealWorld
from riverrun.world import TcpAddress, World

SECOND_US = 1_000_000


@pytest.fixture
def world() -> RealWorld:
    found = RealWorld(seed=1)
    found.wait((), 0)  # the first wait of a thread returns at once
    return found


def elapsed_us(world: World, action) -> int:
    begin_us = world.clock.monotonic_us()
    action()
    return world.clock.monotonic_us() - begin_us


def test_it_waits_until_the_instant_and_not_less(world):
    now_us = world.clock.monotonic_us()
    taken_us = elapsed_us(world, lambda: world.wait((), now_us + 20_000))
    assert 20_000 - 500 <= taken_us < SECOND_US


def test_an_instant_that_has_passed_is_not_waited_for(world):
    assert elapsed_us(world, lambda: world.wait((), 0)) < SECOND_US


def test_it_waits_for_bytes(world):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.02, theirs.send, [b"x"]).start()
        assert elapsed_us(world, lambda: world.wait((ours,), None)) < 5 * SECOND_US


def test_a_closed_socket_is_left_out(world):
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    world.wait((ours,), world.clock.monotonic_us() + 1_000)


def test_which_of_many_can_be_read(world):
    pairs = [socket.socketpair() for _ in range(4)]
    near = tuple(pair[0] for pair in pairs)
    try:
        assert world.readable(near) == []
        pairs[2][1].send(b"x")
        pairs[0][1].close()
        for _ in range(2):
            assert world.readable(near) == [0, 2]
        # The bell of the thread wakes a wait, and is nothing to read.
        world.wake()
        near[2].recv(1)
        assert world.readable(near) == [0]
        assert elapsed_us(world, lambda: world.wait(near[1:2], None)) < SECOND_US
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def test_a_tuple_that_is_handed_in_again_is_watched_for_what_comes_later(world):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        near = (ours,)
        now_us = world.clock.monotonic_us()
        world.wait(near, now_us + 1_000)
        assert world.readable(near) == []
        theirs.send(b"x")
        assert elapsed_us(world, lambda: world.wait(near, None)) < SECOND_US
        assert world.readable(near) == [0]


def test_waking_reaches_every_thread(world):
    started = threading.Barrier(4)

    def sleep() -> None:
        world.wait((), 0)
        started.wait()
        world.wait((), None)

    threads = [threading.Thread(target=sleep, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    world.wake()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)


def test_a_wake_between_two_waits_is_not_lost(world):
    world.wake()
    world.wake()
    assert elapsed_us(world, lambda: world.wait((), None)) < SECOND_US
    begin_us = world.clock.monotonic_us()
    world.wait((), begin_us + 10_000)
    assert world.clock.monotonic_us() - begin_us >= 9_500, "one wake ends one wait"


def test_the_first_wait_of_a_thread_returns_at_once():
    world = RealWorld()
    world.wake()
    world.wait((), None)


def open_descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_bells_of_threads_that_ended_are_given_back(world):
    before = open_descriptors()
    for _ in range(20):
        thread = threading.Thread(target=world.wait, args=((), 0))
        thread.start()
        thread.join()
    world.wake()
    assert open_descriptors() - before < 5


def test_waking_while_threads_end(world):
    # A bell is given back when its thread ends; whoever rings at that moment must not write elsewhere.
    ended = threading.Event()

    def come_and_go():
        for _ in range(300):
            thread = threading.Thread(target=world.wait, args=([], 0))
            thread.start()
            thread.join()
        ended.set()

    churn = threading.Thread(target=come_and_go)
    churn.start()
    while not ended.is_set():
        world.wake()
    churn.join()


def test_a_seed_makes_chance_repeatable():
    assert RealWorld(seed=5).random.random() == RealWorld(seed=5).random.random()


def test_sending(world):
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = world.network.connect(TcpAddress("127.0.0.1", server.getsockname()[1]))
        peer, _ = server.accept()
        while not connection.connected:
            world.wait((connection,), world.clock.monotonic_us() + SECOND_US)
        assert connection.send(b"hello") == 5
        assert peer.recv(100) == b"hello"
        while connection.send(b"x" * 1_000_000):
            pass
        assert connection.send(b"x") == 0, "a full pipe takes nothing and does not block"
        connection.close()
        peer.close()


def test_accepting_when_nobody_waits(world):
    listener = world.network.listen(TcpAddress("127.0.0.1", 0))
    assert listener.accept() is None
    assert listener.address.port > 0
    listener.close()
    listener.close()


def test_standard_input_is_not_made_non_blocking():
    reading, writing = os.pipe()
    piped = PipedInput(reading)
    assert piped.receive(10) is None
    os.write(writing, b"x")
    assert piped.receive(10) == b"x"
    assert os.get_blocking(reading)
    os.close(writing)
    assert piped.receive(10) == b""
    os.close(reading)


def test_files(world, tmp_path):
    files = world.files
    folder = str(tmp_path / "a" / "b")
    files.make_dirs(folder)
    files.make_dirs(folder)
    assert files.status(folder).is_dir
    path = f"{folder}/x.txt"
    assert files.status(path) is None
    for append, data in ((False, b"one"), (True, b"two")):
        file = files.open_write(path, append=append)
        file.write(data)
        file.sync()
        file.close()
    reading = files.open_read(path)
    assert (reading.read_at(2, 3), reading.read_at(6, 3)) == (b"etw", b"")
    files.replace(path, f"{folder}/y.txt")
    assert files.status(f"{folder}/y.txt") == reading.status()
    reading.close()
    reading.close()
    assert files.glob(f"{tmp_path}/**/*.txt") == [f"{folder}/y.txt"]
    assert files.glob(f"{tmp_path}/*") == []
    assert files.glob(f"{folder}/y.txt") == [f"{folder}/y.txt"]
    files.open_write(f"{folder}/y.txt", append=False).close()
    assert files.status(f"{folder}/y.txt").size == 0
    files.remove(f"{folder}/y.txt")
    assert files.status(f"{folder}/y.txt") is None
    assert files.status(f"{folder}/y.txt/below") is None


def test_home_is_known(world, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(b"x")
    assert world.files.glob("~/*.csv") == [f"{tmp_path}/a.csv"]
    assert world.files.absolute("~/a.csv") == f"{tmp_path}/a.csv"
