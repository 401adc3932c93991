"""Savepoints: a copy that is whole, is checked, and goes on where it was made."""

from __future__ import annotations

import threading

import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.commit import Commit
from riverrun.state.requests import answered, ask, withdraw
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


def test_what_an_unfinished_one_left_makes_room(place):
    world, at = place
    store = filled(world, [b"a"], f"{at}state")
    whole = store.savepoint(f"{at}copy")
    files, path = world.files, world.files.absolute(f"{at}copy")
    files.remove(f"{path}/manifest.json")
    with pytest.raises(StateError, match="copy: there is something already"):
        store.savepoint(f"{at}copy")  # it may be anything
    files.create_filled(f"{path}/unfinished", 0).close()
    files.create_filled(f"{path}/state.db-journal", 10).close()
    again = store.savepoint(f"{at}copy")
    assert (again.last, len(again.parts)) == (whole.last, len(whole.parts))
    assert "unfinished" not in files.names(path)
    Store.restore(f"{at}copy", f"{at}restored", world)


def test_what_somebody_put_beside_it_is_left_alone(place):
    world, at = place
    store = filled(world, [b"a"], f"{at}state")
    for name in ("unfinished", "mine.txt"):
        world.files.make_dirs(world.files.absolute(f"{at}copy"))
        world.files.create_filled(world.files.absolute(f"{at}copy/{name}"), 0).close()
    with pytest.raises(StateError, match="copy: there is something already"):
        store.savepoint(f"{at}copy")
    assert world.files.status(world.files.absolute(f"{at}copy/mine.txt")) is not None


def test_frames_are_taken_and_synced_while_it_is_made(tmp_path):
    """Each copy holds all frames up to some one, and nothing that looks like damage."""
    world = RealWorld(seed=1)
    store = filled(world, [], f"{tmp_path}/state")
    over = threading.Event()

    def fill() -> None:
        while not over.is_set():
            store.append([b"x" * 5_000])
            store.sync()

    filling = threading.Thread(target=fill)
    filling.start()
    lasts = [store.savepoint(f"{tmp_path}/copy{n}").last for n in range(8)]
    over.set()
    filling.join()
    store.close()
    assert lasts[-1] > lasts[0]
    for n, last in enumerate(lasts):
        Store.restore(f"{tmp_path}/copy{n}", f"{tmp_path}/restored{n}", world)
        with Store.open(f"{tmp_path}/restored{n}", world, settings=SMALL) as restored:
            assert (restored.recovery.last, restored.recovery.frames) == (last, last)
            assert not restored.recovery.dropped


def test_others_ask_for_one(place):
    world, at = place
    store = filled(world, [b"a"], f"{at}state")
    now_us = world.clock.now_us()
    wanted = ask(world, store.path, f"{at}copy", now_us + 10**9)
    late = ask(world, store.path, f"{at}late", now_us - 1)
    world.files.create_filled(f"{store.path}/savepoint-{'0' * 16}.request", 3).close()
    assert answered(world.files, store.path, wanted) is None
    store.answer_requests()
    said = answered(world.files, store.path, wanted)
    assert said.made.startswith("everything up to frame 1, ")
    assert said.error is None
    assert answered(world.files, store.path, late) is None
    again = ask(world, store.path, f"{at}copy", now_us + 10**9)
    store.answer_requests()
    with pytest.raises(StateError, match="copy: there is something already\n  try: an empty folder"):
        raise answered(world.files, store.path, again).error
    for request in (wanted, again, late):
        withdraw(world.files, store.path, request)
    assert not [name for name in world.files.names(store.path) if name.startswith("savepoint")]
    store.append([b"b"])
    assert store.sync() == 2
