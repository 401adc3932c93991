"""A disk that becomes full for real: no frame is acknowledged that is not safe, and work goes on with space."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from riverrun.errors import StateFullError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash import model
from tests.crash.workload import acknowledged, recover

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A disk of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def work_until_full(store: Store, position: int) -> tuple[int, int]:
    """Frames and checkpoints until there is no space; the last acknowledged of each."""
    last, chance = position, random.Random(1)
    while not store.full:
        last += 1
        store.append([model.body(last)])
        acknowledged_frame = store.sync()
        if chance.random() < 0.05:
            try:
                store.checkpoint(model.commit(position, last))
                position = last
            except StateFullError:
                break
    return acknowledged_frame, position


def test_it_stops_and_goes_on_when_there_is_space(small_disk):
    hog = small_disk / "hog"
    store = Store.open(str(small_disk / "state"), RealWorld(1), settings=model.SETTINGS)
    position = recover(store, lambda kind, number: None)
    hog.write_bytes(bytes(10 * MIB))
    os.truncate(hog, 10 * MIB)
    with hog.open("ab") as file:
        file.write(bytes(os.statvfs(small_disk).f_bavail * 4096 - 60_000))
    frames, position = work_until_full(store, position)
    assert store.full
    assert store.failed is None
    assert [store.sync() for _ in range(3)] == [frames] * 3

    hog.unlink()
    appended = store.appended
    assert store.sync() == appended
    assert not store.full
    store.checkpoint(model.commit(position, position))
    store.close()
    store = Store.open(str(small_disk / "state"), RealWorld(1), settings=model.SETTINGS)
    model.check(store, appended, position)
    store.close()


@pytest.mark.parametrize("space", [0, 10_000, 50_000, 120_000, 400_000, 900_000])
def test_wherever_it_becomes_full_nothing_acknowledged_is_lost(traced, fast_folder, space):
    """The program ends while the disk is full; a start with space finds everything."""
    program = traced("full")
    assert program.run(60, 0, "unclean").returncode == 0
    limit = fast_folder / "space"
    limit.write_text(str(space))
    done = program.run(400, 1, space=limit)
    assert "is full" in done.stderr or "No space left" in done.stderr or done.returncode == 0, done.stderr
    frames, position = acknowledged((program.disk / "acks").read_bytes())
    store = Store.open(str(program.disk / "state"), RealWorld(1), settings=model.SETTINGS)
    model.check(store, frames, position)
    store.close()
