"""Savepoints: a copy that is whole, is checked, and goes on where it was made."""

from __future__ import annotations

import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.commit import Commit
from riverrun.state.savepoint import read_manifest
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, bodies, filled, letter, opened


@pytest.fixture(params=["real", "simulated"])
def place(request, tmp_path):
    """A world, and where to put things."""
    return (RealWorld(seed=1), f"{tmp_path}/") if request.param == "real" else (SimulatedWorld(), "")


def test_it_holds_the_last_checkpoint_and_the_journal_behind_it(place):
    world, at = place
    store = filled(world, [b"%d" % n * 300 for n in range(20)], f"{at}state")
    store.checkpoint(Commit(8, values={("k", "a"): b"1"}, put_blobs={1: b"blob"}, dead_letters=[letter(1)]))
    manifest = store.savepoint(f"{at}copy")
    store.append([b"after"])
    store.close()
    assert (manifest.position, manifest.last, manifest.store) == (8, 20, store.id)
    assert "everything up to frame 20, made " in manifest.text
    assert read_manifest(world.files, world.files.absolute(f"{at}copy")) == manifest

    Store.restore(f"{at}copy", f"{at}restored", world)
    store = opened(world, f"{at}restored")
    assert (store.id, store.recovery.position) == (manifest.store, 8)
    assert store.values("k") == {"a": b"1"}
    assert store.blob(1) == b"blob"
    assert store.dead_letters.get(1) == letter(1)
    assert store.append([b"next"]) == 21
    store.close()
    store = Store.open(f"{at}restored", world, settings=SMALL)
    assert bodies(store, 8) == [b"%d" % n * 300 for n in range(8, 20)] + [b"next"]


def test_without_anything_behind_the_checkpoint_it_holds_no_journal(place):
    world, at = place
    store = filled(world, [b"a"], f"{at}state")
    store.checkpoint(Commit(1))
    assert [part.file for part in store.savepoint(f"{at}copy").parts] == ["state.db"]
    store.close()
    Store.restore(f"{at}copy", f"{at}restored", world)
    assert opened(world, f"{at}restored").append([b"b"]) == 2


def test_a_folder_with_something_in_it_is_left_alone(place):
    world, at = place
    store = filled(world, [b"a"], f"{at}state")
    store.savepoint(f"{at}copy")
    with pytest.raises(StateError, match="copy: there is something already"):
        store.savepoint(f"{at}copy")
    store.close()
    with pytest.raises(StateError, match="state: there is something already"):
        Store.restore(f"{at}copy", f"{at}state", world)


def test_a_damaged_savepoint_is_refused(place):
    world, at = place
    filled(world, [b"a"], f"{at}state").savepoint(f"{at}copy")
    path = world.files.absolute(f"{at}copy/state.db")
    file = world.files.open_placed(path)
    file.write_at(100_000, [b"x"])
    file.close()
    with pytest.raises(StateError, match=r"copy: the file state\.db is missing, or is not the one"):
        Store.restore(f"{at}copy", f"{at}restored", world)


def test_one_that_was_not_finished_is_refused(place):
    world, at = place
    filled(world, [b"a"], f"{at}state").savepoint(f"{at}copy")
    world.files.remove(world.files.absolute(f"{at}copy/manifest.json"))
    with pytest.raises(StateError, match="not a savepoint, or one that was not finished"):
        Store.restore(f"{at}copy", f"{at}restored", world)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"format_version": 9}', "made by a newer riverrun: its format is 9"),
        (b"{", "cannot be read"),
        (b"{}", "cannot be read"),
    ],
)
def test_a_manifest_of_something_else_is_refused(text, said):
    world = SimulatedWorld()
    world.files.append("/simulated/copy/manifest.json", text)
    with pytest.raises(StateError, match=said):
        Store.restore("copy", "restored", world)
