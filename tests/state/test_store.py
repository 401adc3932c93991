"""The store as the runtime uses it: what goes in is found again, and nothing else is."""

from __future__ import annotations

import dataclasses

import pytest

from riverrun.errors import StateError
from riverrun.state.commit import Commit
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, bodies, filled, letter, opened, power_cut


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


def test_a_new_folder_is_empty(world):
    store = Store.open("state", world, settings=SMALL)
    assert store.recovery.text == "a new state folder"
    assert (store.values("x"), list(store.outbox()), bodies(store)) == ({}, [], [])


def test_frames_are_numbered_from_one_and_found_again(world):
    store = opened(world)
    assert [store.append([b"a", b"b"]), store.append([b"c"])] == [1, 2]
    assert (store.synced, store.sync(), store.synced) == (0, 2, 2)
    store.close()
    store = opened(world)
    assert store.append([b"d"]) == 3
    store.close()
    assert bodies(Store.open("state", world, settings=SMALL)) == [b"ab", b"c", b"d"]


def test_a_frame_may_be_empty_or_larger_than_a_segment(world):
    large = bytes(range(256)) * 64
    store = filled(world, [b"", large, b"x"])
    store.close()
    assert bodies(Store.open("state", world, settings=SMALL)) == [b"", large, b"x"]


def test_a_frame_is_not_safe_before_a_sync(world):
    store = filled(world, [b"safe"])
    store.append([b"not safe"])
    power_cut(world)
    assert bodies(Store.open("state", world, settings=SMALL)) == [b"safe"]


def test_a_checkpoint_is_found_whole(world):
    store = filled(world, [b"a", b"b"])
    commit = Commit(
        position=1,
        values={("bookmark", "tcp"): b"1", ("bookmark", "file"): b"2", ("other", "x"): b"3"},
        put_blobs={7: b"seven", 2: b""},
        put_outbox={("out", 2, 0): b"c", ("out", 1, 1): b"b", ("out", 1, 0): b"a"},
    )
    store.checkpoint(commit)
    store.close()
    store = Store.open("state", world, settings=SMALL)
    assert store.recovery.position == 1
    assert store.values("bookmark") == {"tcp": b"1", "file": b"2"}
    assert (store.blob(7), store.blob(2)) == (b"seven", b"")
    assert list(store.outbox()) == [(("out", 1, 0), b"a"), (("out", 1, 1), b"b"), (("out", 2, 0), b"c")]
    assert bodies(store, after=1) == [b"b"]
    with pytest.raises(KeyError):
        store.blob(3)


def test_checkpoints_change_and_delete(world):
    store = opened(world)
    store.checkpoint(
        Commit(
            0,
            values={("k", "a"): b"1", ("k", "b"): b"1"},
            put_blobs={1: b"1", 2: b"2"},
            put_outbox={("x", unit, 0): b"" for unit in range(5)} | {("y", 0, 0): b""},
        )
    )
    store.checkpoint(
        Commit(0, values={("k", "a"): None, ("k", "b"): b"2"}, drop_blobs=[1], drop_outbox={"x": 3})
    )
    store.close()
    store = Store.open("state", world, settings=SMALL)
    assert store.values("k") == {"b": b"2"}
    assert [place for place, _ in store.outbox()] == [("x", 4, 0), ("y", 0, 0)]
    assert store.blob(2) == b"2"
    with pytest.raises(KeyError):
        store.blob(1)


def test_a_checkpoint_is_never_ahead_of_the_journal(world):
    store = opened(world)
    store.append([b"a"])
    store.checkpoint(Commit(position=1))
    assert store.synced == 1


def test_segments_are_forgotten_one_settlement_late(world):
    store = filled(world, [bytes(1000)] * 30)
    before = store._journal.segments
    for position in (20, 30):
        for _ in range(SMALL.settle_every):
            store.checkpoint(Commit(position=position))
    kept = store._journal.segments
    store.close()
    assert 1 < kept < before
    store = Store.open("state", world, settings=SMALL)
    assert store.recovery.needed_from == 31
    assert store.recovery.frames == 0


