"""The whole engine under ``kill -9``: sources, journal, state, outbox and sinks, in real processes.

30 kills of each kind of run, less where time runs out; with ``RIVERRUN_SOAK=1`` in the environment 1,500 each.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from riverrun.runtime.log import Received, from_body
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash.engine_kills import FEWEST_KILLS
from tests.crash.shim import ROOT

SOAK = bool(os.environ.get("RIVERRUN_SOAK"))
KILLS, SECONDS = (1_500, 2_000) if SOAK else (30, 13)

#: What the sinks of `engine_run.statistics` write.
TABLES = (
    *("stats.csv", "stats.sqlite", "stats.duckdb", "stats", "stats.jsonl"),
    *("late.jsonl", "once.csv", "rolled.csv"),
)


def kills_of(kind: str, folder: Path, kills: int = KILLS, seed: int = 1) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "tests.crash.engine_kills",
        kind,
        folder,
        str(kills),
        str(SECONDS),
        str(seed),
    ]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=None if SOAK else subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        timeout=SECONDS + 145,
    )
    assert done.returncode == 0, done.stderr
    tally: dict[str, Any] = json.loads(done.stdout)
    return tally


def table(path: Path) -> pl.DataFrame:
    """What stands in a sink, in its order, as other programs read it."""
    if path.is_dir():
        return pl.concat([pl.read_parquet(part) for part in sorted(path.glob("*.parquet"))])
    if path.suffix == ".csv":
        return pl.read_csv(path)
    if path.suffix == ".jsonl":
        return pl.read_ndjson(path, infer_schema_length=None)
    connected: Any = (
        duckdb.connect(str(path), read_only=True) if path.suffix == ".duckdb" else sqlite3.connect(path)
    )
    with closing(connected) as database:
        found = database.execute("SELECT * FROM results ORDER BY rowid")
        names = [column[0] for column in found.description]
        return pl.DataFrame(found.fetchall(), schema=names, orient="row", infer_schema_length=None)


def assert_same(found: Path, expected: Path, *, by_key: bool) -> int:
    """Every sink holds the same rows in the same order; how many there are.

    Parameters
    ----------
    by_key : only the order within each key, or window of it, is compared: the watermark that closes windows
        is that of all producers, and they take turns differently in every run.
    """
    rows = 0
    for name in TABLES:
        tables = [table(folder / name) for folder in (found, expected)]
        if by_key:
            order = [name for name in ("key", "window_start") if name in tables[0].columns]
            tables = [made.sort(order, maintain_order=True) for made in tables]
        try:
            assert_frame_equal(*tables, check_exact=False, rel_tol=1e-12, abs_tol=1e-12)
        except AssertionError as error:
            raise AssertionError(f"{name} is not what it should be: {error}") from error
        rows += tables[0].height
    return rows


def assert_nothing_to_replay(state: Path) -> None:
    """A run that ended in peace leaves nothing to do again."""
    with Store.open(str(state), RealWorld(), create=False) as store:
        position = store.recovery.position
        behind = [frame for frame in store.frames(position) if frame.sequence > position]
        records = [from_body(frame.body, where="journal") for frame in behind]
    assert [record for record in records if not isinstance(record, Received)] == []


def say(kind: str, tally: dict[str, Any], **found: int) -> None:
    told = ", ".join(f"{name} {number:,}" for name, number in found.items())
    recovering = tally["kills_while_recovering"]
    print(f"\n{kind}: {tally['kills']} kills, {recovering} of them during recovery, {told}", flush=True)


@pytest.mark.timeout(SECONDS + 150)
@pytest.mark.parametrize("kind", ["acks", "file"])
def test_every_row_counts_once_in_every_sink(kind: str, tmp_path: Path) -> None:
    tally = kills_of(kind, tmp_path)
    rows = assert_same(tmp_path / "killed", tmp_path / "whole", by_key=kind == "acks")
    say(kind, tally, lines=tally["lines"], results=rows, lost=0, doubled=0)
    assert tally["kills"] >= FEWEST_KILLS
    # Of a few kills chance decides when they come.
    assert tally["kills_while_recovering"] >= (0.15 * tally["kills"] if tally["kills"] > 20 else 1)
    # The 5 s of the goal are those of the test of the signal: here others share the machine.
    assert max(tally["stop_s"]) < 15
    assert_nothing_to_replay(tmp_path / "killed" / "state")


@pytest.mark.timeout(SECONDS + 150)
def test_without_acknowledgments_rows_are_lost_and_none_is_doubled(tmp_path: Path) -> None:
    """Plain TCP: the negative control of the loss, and half of the promise."""
    tally = kills_of("plain", tmp_path)
    sent = Counter(rows_of((tmp_path / "sent.csv").read_text()))
    found = Counter(table(tmp_path / "killed" / "rows.csv")["id"].to_list())
    lost, doubled = (sent - found).total(), (found - sent).total()
    say("plain", tally, lines=tally["lines"], lost=lost, doubled=doubled)
    assert doubled == 0
    assert lost > 0, "the test finds nothing: some rows must be lost"


@pytest.mark.timeout(SECONDS + 150)
def test_a_sink_without_tokens_doubles(tmp_path: Path) -> None:
    """The negative control of the doubling; nothing is missing all the same."""
    tally = kills_of("naive", tmp_path)
    sent = Counter(rows_of((tmp_path / "sent.csv").read_text()))
    found = Counter(int(line) for line in (tmp_path / "killed" / "naive.txt").read_text().splitlines())
    lost, doubled = (sent - found).total(), (found - sent).total()
    say("naive", tally, lines=tally["lines"], lost=lost, doubled=doubled)
    assert lost == 0
    assert doubled > 0, "the test finds nothing: some rows must be there twice"


def rows_of(sent: str) -> list[int]:
    """The numbers of the rows that are none of nonsense."""
    return [int(line.split(",")[1]) for line in sent.splitlines() if "," in line]


def scene(name: str, folder: Path, seed: int = 1) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.engine_scenes", name, folder, str(seed)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_signal_under_load_ends_the_run_soon_and_leaves_nothing_to_replay(tmp_path: Path) -> None:
    told = scene("stop", tmp_path)
    print(f"\nSIGTERM under load: {told['stop_s']:.1f} s, {told['safe']:,} lines acknowledged")
    assert told["stop_s"] < 5
    assert_nothing_to_replay(tmp_path / "killed" / "state")


def test_a_second_run_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    told = scene("second", tmp_path)
    assert told["code"] == 1
    assert f"in use by another process, number {told['first']}" in told["said"]
    assert told["refused_s"] < 5
    assert told["opened"]


@pytest.mark.parametrize("seed", range(40 if SOAK else 2))
def test_recovery_comes_to_the_same_whatever_crashed_and_wherever(seed: int, tmp_path: Path) -> None:
    """The same journal after other crashes, or out of a savepoint in another folder: the same state."""
    digests = scene("histories", tmp_path, seed)
    assert len(set(digests.values())) == 1
    for name in ("crashed", "restored"):
        assert_same(tmp_path / name, tmp_path / "once", by_key=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose state is on a disk of 16 MiB of its own."""
    state = tmp_path / "killed" / "state"
    state.mkdir(parents=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", state], capture_output=True)
    if made.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {made.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", state], check=True)


@pytest.mark.parametrize("seed", range(20 if SOAK else 1))
def test_a_full_disk_stops_acknowledgments_and_nothing_else(seed: int, small_disk: Path) -> None:
    told = scene("full", small_disk, seed)
    print(f"\nfull disk: went on {told['resumed_s']:.1f} s after there was space; {told['lines']:,} lines")
    assert told["while_full"] == 0
    assert told["read_on"] == 0, "what cannot be kept must not be read"
    assert told["resumed_s"] < 5
    assert told["stop_s"] < 5
    found = Counter((small_disk / "killed" / "naive.txt").read_text().splitlines())
    assert found == Counter(str(number) for number in range(1, told["lines"] - 1)) + Counter(["0", "0"])


def test_a_signal_while_the_disk_is_full_ends_the_run_and_loses_nothing(small_disk: Path) -> None:
    told = scene("full_at_the_end", small_disk)
    print(f"\nSIGTERM on a full disk: {told['stop_s']:.1f} s, {told['acknowledged']:,} lines acknowledged")
    assert told["stop_s"] < 5
    assert told["code"] == 1
    said = told["said"].replace("\nstopping: working through what has arrived\n", "")
    assert said.endswith(
        "the disk is full, so the run ends without its last checkpoint; all that was acknowledged is in the "
        "journal, and nothing else was\n"
        "  try: remove something from this disk, then start again: it goes on where it stood\n"
    )
    assert "Traceback" not in said
    found = {int(line) for line in (small_disk / "killed" / "naive.txt").read_text().splitlines()}
    assert found == set(range(told["lines"] - 1))


def test_files_that_hide_a_full_disk_are_found_out(small_disk: Path) -> None:
    """The negative control: what acknowledges on a full disk does not fall silent."""
    assert not scene("believing", small_disk)["silent"]
