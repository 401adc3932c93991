"""A full disk: nothing is acknowledged, nothing is lost, and it goes on by itself when there is space."""

from __future__ import annotations

import dataclasses

import pytest

from riverrun.errors import StateError, StateFullError
from riverrun.limits import MIB
from riverrun.state.commit import Commit
from riverrun.state.settings import StoreSettings
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, bodies, opened

BODY = bytes(700)


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


def test_what_waits_is_written_when_there_is_space(world):
    store = opened(world)
    world.files.fill(1000)
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
    world.files.fill()
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
    world.files.fill()
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


def test_what_is_made_in_advance_fits_a_small_disk(world):
    """With the sizes of a real store, on a disk that is smaller than one segment of theirs."""
    world.files.space_bytes = 12 * MIB
    store = opened(world, settings=StoreSettings())
    assert world.files.status("/simulated/state/ballast").size == MIB // 2
    world.files.fill(100_000)
    sent = 0
    while not store.full:
        sent = store.append([bytes(50_000)])
        store.sync()
    acknowledged = store.synced
    assert acknowledged < sent
    world.files.space_bytes += 2 * MIB
    assert store.sync() == sent
    store.close()
    assert len(bodies(Store.open("state", world))) == sent


def test_giving_up_the_ballast_is_no_reason_to_go_on(world):
    world.files.space_bytes = 64 * MIB
    store = opened(world, settings=StoreSettings())
    world.files.fill()
    while not store.full:
        store.append([bytes(50_000)])
        store.sync()
    assert world.files.free_bytes("state") >= 2 * MIB
    acknowledged = store.synced
    assert [store.sync() for _ in range(3)] == [acknowledged] * 3
    world.files.space_bytes += 2 * MIB
    assert store.sync() > acknowledged


def test_the_ballast_grows_again_when_there_is_room(world):
    world.files.space_bytes = 16 * MIB
    store = opened(world, settings=StoreSettings())
    small = world.files.status("/simulated/state/ballast").size
    world.files.space_bytes = None
    store.checkpoint(Commit(0))
    assert world.files.status("/simulated/state/ballast").size == StoreSettings().ballast_bytes > small


def test_a_journal_that_takes_half_of_what_there_is_says_so_until_two_checkpoints(world):
    """So nobody appends until the disk is full of the journal alone."""
    world.files.space_bytes = 16 * MIB
    store = opened(world, settings=StoreSettings())
    while not store.crowded:
        store.append([bytes(200_000)])
        store.sync()
    assert world.files.free_bytes("state") > 4 * MIB
    assert not store.full
    store.checkpoint(Commit(store.synced))
    store.checkpoint(Commit(store.synced))
    assert not store.crowded
    for _ in range(40):
        store.append([bytes(200_000)])
    assert store.crowded, "what waits will take space, too"
    store.sync()
    store.close()


def test_a_start_on_a_full_disk_says_that_nothing_is_lost(world):
    store = opened(world)
    store.append([BODY])
    store.sync()
    world.files.fill()
    store.close()
    store = Store.open("state", world, settings=SMALL)
    with pytest.raises(StateFullError) as caught:
        store.checkpoint(Commit(0))
    assert str(caught.value) == (
        "/simulated/state: the disk is full, so the run cannot begin; what was acknowledged is safe\n"
        "  try: remove something from this disk, then start again"
    )
