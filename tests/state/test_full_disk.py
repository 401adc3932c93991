"""A full disk: nothing is acknowledged, nothing is lost, and it goes on by itself when there is space."""

from __future__ import annotations

import dataclasses

import pytest

from riverrun.errors import StateError, StateFullError
from riverrun.state.commit import Commit
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, bodies, opened

BODY = bytes(700)


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


def fill(world: SimulatedWorld, spare: int = 0) -> None:
    world.files.space_bytes = None
    used = world.files._used_bytes()
    world.files.space_bytes = used + spare


def test_what_waits_is_written_when_there_is_space(world):
    store = opened(world)
    fill(world, spare=1000)
    sent = 0
    while not store.full:
        sent = store.append([BODY])
        store.sync()
    acknowledged = store.synced
    assert acknowledged < sent
    assert [store.sync() for _ in range(3)] == [acknowledged] * 3
    world.files.space_bytes = None
    assert store.sync() == sent
    assert not store.full
    store.close()
    assert bodies(Store.open("state", world, settings=SMALL)) == [BODY] * sent


def test_a_checkpoint_that_does_not_fit_is_not_stored(world):
    store = opened(world)
    store.append([BODY])
    store.checkpoint(Commit(1, values={("k", "a"): b"old"}))
    world.files.space_bytes = 0
    with pytest.raises(
        StateFullError, match="state: the disk is full; nothing was stored, and nothing is ackno"
    ):
        store.checkpoint(Commit(1, values={("k", "a"): b"new"}, put_blobs={1: b"x"}))
    assert store.full
    with pytest.raises(StateFullError):
        store.checkpoint(Commit(1))
    world.files.space_bytes = None
    store.checkpoint(Commit(1, put_blobs={2: b"x"}))
    store.close()
    store = Store.open("state", world, settings=SMALL)
    assert store.values("k") == {"a": b"old"}
    assert store.blob(2) == b"x"
    with pytest.raises(KeyError):
        store.blob(1)


def test_it_can_be_closed_while_the_disk_is_full(world):
    store = opened(world)
    fill(world)
    for _ in range(8):
        store.append([BODY])
        store.sync()
    acknowledged = store.synced
    assert store.full
    store.close()
    assert len(bodies(Store.open("state", world, settings=SMALL))) == acknowledged


def test_the_ballast_is_given_up_and_comes_back(world):
    path = "/simulated/state/ballast"
    store = opened(world, settings=dataclasses.replace(SMALL, ballast_bytes=3000))
    assert world.files.status(path).size == 3000
    fill(world)
    while not store.full:
        store.append([BODY])
        store.sync()
    assert world.files.status(path) is None
    world.files.space_bytes = None
    store.sync()
    assert world.files.status(path).size == 3000


def test_a_new_folder_on_a_full_disk_says_so(world):
    world.files.space_bytes = 10
    with pytest.raises(StateError, match="No space left on device") as caught:
        opened(world)
    assert "some space on this disk" in str(caught.value)