def test_frames_that_are_still_needed_are_kept(world):
    store = filled(world, [b"%d" % i * 500 for i in range(9)])
    for _ in range(3 * SMALL.settle_every):
        store.checkpoint(Commit(position=9, keep_from=4))
    store.close()
    store = opened(world)
    store.append([b"new"])
    store.close()
    store = Store.open("state", world, settings=SMALL)
    assert bodies(store) == [b"%d" % i * 500 for i in range(3, 9)] + [b"new"]


def test_used_segments_are_used_again(world):
    store = opened(world)
    for position in range(1, 200):
        store.append([bytes(700)])
        store.checkpoint(Commit(position=position))
    names = world.files.names("/simulated/state/journal")
    assert len(names) <= 2 + 3 + SMALL.spare_segments


def test_every_folder_has_an_id_of_its_own(world):
    first, second = opened(world, "a"), opened(world, "b")
    assert first.id != second.id
    first.close()
    assert opened(world, "a").id == first.id


def test_a_failed_sync_is_final_and_a_new_start_finds_what_was_acknowledged(world):
    store = filled(world, [b"acknowledged"])
    store.append([b"not"])
    world.files.fail_sync()
    for _ in range(2):
        with pytest.raises(StateError, match=r"the disk failed: Input/output error; .* nothing more is taken"):
            store.sync()
    with pytest.raises(StateError, match="start again"):
        store.append([b"x"])
    with pytest.raises(StateError):
        store.checkpoint(Commit(0))
    assert store.failed is not None
    store.close()
    assert bodies(Store.open("state", world, settings=SMALL))[0] == b"acknowledged"


def test_after_a_failed_sync_a_new_start_writes_what_it_found_anew(world):
    """The system shows what it could not write, and forgets it when the power goes."""
    store = filled(world, [b"a"])
    store.append([b"b"])
    world.files.fail_sync()
    with pytest.raises(StateError):
        store.sync()
    store.close()
    store = Store.open("state", world, settings=SMALL)
    found = bodies(store)
    store.begin()
    power_cut(world)
    assert bodies(Store.open("state", world, settings=SMALL)) == found


def test_a_closed_store_says_so(world):
    store = opened(world)
    store.close()
    store.close()
    with pytest.raises(StateError, match="the store is closed"):
        store.append([b""])


def test_there_is_nothing_to_open_where_nothing_shall_be_made(world):
    with pytest.raises(StateError, match="/simulated/state: there is no state folder here"):
        Store.open("state", world, create=False)


def test_dead_letters_are_listed_counted_and_found(world):
    store = opened(world)
    rows = [letter(1), letter(2, reason="utf8"), letter(3, source="file:x", record=None)]
    store.checkpoint(Commit(0, dead_letters=rows))
    box = store.dead_letters
    assert box.count() == 3
    assert box.counts() == {("file:x", "json"): 1, ("tcp://x", "json"): 1, ("tcp://x", "utf8"): 1}
    assert box.list() == rows[::-1]
    assert box.list(source="tcp://x", limit=1) == [rows[1]]
    assert box.list(reason="json", before=3) == [rows[0]]
    assert (box.get(3), box.get(4)) == (rows[2], None)
    store.checkpoint(Commit(0, dropped_letters=[2, 9]))
    assert [row.id for row in box.list()] == [3, 1]


def test_the_oldest_dead_letters_go_when_they_take_too_much(world):
    size = letter(10).stored_bytes
    settings = dataclasses.replace(SMALL, dead_letter_bytes=5 * size)
    store = opened(world, settings=settings)
    store.checkpoint(Commit(0, dead_letters=[letter(id) for id in range(10, 14)]))
    store.checkpoint(Commit(0, dead_letters=[letter(id) for id in range(14, 18)]))
    assert [row.id for row in store.dead_letters.list()] == [17, 16, 15, 14, 13]
    store.close()
    store = opened(world, settings=settings)
    store.checkpoint(Commit(0, dead_letters=[letter(18)]))
    assert [row.id for row in store.dead_letters.list()] == [18, 17, 16, 15, 14]


def test_old_dead_letters_go(world):
    store = opened(world, settings=dataclasses.replace(SMALL, dead_letter_age_us=60_000_000))
    now_us = world.clock.now_us()
    store.checkpoint(Commit(0, dead_letters=[letter(1, received_us=now_us), letter(2, received_us=now_us + 1)]))
    world.clock.advance(60_000_001)
    store.checkpoint(Commit(0))
    assert [row.id for row in store.dead_letters.list()] == [2]
