"""The thread that syncs: those who wait are told, in order, and a failure reaches everyone."""

from __future__ import annotations

import threading

import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.group_commit import GroupCommit
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, bodies, opened


def test_many_senders_share_syncs_and_each_is_told(tmp_path):
    store = opened(RealWorld(seed=1), str(tmp_path / "state"))
    condition, told = threading.Condition(), [0]

    def tell(synced: int) -> None:
        assert synced > told[-1]
        with condition:
            told.append(synced)
            condition.notify_all()

    def send(name: int) -> None:
        for number in range(20):
            sequence = store.append([b"%d %d" % (name, number)])
            with condition:
                assert condition.wait_for(lambda sequence=sequence: told[-1] >= sequence, timeout=20)

    commit = GroupCommit(store, [tell], on_failure=pytest.fail)
    commit.start()
    senders = [threading.Thread(target=send, args=(name,)) for name in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    commit.stop()
    assert told[-1] == 160
    assert len(told) < 160
    store.close()
    found = bodies(Store.open(str(tmp_path / "state"), RealWorld(), settings=SMALL))
    assert sorted(found) == sorted(b"%d %d" % (name, number) for name in range(8) for number in range(20))


def test_stopping_puts_everything_on_the_disk(tmp_path):
    store = opened(RealWorld(seed=1), str(tmp_path / "state"))
    told: list[int] = []
    commit = GroupCommit(store, [told.append], on_failure=pytest.fail)
    commit.start()
    for _ in range(10):
        store.append([b"x"])
    commit.stop()
    assert (store.synced, told[-1]) == (10, 10)
    store.close()


def test_who_appends_may_sync_at_once_and_nobody_is_woken(tmp_path):
    store = opened(RealWorld(seed=1), str(tmp_path / "state"))
    told: list[tuple[str, int]] = []
    commit = GroupCommit(
        store, [lambda synced: told.append((threading.current_thread().name, synced))], on_failure=pytest.fail
    )
    commit.start()
    for _ in range(3):
        store.append([b"x"], notify=False)
        commit.sync()
    commit.stop()
    assert told == [("MainThread", 1), ("MainThread", 2), ("MainThread", 3)]


def test_who_syncs_at_once_tells_a_failure():
    world = SimulatedWorld()
    store = opened(world)
    errors: list[Exception] = []
    commit = GroupCommit(store, [lambda synced: pytest.fail(f"told {synced}")], on_failure=errors.append)
    commit.start()
    world.files.fail_sync()
    store.append([b"x"], notify=False)
    commit.sync()
    commit.stop()
    assert isinstance(errors[0], StateError)


def test_the_first_failure_ends_it():
    world = SimulatedWorld()
    store = opened(world)
    failed = threading.Event()
    errors: list[Exception] = []

    def fail(error: Exception) -> None:
        errors.append(error)
        failed.set()

    told: list[int] = []
    commit = GroupCommit(store, [told.append], on_failure=fail)
    world.files.fail_sync()
    commit.start()
    store.append([b"x"])
    assert failed.wait(20)
    commit.stop()
    assert (told, len(errors)) == ([], 1)
    assert isinstance(errors[0], StateError)


def test_it_goes_on_when_a_full_disk_has_space_again():
    world = SimulatedWorld()
    store = opened(world)
    world.files.space_bytes = 0
    done = threading.Event()
    commit = GroupCommit(store, [lambda synced: synced == 20 and done.set()], on_failure=pytest.fail)
    commit.start()
    for _ in range(20):
        store.append([bytes(700)])
    assert not done.wait(0.05)
    world.files.space_bytes = None
    assert done.wait(20)
    commit.stop()
