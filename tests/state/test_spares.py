"""Segments that wait for their use: which of them are kept."""

from __future__ import annotations

import pytest

from riverrun.limits import MIB
from riverrun.state.settings import StoreSettings
from riverrun.state.spares import Spares
from riverrun.testing.simulated_world import SimulatedWorld

FOLDER = "/simulated/journal"


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


def spares(world: SimulatedWorld, **given: int) -> Spares:
    return Spares(world.files, FOLDER, StoreSettings(**{"segment_bytes": 4 * MIB, **given}))


def names(world: SimulatedWorld) -> list[str]:
    return world.files.names(FOLDER)


def test_what_an_earlier_run_filled_to_its_end_is_used(world):
    world.files.create_filled(f"{FOLDER}/spare-7-8192", 8192)
    world.files.create_filled(f"{FOLDER}/spare-8-8192", 8000)
    world.files.create_filled(f"{FOLDER}/spare-9", 8192)
    found = spares(world)
    found.adopt()
    assert names(world) == ["spare-7-8192"]
    assert found.take(8192)[::2] == ("spare-7-8192", 8192)
    assert found.take(8192)[0] == "spare-8-4194304"


def test_one_that_is_too_small_waits_for_another_use(world):
    found = spares(world)
    found.prepare()
    assert found.take(5 * MIB)[::2] == ("spare-2-5242880", 5 * MIB)
    assert found.take(1)[::2] == ("spare-1-4194304", 4 * MIB)


def test_small_ones_go_when_there_is_room_for_large_ones(world):
    world.files.space_bytes = 16 * MIB
    found = spares(world)
    small, _, size = found.take(1)
    assert size == MIB
    world.files.space_bytes = None
    found.give(small)
    assert names(world) == []


def test_large_ones_stay_when_there_is_little_room(world):
    found = spares(world)
    large, _, size = found.take(1)
    world.files.fill()
    found.give(large)
    assert names(world) == [f"spare-2-{size}"]


def test_no_more_are_kept_than_asked_for(world):
    found = spares(world, spare_segments=1)
    for segment in [found.take(1)[0] for _ in range(3)]:
        found.give(segment)
    assert len(names(world)) == 1
