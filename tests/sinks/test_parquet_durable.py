"""Parquet files that know how far they go: what is undone, and what never changes again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import SinkError, SinkUnavailable
from riverrun.ports import Remembered
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.parquet import ParquetSink
from riverrun.sinks.parquet_durable import DurableParquetWriter
from riverrun.testing.simulated_world import SimulatedWorld

SCHEMA = pl.Schema({"n": pl.Int64()})


def numbers(first: int, count: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(first, first + count)}, schema=SCHEMA)


def opened(path: Path, mark: Remembered | None = None, stream: str = "a") -> DurableParquetWriter:
    return ParquetSink(str(path), rows_per_file=10).open_durable(
        RealWorld(), SCHEMA, (), stream=stream, mark=mark
    )


def heights(path: Path) -> list[int]:
    return [pl.read_parquet(file, glob=False).height for file in sorted(path.iterdir())]


def digests(path: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())}


def test_rows_are_seen_with_a_commit_only(tmp_path):
    writer = opened(tmp_path)
    assert heights(tmp_path) == [0], "the columns can be seen from the beginning"
    writer.write(4, numbers(0, 3))
    writer.flush()
    assert heights(tmp_path) == [0]
    assert writer.commit() == {"part": 0, "rows": 3, "unit": 4}
    assert heights(tmp_path) == [3]


def test_a_unit_that_was_not_committed_is_undone_wherever_it_is(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 4))
    mark = writer.commit()
    writer.write(1, numbers(4, 30))
    assert heights(tmp_path) == [10, 10, 10], "full parts do not wait"
    writer = opened(tmp_path, mark)
    assert writer.delivered == 0
    assert heights(tmp_path) == [4]
    writer.write(1, numbers(4, 30))
    writer.commit()
    assert pl.read_parquet(tmp_path / "*.parquet")["n"].to_list() == list(range(34))


def test_units_that_are_whole_in_full_parts_are_delivered(tmp_path):
    writer = opened(tmp_path)
    mark = writer.commit()
    writer.write(0, numbers(0, 6))
    writer.write(1, numbers(6, 3))
    writer.write(2, numbers(9, 3))
    writer = opened(tmp_path, mark)
    assert writer.delivered == 1
    assert heights(tmp_path) == [9]


def test_a_commit_at_the_end_of_a_full_part(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 10))
    mark = writer.commit()
    assert mark == {"part": 0, "rows": 10, "unit": 0}
    before = digests(tmp_path)
    writer = opened(tmp_path, mark)
    assert writer.delivered == 0
    writer.write(1, numbers(10, 1))
    writer.commit()
    assert heights(tmp_path) == [10, 1]
    assert before.items() <= digests(tmp_path).items()


def test_full_parts_of_a_commit_never_change_again(tmp_path):
    mark = opened(tmp_path).commit()
    finished: dict[str, str] = {}
    at = 0
    for life in range(12):
        writer = opened(tmp_path, mark)
        assert finished.items() <= digests(tmp_path).items()
        for unit in range(writer.delivered + 1, writer.delivered + 4):
            writer.write(unit, numbers(unit * 7, 7))
            writer.write(unit, numbers(0, 0))
            if unit % 2 == life % 2:
                noted = writer.commit()
                mark = noted if life % 3 else mark
                finished = dict(list(digests(tmp_path).items())[:-1])
                at = unit
    writer = opened(tmp_path, mark)
    assert writer.delivered >= at
    found = pl.read_parquet(tmp_path / "*.parquet")["n"].to_list()
    assert found == list(range(7 * (writer.delivered + 1)))


def test_the_folder_knows_more_than_the_mark(tmp_path):
    writer = opened(tmp_path)
    mark = writer.commit()
    writer.write(0, numbers(0, 3))
    writer.write(5, numbers(3, 3))
    writer.commit()
    assert opened(tmp_path, mark).delivered == 5
    assert opened(tmp_path, None).delivered == 5


def test_units_without_rows_count(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 2))
    writer.write(9, numbers(0, 0))
    mark = writer.commit()
    assert opened(tmp_path, mark).delivered == 9


def test_files_of_others_stay(tmp_path):
    for first in (0, 100):
        writer = ParquetSink(str(tmp_path)).open(RealWorld(), SCHEMA, ())
        writer.write(numbers(first, 5))
        writer.close()
    before = digests(tmp_path)
    writer = opened(tmp_path)
    mark = writer.commit()
    writer.write(0, numbers(5, 12))
    assert heights(tmp_path) == [5, 5, 10]
    writer = opened(tmp_path, mark)
    assert digests(tmp_path) == before
    writer.write(0, numbers(5, 12))
    writer.commit()
    assert heights(tmp_path) == [5, 5, 10, 2]
    assert before.items() <= digests(tmp_path).items()


def test_another_stream_begins_behind_the_first(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 3))
    mark = writer.commit()
    other = opened(tmp_path, stream="b")
    assert other.delivered == -1
    other.write(0, numbers(10, 3))
    other.commit()
    writer = opened(tmp_path, mark)
    assert writer.delivered == 0
    writer.write(1, numbers(3, 1))
    writer.commit()
    assert heights(tmp_path) == [3, 3, 1]


def test_what_a_crash_left_unfinished_is_swept_away(tmp_path):
    (tmp_path / ".part-000000.tmp").write_bytes(b"half")
    opened(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["part-000000.parquet"]


def test_files_that_were_taken_away(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 10))
    writer.write(1, numbers(0, 4))
    mark = writer.commit()
    newest = tmp_path / "part-000001.parquet"
    data = newest.read_bytes()
    newest.unlink()
    with pytest.raises(SinkError) as caught:
        opened(tmp_path, mark)
    assert str(caught.value) == (
        f"parquet:{tmp_path}: part 1 had 4 rows for certain, but its newest part is number 0: "
        "files were taken away or replaced\n"
        "  try: bring back what was there, or begin anew: another target and another state folder"
    )
    newest.write_bytes(data)
    (tmp_path / "part-000000.parquet").unlink()
    assert opened(tmp_path, mark).delivered == 1, "older parts may be moved on by those who use them"
    newest.unlink()
    with pytest.raises(SinkError, match="part 1 had 4 rows for certain, but none of its parts is there"):
        opened(tmp_path, mark)


def test_a_part_that_was_replaced_by_an_older_one(tmp_path):
    writer = opened(tmp_path)
    writer.write(0, numbers(0, 2))
    writer.commit()
    older = (tmp_path / "part-000000.parquet").read_bytes()
    writer.write(1, numbers(0, 2))
    mark = writer.commit()
    (tmp_path / "part-000000.parquet").write_bytes(older)
    with pytest.raises(SinkError, match="part 0 had 4 rows for certain, but only 2 are there"):
        opened(tmp_path, mark)


def test_a_full_disk_passes():
    world = SimulatedWorld()
    sink = ParquetSink("out", rows_per_file=10)
    writer = sink.open_durable(world, SCHEMA, (), stream="a", mark=None)
    writer.write(0, numbers(0, 3))
    mark = writer.commit()
    world.files.fail("out/.part-000000.tmp", 28)
    writer.write(1, numbers(3, 3))
    with pytest.raises(SinkUnavailable, match=r"no space left for 'out/part-000000.parquet'"):
        writer.commit()
    with pytest.raises(SinkError, match="after it had been closed"):
        writer.commit()
    world.files._failures.clear()
    writer = sink.open_durable(world, SCHEMA, (), stream="a", mark=mark)
    assert writer.delivered == 0
    writer.write(1, numbers(3, 3))
    writer.commit()
    found = pl.read_parquet(world.files.content("out/part-000000.parquet"))
    assert found["n"].to_list() == list(range(6))


def test_other_columns_are_refused(tmp_path):
    opened(tmp_path)
    with pytest.raises(SinkError, match="the folder has other columns"):
        ParquetSink(str(tmp_path)).open_durable(RealWorld(), {"n": pl.Float64()}, (), stream="a", mark=None)


def test_a_closed_writer_takes_nothing(tmp_path):
    writer = opened(tmp_path)
    writer.close()
    writer.close()
    for act in (lambda: writer.write(0, numbers(0, 1)), writer.commit):
        with pytest.raises(SinkError, match="written to after it had been closed"):
            act()
    assert heights(tmp_path) == [0]
