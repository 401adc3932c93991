"""Runs with a state folder from the command line, and what can be done with the folder afterwards."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

import riverrun as rr
from riverrun.cli.main import build_parser
from riverrun.cli.state_options import state_of
from riverrun.errors import StateError
from riverrun.ports import Chunk
from riverrun.runtime.log import Received, to_parts
from riverrun.runtime.real_world import RealWorld
from riverrun.state.requests import ask, withdraw
from riverrun.state.store import Store
from tests.cli.calling import Call

PIPELINE = """
import polars as pl
import riverrun as rr

rows = rr.read("file:in.csv", format=rr.Csv(header=True), time="ts",
               schema={{"ts": rr.Timestamp("s"), "key": pl.String, "x": {kind}}}, on_bad="dead_letter")
stats = rows.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), sum=rr.sum("x"))
pipeline = rr.Pipeline("shop", [stats.write("csv:out.csv")])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{second},a,{second}\n" for second in range(25))
    (tmp_path / "in.csv").write_text(f"key,ts,x\n{''.join(_turned(rows))}a,26,many\nb,27\n")
    (tmp_path / "pipeline.py").write_text(PIPELINE.format(kind="pl.Int64"))
    return tmp_path


def _turned(rows: str) -> list[str]:
    """The columns in another order than the schema's, as the header says."""
    return [f"{key},{ts},{x}\n" for ts, key, x in (row.split(",") for row in rows.splitlines())]


def test_a_run_with_state_is_inspected(folder: Path, call: Call) -> None:
    assert call("run", "pipeline.py", "--state", "state").code == 0
    told = call("inspect", "state").out
    assert told.startswith("pipeline shop, kept 20")
    assert "  file:in.csv: 27 received, 25 applied, 2 dead-lettered" in told
    assert "  aggregate by key, tumbling 10s\n    25 rows in, 3 out, 0 late; state" in told
    assert "dead letters: file:in.csv: csv 1, file:in.csv: schema 1" in told
    found = json.loads(call("inspect", "state", "--json").out)
    assert (found["pipeline"], found["sources"][0]["ended"]) == ("shop", True)


def test_a_folder_that_is_none_is_not_made(folder: Path, call: Call) -> None:
    done = call("inspect", "nowhere")
    assert done.code == 2
    assert "nowhere" in done.err
    assert not Path("nowhere").exists()


