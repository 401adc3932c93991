"""A bit flips, a file is cut, a block is zeroed: all is found, or the damage is told. Never silence."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash import model
from tests.crash.workload import acknowledged, acknowledging, recover, work

IMAGES = 3_000 if os.environ.get("RIVERRUN_SOAK") else 300


def made(folder: Path, *, clean: bool) -> tuple[int, int]:
    """A folder that has seen some work; what was acknowledged."""
    folder.mkdir()
    acknowledge = acknowledging(folder / "acks")
    for life in range(2):
        store = Store.open(str(folder / "state"), RealWorld(life), settings=model.SETTINGS)
        work(store, recover(store, acknowledge), 150, random.Random(life), acknowledge)
        if clean or life == 0:
            store.close()
    if not clean:
        # As a kill would leave it: what SQLite does when it is closed is not done.
        shutil.copytree(folder / "state", folder / "killed")
        store.close()
        shutil.rmtree(folder / "state")
        (folder / "killed").rename(folder / "state")
    return acknowledged((folder / "acks").read_bytes())


def damage(state: Path, chance: random.Random) -> str:
    """Change one file somewhere, mostly where something is; what was done."""
    file = chance.choice(sorted(path for path in state.rglob("*") if path.is_file() and path.stat().st_size))
    data = bytearray(file.read_bytes())
    used = max(1, len(data.rstrip(b"\0")))
    at = chance.randrange(used if chance.random() < 0.8 else len(data))
    kind = chance.choice(["flip", "cut", "zero"])
    if kind == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[at:]
    else:
        length = min(chance.choice([512, 4096]), len(data) - at)
        data[at : at + length] = bytes(length)
    file.write_bytes(data)
    return f"{kind} {file.relative_to(state)} at {at}"


def outcome(state: Path, frames: int, position: int) -> str:
    """``exact``, ``refused``, or what was lost in silence."""
    try:
        store = Store.open(str(state), RealWorld(), settings=model.SETTINGS)
    except StateError as error:
        return told(state, error)
    try:
        # The position may be an older one: the journal behind it leads to the same.
        model.check(store, frames, min(position, store.recovery.position))
    except StateError as error:
        return told(state, error)
    except model.LostError as error:
        return f"silent: {error}; reported {store.recovery.text}"
    finally:
        store.close()
    return "exact"


def told(state: Path, error: StateError) -> str:
    """A refusal names the file, the cause and a command."""
    names = re.escape(str(state)) + r"/(state\.db|journal/\S+)( at byte [\d,]+)?$"
    helps = f"riverrun restore SAVEPOINT {state}, or begin anew without it: mv {state} {state}.damaged"
    newer = error.hint == "pip install --upgrade riverrun"
    good = newer or (re.search(names, error.where or "") and len(error.problem) > 10 and error.hint == helps)
    return "refused" if good else f"badly told: {error}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("clean", [True, False], ids=["closed", "killed"])
def test_damage_is_repaired_or_told(fast_folder, clean):
    frames, position = made(fast_folder / "made", clean=clean)
    counts: dict[str, int] = {}
    wrong = []
    for number in range(IMAGES // 2):
        state = fast_folder / "damaged"
        shutil.copytree(fast_folder / "made" / "state", state)
        what = damage(state, random.Random(number))
        came = outcome(state, frames, position)
        counts[came[:7]] = counts.get(came[:7], 0) + 1
        if came not in ("exact", "refused"):
            wrong.append(f"{what}: {came}")
        shutil.rmtree(state)
    print(f"damage: {counts}")
    assert not wrong, f"{len(wrong)} of {IMAGES // 2}:\n" + "\n".join(wrong[:5])
    assert counts["exact"] >= IMAGES // 10
    assert counts["refused"] >= IMAGES // 10


def plain_table(path: Path, position: int) -> None:
    """The results and blobs of a store in an ordinary SQLite file: nothing has a checksum."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE held (name TEXT PRIMARY KEY, body BLOB)")
        connection.executemany("INSERT INTO held VALUES (?, ?)", plain_rows(position).items())


def plain_rows(position: int) -> dict[str, bytes]:
    return {str(key): body for held in (model.blobs, model.outbox) for key, body in held(position).items()}


def plain_outcome(path: Path, position: int) -> str:
    try:
        with closing(sqlite3.connect(path)) as connection:
            ((found,), *_) = connection.execute("PRAGMA integrity_check")
            rows = dict(connection.execute("SELECT name, body FROM held"))
    except sqlite3.DatabaseError:
        return "refused"
    if found != "ok":
        return "refused"
    return "exact" if rows == plain_rows(position) else "silent"


def test_control_without_checksums_damage_is_silent(fast_folder):
    (fast_folder / "made").mkdir()
    plain_table(fast_folder / "made" / "held.db", 100)
    came = []
    for number in range(100):
        state = fast_folder / "damaged"
        shutil.copytree(fast_folder / "made", state)
        damage(state, random.Random(number))
        came.append(plain_outcome(state / "held.db", 100))
        shutil.rmtree(state)
    silent = came.count("silent")
    print(f"damage without checksums: {silent} of 100 silent")
    assert silent >= 5, f"only {silent} of 100 were silent: these tests would find nothing"
