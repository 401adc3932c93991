"""Frames that are read ahead are those that are asked for, and what is wrong with one is told then."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.ahead import WORTH_BYTES, FramesAhead
from riverrun.state.commit import Commit
from riverrun.state.snapshot import frame_to_bytes
from riverrun.state.store import Store
from tests.state.stores import SMALL

#: Larger than what is read at once, packed or not.
FRAMES = {id: pl.DataFrame({"x": pl.Series(range(300_000)).hash(seed=id)}) for id in (3, 7, 8)}


def test_every_frame_is_found_whatever_the_order() -> None:
    blobs = {id: frame_to_bytes(frame) for id, frame in FRAMES.items()}
    ahead = FramesAhead(blobs.__getitem__, {id: len(blob) for id, blob in blobs.items()})
    for id in (8, 3, 7, 3):
        assert ahead.frame(id).equals(FRAMES[id])
    with pytest.raises(KeyError):
        ahead.frame(4)
    ahead.stop()


def test_a_store_reads_ahead_and_forgets(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    blobs = {id: frame_to_bytes(frame) for id, frame in FRAMES.items()}
    assert sum(map(len, blobs.values())) > WORTH_BYTES
    with Store.open(path, RealWorld(), settings=SMALL) as store:
        store.checkpoint(Commit(0, put_blobs=blobs))
        store.begin()
    with Store.open(path, RealWorld(), settings=SMALL, ahead=True) as store:
        assert all(store.frame(id).equals(frame) for id, frame in FRAMES.items())
        with pytest.raises(KeyError):
            store.frame(1)
        store.begin()
    with Store.open(path, RealWorld(), settings=SMALL, ahead=True):
        pass  # closed while threads still read


def test_a_damaged_frame_is_told_to_who_asks_for_it(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    with Store.open(path, RealWorld(), settings=SMALL) as store:
        store.checkpoint(Commit(0, put_blobs={id: frame_to_bytes(frame) for id, frame in FRAMES.items()}))
        store.begin()
    database = tmp_path / "state" / "state.db"
    data = bytearray(database.read_bytes())
    at = data.index(frame_to_bytes(FRAMES[7])[20_000:20_032])
    data[at] ^= 1
    database.write_bytes(data)
    with Store.open(path, RealWorld(), settings=SMALL, ahead=True) as store:
        assert store.frame(3).equals(FRAMES[3])
        with pytest.raises(StateError, match="the row id 7 of blobs has another checksum"):
            store.frame(7)