def test_dead_letters_are_listed(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    told = call("dead-letters", "list", "state").out
    assert "schema: " in told
    assert "found text 'xxxx'\n    x,00,xxxx\n" in told
    assert "many" not in told
    assert "letters are shown as x, digits as 0; --raw shows what came\n" in told
    assert told.endswith("2 kept (csv 1, schema 1)\n")
    (line,) = call("dead-letters", "list", "state", "--reason", "csv", "--json").out.splitlines()
    masked = json.loads(line)
    assert masked["head_masked"] == "x,00"
    assert masked.keys().isdisjoint({"head", "record", "header"})
    (line,) = call("dead-letters", "list", "state", "--reason", "csv", "--json", "--raw").out.splitlines()
    assert json.loads(line)["record"] == "b,27"


def test_one_dead_letter_is_shown_as_it_came(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    assert "    a,26,many\n" in call("dead-letters", "list", "state", "--id", "1", "--raw").out
    assert call("dead-letters", "list", "state", "--id", "17").out == "2 kept (csv 1, schema 1)\n"
    for file in (path for path in Path("state").rglob("*") if path.is_file()):
        assert file.stat().st_mode & 0o077 == 0, f"{file}: whole records are nobody else's"


def test_dead_letters_are_fed_again_after_a_fix(folder: Path, call: Call) -> None:
    # The second row is no whole number, the third has no last field.
    Path("in.csv").write_text("key,ts,x\na,1,1\na,2,2.5\nb,3\n")
    call("run", "pipeline.py", "--state", "state")
    assert "schema 1" in call("dead-letters", "list", "state").out
    done = call("dead-letters", "replay", "state", "pipeline.py")
    assert done.out == "2 fed again: 0 accepted, 2 refused again\n"
    assert call("dead-letters", "list", "state").out.endswith("2 kept (csv 1, schema 1)\n")
    # Mended: 2.5 stands for no value.
    text = Path("pipeline.py").read_text()
    mended = 'rr.Csv(header=True, null_values=("", "2.5"))'
    Path("pipeline.py").write_text(text.replace("rr.Csv(header=True)", mended))
    done = call("dead-letters", "replay", "state", "pipeline.py", "--reason", "schema")
    assert done.out == "1 fed again: 1 accepted, 0 refused again\n"
    assert call("dead-letters", "list", "state").out.endswith("1 kept (csv 1)\n")
    # The file has ended, and all of its windows are closed: the row is late.
    # What is fed again is received again: three rows, then two, then one.
    assert "  file:in.csv: 6 received, 1 applied, 1 late, 4 dead-lettered" in call("inspect", "state").out


def test_a_changed_schema_does_not_fit_the_state(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    Path("pipeline.py").write_text(PIPELINE.format(kind="pl.Float64"))
    done = call("dead-letters", "replay", "state", "pipeline.py")
    assert done.code == 2
    assert "x was Int64" in done.err


def test_a_savepoint_is_restored_elsewhere(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    assert "everything up to frame" in call("savepoint", "state", "saved").out
    assert call("restore", "saved", "other").code == 0
    mine, theirs = call("inspect", "state", "--json"), call("inspect", "other", "--json")
    assert json.loads(mine.out)["sources"] == json.loads(theirs.out)["sources"]


LISTENING = """
import polars as pl
import riverrun as rr

rows = rr.read("tcp+listen://127.0.0.1:{port}", format=rr.Csv(header=False), time="ts", name="door",
               schema={{"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Int64}})
stats = rows.group_by("key").window(rr.tumbling("10s")).agg({aggregate})
pipeline = rr.Pipeline("door", [stats.write("csv:{target}.csv")])
state = rr.State("state", history_bytes=1 << 30)

if __name__ == "__main__":
    pipeline.run(state=state, until="30s", watcher=lambda h: h.sources[0].applied >= 30 and h.memory_bytes)
"""


def test_history_is_run_over_again_with_a_changed_pipeline(folder: Path, call: Call) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = LISTENING.format(port=port, aggregate="n=rr.count()", target="first")
    Path("door.py").write_text(text)
    with Path("said.txt").open("wb") as said:
        child = subprocess.Popen([sys.executable, "door.py"], stderr=said)
    rows = "".join(f"{second},a,{second}\n" for second in range(30)).encode()
    try:
        _send(port, rows)
        _wait_for_rows(Path("first.csv"), 2)
    finally:
        child.terminate()
        assert child.wait(20) == 0, Path("said.txt").read_text()
    changed = LISTENING.format(port=port, aggregate='top=rr.max("x")', target="second")
    # Nobody is there to be answered, so that this asks nothing of the run.
    Path("changed.py").write_text(changed.replace('name="door"', 'name="door", ack=True'))
    done = call("run", "changed.py", "--from-journal", "state")
    assert done.code == 0, done.err
    tops = [line.split(",")[3] for line in Path("second.csv").read_text().splitlines()[1:]]
    assert tops == ["9", "19", "29"]


def test_a_followed_file_is_read_again_to_its_end(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    text = Path("pipeline.py").read_text().replace('"file:in.csv"', '"file:in.csv", follow=True')
    Path("changed.py").write_text(text.replace("csv:out.csv", "csv:second.csv"))
    done = call("run", "changed.py", "--from-journal", "state")
    assert done.code == 0, done.err
    assert Path("second.csv").read_text() == Path("out.csv").read_text()


def _send(port: int, data: bytes) -> None:
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.1) as door:
                door.sendall(data)
            return
        except OSError:
            _pause()
    raise AssertionError("nobody listens")


def _wait_for_rows(path: Path, rows: int) -> None:
    for _ in range(200):
        if path.exists() and len(path.read_text().splitlines()) > rows:
            return
        _pause()
    raise AssertionError("no results came")


def _pause() -> None:
    threading.Event().wait(0.05)


def test_what_is_not_in_the_journal_is_said(folder: Path, call: Call) -> None:
    call("run", "pipeline.py", "--state", "state")
    Path("changed.py").write_text(LISTENING.format(port=1, aggregate="n=rr.count()", target="none"))
    done = call("run", "changed.py", "--from-journal", "state")
    assert done.code == 2
    assert "the journal holds nothing of the source 'door'" in done.err


def test_settings_of_the_state_are_options(folder: Path, call: Call) -> None:
    options = ("--checkpoint-every", "5s", "--history", "2MiB", "--outbox", "1GB", "--drop-step", "gone")
    assert call("run", "pipeline.py", "--state", "state", *options).code == 0
    args = build_parser().parse_args(["run", "pipeline.py", "--state", "state", *options])
    assert state_of(args) == rr.State(
        "state", every="5s", history_bytes=2 << 20, outbox_bytes=1 << 30, drop=["gone"]
    )


@pytest.mark.parametrize("option", [("--checkpoint-every", "5s"), ("--history", "1"), ("--drop-step", "a")])
def test_settings_of_a_state_that_is_not_kept_are_refused(
    option: tuple[str, str], folder: Path, call: Call
) -> None:
    done = call("run", "pipeline.py", *option)
    assert done.code == 2
    assert done.err == (f"riverrun: run: {option[0]} goes with a state folder\n  try: add --state state/\n")


def test_a_size_says_how_one_is_written(folder: Path, call: Call) -> None:
    done = call("run", "pipeline.py", "--state", "state", "--history", "much")
    assert done.code == 2
    assert "expected a size such as 64MiB or 2GiB, got 'much'" in done.err


def test_what_was_received_and_not_applied_is_shown(folder: Path, call: Call) -> None:
    """As after a kill: it is safe, but no checkpoint and no step knows of it."""
    call("run", "pipeline.py", "--state", "state")
    assert "not applied yet" not in call("inspect", "state").out
    with Store.open("state", RealWorld()) as store:
        store.begin()
        store.append(to_parts(Received("file:in.csv", (Chunk("p", b"1,a,2\n1,a,3\n1,", 0, 0),))))
    assert "    received and safe, not applied yet: 14 bytes, 2 line ends\n" in call("inspect", "state").out
    found = json.loads(call("inspect", "state", "--json").out)
    assert found["received"] == {"file:in.csv": {"records": 1, "bytes": 14, "line_ends": 2}}


def test_a_folder_in_use_is_refused_before_anything_is_opened(folder: Path, call: Call) -> None:
    """The generous limit is for busy machines; what was measured is in docs/durability.md."""
    rows = rr.read("tcp+listen://127.0.0.1:1", format=rr.Csv(), schema={"a": pl.Int64}, ack=True)
    with Store.open("state", RealWorld()):
        for _ in range(2):  # the first time, modules are loaded
            began = time.perf_counter()
            with pytest.raises(StateError, match=f"in use by another process, number {os.getpid()}"):
                rr.run(rows.write("csv:out.csv"), state="state")
            took_s = time.perf_counter() - began
        done = call("inspect", "state")
        asked = call("savepoint", "state", "backup", "--wait", "200ms")
    print(f"\nrefused after {took_s * 1e3:.1f} ms")
    assert took_s < 1
    assert not Path("out.csv").exists()
    assert asked.code == done.code == 2
    assert asked.err.endswith(
        f"{folder}/state: the run that uses the folder has not answered within 200ms\n"
        "  try: --wait 30m if its state is large, or stop the run and try again\n"
    )
    assert not list(Path("state").glob("savepoint-*"))
    assert done.err.endswith(
        f"state: in use by another process, number {os.getpid()}\n"
        f"  try: stop that one first: kill {os.getpid()}\n"
    )
    assert not Path("backup").exists()


FOLLOWING = """
import polars as pl
import riverrun as rr

rows = rr.read("file:in.csv", follow=True, format=rr.Csv(header=False), time="ts",
               schema={"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Int64})
stats = rows.group_by("key").window(rr.tumbling("10s")).agg(n=rr.count(), sum=rr.sum("x"))
pipeline = rr.Pipeline("shop", [stats.write("csv:out.csv")])
"""


def test_a_running_run_makes_a_savepoint(folder: Path, call: Call) -> None:
    rows = [f"{second},{key},{second}\n" for second in range(100) for key in "ab"]
    Path("in.csv").write_text("".join(rows[:100]))
    Path("pipeline.py").write_text(FOLLOWING)
    with _running("pipeline.py", "--state", "state"):
        done = call("savepoint", "state", "backup")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("backup: everything up to frame ")
        again = call("savepoint", "state", "backup")
        assert (again.code, again.err) == (
            2,
            f"riverrun: {folder}/backup: there is something already\n"
            "  try: an empty folder, or one that is not there yet\n",
        )
        with Path("in.csv").open("a") as file:
            file.write("".join(rows[100:]))
    assert not list(Path("state").glob("savepoint-*"))
    assert call("restore", "backup", "restored").code == 0
    with _running("pipeline.py", "--state", "restored"):
        _wait_until(lambda: len(Path("out.csv").read_text().splitlines()) == 19)
    found = pl.read_csv("out.csv").select("key", "n", "sum").rows()
    expected = [(key, 10, sum(range(start, start + 10))) for start in range(0, 90, 10) for key in "ab"]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("files", [0, 2, 3, 4])
def test_killed_while_it_makes_one_a_run_loses_nothing(folder: Path, call: Call, files: int) -> None:
    """Whatever is left of the savepoint is whole, or makes room for the next one."""
    rows = "".join(f"{second},{second},1\n" for second in range(100_000))
    Path("in.csv").write_text(rows)
    Path("pipeline.py").write_text(FOLLOWING.replace('"10s"', '"1d"'))
    with _running("pipeline.py", "--state", "state") as process:
        request = ask(RealWorld(), str(folder / "state"), "backup", 2**62)
        _wait_until(Path("backup").exists)
        _wait_until(
            lambda: Path("backup/manifest.json").exists() or len(list(Path("backup").rglob("*"))) >= files
        )
        process.kill()
    is_whole = Path("backup/manifest.json").exists()
    assert call("inspect", "state").code == 0
    done = call("savepoint", "state", "backup")
    assert done.code == (2 if is_whole else 0), done.err
    assert call("restore", "backup", "restored").code == 0
    with _running("pipeline.py", "--state", "restored"):
        pass
    withdraw(RealWorld().files, str(folder / "state"), request)


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own that has begun; it is stopped in the end."""
    begun = Path(arguments[-1]) / "journal" / "synced"
    with subprocess.Popen(
        [sys.executable, "-m", "riverrun", "run", *arguments], stderr=subprocess.PIPE
    ) as process:
        _wait_until(begun.exists)
        try:
            yield process
        finally:
            process.terminate()


def _wait_until(done: Callable[[], bool], patience_s: float = 60) -> None:
    end_s, looking = time.monotonic() + patience_s, threading.Event()
    while not done():
        assert time.monotonic() < end_s
        looking.wait(0.001)
