"""A folder of Parquet files: bounded, whole, and never touched again by the next run."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import ConfigError, SinkError
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.parquet import ParquetSink, ParquetWriter
from riverrun.testing.simulated_world import SimulatedWorld


def numbers(first: int, count: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(first, first + count)}, schema={"n": pl.Int64()})


def opened(path: Path, rows_per_file: int = 10) -> ParquetWriter:
    return ParquetSink(str(path), rows_per_file=rows_per_file).open(RealWorld(), numbers(0, 0).schema, ())


def heights(path: Path) -> dict[str, int]:
    return {file.name: pl.read_parquet(file, glob=False).height for file in sorted(path.iterdir())}


def test_files_are_bounded_and_in_order(tmp_path):
    writer = opened(tmp_path)
    writer.write(numbers(0, 25))
    writer.close()
    assert heights(tmp_path) == {"part-000000.parquet": 10, "part-000001.parquet": 10, "part-000002.parquet": 5}
    assert pl.read_parquet(tmp_path / "*.parquet")["n"].to_list() == list(range(25))


def test_flushes_grow_the_newest_file(tmp_path):
    writer = opened(tmp_path)
    for first in range(0, 12, 3):
        writer.write(numbers(first, 3))
        writer.flush()
    assert heights(tmp_path) == {"part-000000.parquet": 10, "part-000001.parquet": 2}
    writer.close()
    assert heights(tmp_path) == {"part-000000.parquet": 10, "part-000001.parquet": 2}


def test_the_next_run_begins_a_new_file(tmp_path):
    for _ in range(2):
        writer = opened(tmp_path)
        writer.write(numbers(0, 3))
        writer.close()
    assert heights(tmp_path) == {"part-000000.parquet": 3, "part-000001.parquet": 3}


def test_a_run_without_rows_leaves_one_empty_file_and_the_next_none(tmp_path):
    opened(tmp_path).close()
    opened(tmp_path).close()
    assert heights(tmp_path) == {"part-000000.parquet": 0}


def test_what_a_crash_left_is_swept_away(tmp_path):
    (tmp_path / ".part-000000.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("not ours")
    writer = opened(tmp_path)
    writer.write(numbers(0, 1))
    writer.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["notes.txt", "part-000000.parquet"]


def test_files_are_on_the_disk_before_they_get_their_name():
    world = SimulatedWorld()
    writer = ParquetSink("odd [folder]").open(world, numbers(0, 0).schema, ())
    writer.write(numbers(0, 3))
    writer.close()
    assert world.files.glob("odd [[]folder]/*") == ["odd [folder]/part-000000.parquet"]
    size = len(world.files.content("odd [folder]/part-000000.parquet"))
    assert world.files._existing("odd [folder]/part-000000.parquet").synced_bytes == size


def test_a_folder_with_odd_characters_goes_on_counting(tmp_path):
    for _ in range(2):
        writer = opened(tmp_path / "odd [a-z]*?")
        writer.write(numbers(0, 1))
        writer.close()
    assert list(heights(tmp_path / "odd [a-z]*?")) == ["part-000000.parquet", "part-000001.parquet"]


def test_other_columns_are_refused(tmp_path):
    writer = opened(tmp_path)
    writer.write(numbers(0, 1))
    writer.close()
    with pytest.raises(SinkError) as caught:
        ParquetSink(str(tmp_path)).open(RealWorld(), {"n": pl.Float64()}, ())
    assert str(caught.value) == (
        f"parquet:{tmp_path}: the folder has other columns: '{tmp_path}/part-000000.parquet' has n Int64; "
        "the results have n Float64\n  try: write to a new folder"
    )


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "part-000000.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(SinkError, match=r"'.*part-000000.parquet' is not a Parquet file"):
        opened(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.parquet").touch()
    with pytest.raises(SinkError, match=r"'.*a.parquet' is a file, a folder was expected\n  try: .*new folder"):
        opened(tmp_path / "a.parquet")


def test_no_permission():
    world = SimulatedWorld()
    writer = ParquetSink("out").open(world, numbers(0, 0).schema, ())
    world.files.fail("out/.part-000000.tmp")
    writer.write(numbers(0, 1))
    with pytest.raises(SinkError, match=r"no permission to write 'out/part-000000.parquet'"):
        writer.flush()


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="rows_per_file must be at least 1, got 0"):
        ParquetSink("out", rows_per_file=0)
    with pytest.raises(ConfigError, match="can only append"):
        ParquetSink("out", mode="upsert")
    with pytest.raises(ConfigError, match="the name of the folder is missing"):
        ParquetSink("")
