"""A folder that cannot be a state folder is refused at once, with one clear line, and left as it is."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.commit import Commit
from riverrun.state.store import Store
from riverrun.testing.simulated_files import SimulatedFiles
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, filled

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys, time
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
store = Store.open(sys.argv[1], RealWorld())
print("open", flush=True)
sys.stdin.read()
"""


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files with their bytes and times."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def refusal(path, world=None) -> tuple[StateError, float]:
    """The error, and the seconds until it came."""
    world = world or RealWorld()
    began = time.perf_counter()
    with pytest.raises(StateError) as caught:
        Store.open(str(path), world, settings=SMALL)
    return caught.value, time.perf_counter() - began


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_the_first(tmp_path, holder):
    error, seconds = refusal(tmp_path / "state")
    assert str(error) == (
        f"{tmp_path}/state: in use by another process, number {holder.pid}\n"
        f"  try: stop that one first: kill {holder.pid}"
    )
    assert seconds < 0.1


def test_after_a_kill_the_folder_opens_at_once(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    began = time.perf_counter()
    Store.open(str(tmp_path / "state"), RealWorld(), settings=SMALL).close()
    assert time.perf_counter() - began < 1


def test_the_same_process_cannot_open_it_twice(tmp_path):
    with Store.open(str(tmp_path / "state"), RealWorld(), settings=SMALL):
        assert f"number {os.getpid()}" in str(refusal(tmp_path / "state")[0])


def test_nobody_else_may_look_into_it(tmp_path):
    store = filled(RealWorld(), [b"x"], str(tmp_path / "deep" / "state"))
    store.checkpoint(Commit(1))
    folder = tmp_path / "deep" / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o600}, modes
    store.close()


def test_a_newer_format_is_refused_and_not_touched(tmp_path):
    filled(RealWorld(), [b"x"], str(tmp_path / "state")).close()
    database = tmp_path / "state" / "state.db"
    data = bytearray(database.read_bytes())
    struct.pack_into(">I", data, 60, 7)
    database.write_bytes(data)
    before = contents(tmp_path)
    error, _ = refusal(tmp_path / "state")
    assert str(error) == (
        f"{tmp_path}/state: the folder was written by a newer riverrun: its format is 7, "
        "this riverrun knows 1; nothing was changed\n  try: pip install --upgrade riverrun"
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("state.db", b"hello", "state.db at byte 0: this is not the beginning of an SQLite database"),
        ("state.db", b"SQLite format 3\0" + bytes(84), "the database belongs to another program"),
        ("holiday.jpg", b"", "the folder holds something else already: 'holiday.jpg'"),
        (
            "journal/00000001-00000000000000000001.seg",
            b"",
            "state.db: the file is missing, but there is a journal beside it",
        ),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, name, data, said):
    path = tmp_path / "state" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    error, _ = refusal(tmp_path / "state")
    assert said in str(error)
    assert path.read_bytes() == data


def test_a_file_is_refused(tmp_path):
    (tmp_path / "state").write_bytes(b"")
    assert "a folder was expected, this is a file" in str(refusal(tmp_path / "state")[0])


def test_a_start_that_did_not_come_to_its_end_is_begun_anew(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "LOCK").write_text("1\n")
    (folder / "state.db.new").write_bytes(b"half")
    (folder / "state.db.new-wal").write_bytes(b"half")
    with Store.open(str(folder), RealWorld(), settings=SMALL) as store:
        assert store.recovery.is_new


def test_a_network_file_system_is_refused_by_name():
    class Remote(SimulatedFiles):
        def filesystem(self, path):
            return "nfs4"

    world = SimulatedWorld()
    world.files = Remote(world.clock)
    error, _ = refusal("state", world)
    assert str(error) == (
        "/simulated/state: the folder is on a network file system, nfs4, where a sync does not mean that bytes "
        "are on a disk\n  try: a folder on a local disk"
    )


def as_somebody_else(folder: Path) -> subprocess.CompletedProcess[str]:
    """Open the folder as a user who has no rights; the error and the milliseconds are printed."""
    program = (
        "import os, sys, time\n"
        "from riverrun.errors import StateError\n"
        "from riverrun.runtime.real_world import RealWorld\n"
        "from riverrun.state.store import Store\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "began = time.perf_counter()\n"
        "try: Store.open(sys.argv[1], RealWorld())\n"
        "except StateError as error: print(error)\n"
        "print(round(1000 * (time.perf_counter() - began)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize("part", ["", "state", "state/journal", "state/state.db"])
def test_without_permission_it_says_so(tmp_path, part):
    filled(RealWorld(), [b"x"], str(tmp_path / "place" / "state")).close()
    place = tmp_path / "place"
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    for path in (place, *place.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    (place / part).chmod(0o000)
    done = as_somebody_else(place / "state")
    (place / part).chmod(0o700)
    *lines, milliseconds = done.stdout.splitlines()
    where = str(place / "state")
    assert lines == [
        f"{where}: the folder cannot be used: Permission denied",
        "  try: a folder that this user may read and write",
    ], done.stdout + done.stderr
    assert int(milliseconds) < 200


def test_a_read_only_disk_says_so(tmp_path):
    filled(RealWorld(), [b"x"], str(tmp_path / "state")).close()
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", str(tmp_path), str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a folder needs root")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    try:
        error, seconds = refusal(place / "state")
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert str(error).splitlines()[0] == f"{place}/state: the folder cannot be used: Read-only file system"
    assert seconds < 0.2
