"""Sinks of a process that is killed again and again: every row is there once, in order.

40 kills each; with ``RIVERRUN_SOAK=1`` in the environment 400.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.contracts.sink_harness import READERS
from tests.crash.sink_lives import KEYS, SCHEMA, NaiveSink, rows_of, sink_of

KILLS = 400 if os.environ.get("RIVERRUN_SOAK") else 40
PROGRAM = Path(__file__).with_name("sink_lives.py")


def after_kills(kind: str, folder: Path) -> tuple[pl.DataFrame, int]:
    """The target after all lives, and the last unit that was committed."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), kind, str(folder), str(KILLS), "1"],
        capture_output=True,
        text=True,
        timeout=110 * KILLS / 40,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == 0, done.stderr
    assert 0 < told["while_opening"] < told["kills"] == KILLS
    sink = sink_of(kind, folder)
    written = sink.inner if isinstance(sink, NaiveSink) else sink
    return READERS[type(written)](written, pl.Schema(SCHEMA)), told["last_unit"]


def expected(last_unit: int) -> pl.DataFrame:
    return pl.concat([rows_of(unit) for unit in range(-1, last_unit + 1)])


@pytest.mark.timeout(120 * KILLS / 40)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "duckdb", "sqlite"])
def test_every_row_once_and_in_order(kind, tmp_path):
    found, last_unit = after_kills(kind, tmp_path)
    assert last_unit > 40, "the lives were too short to tell anything"
    assert_frame_equal(found, expected(last_unit))


@pytest.mark.timeout(120 * KILLS / 40)
@pytest.mark.parametrize("kind", ["duckdb-upsert", "sqlite-upsert"])
def test_the_last_revision_of_every_key(kind, tmp_path):
    found, last_unit = after_kills(kind, tmp_path)
    newest = expected(last_unit).unique(KEYS, keep="last")
    assert_frame_equal(found.sort(KEYS), newest.sort(KEYS))


def test_a_sink_without_a_token_doubles(tmp_path):
    found, last_unit = after_kills("naive", tmp_path)
    wanted = expected(last_unit)
    assert_frame_equal(found.unique().sort(*SCHEMA), wanted.sort(*SCHEMA))  # nothing is missing
    assert found.height > wanted.height, "the test finds nothing: some rows must be there twice"
