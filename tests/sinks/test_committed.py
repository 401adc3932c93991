"""Text files that go back to a mark: what stays, what is cut off, and when that is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from riverrun.errors import SinkError, SinkUnavailable
from riverrun.ports import DurableWriter, Remembered
from riverrun.runtime.real_world import RealWorld
from riverrun.sinks.csv import CsvSink
from riverrun.sinks.jsonl import JsonlSink
from riverrun.testing.simulated_world import SimulatedWorld

SCHEMA = pl.Schema({"n": pl.Int64()})


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"n": numbers}, schema=SCHEMA)


def opened(world: SimulatedWorld, sink: CsvSink | JsonlSink, mark: Remembered | None = None) -> DurableWriter:
    return sink.open_durable(world, SCHEMA, (), stream="a", mark=mark)


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


CSV = CsvSink("out/a.csv")


def test_rows_are_seen_at_once_and_on_the_disk_with_a_commit(world):
    writer = opened(world, CSV)
    writer.write(3, rows(1))
    writer.flush()
    assert world.files.content("out/a.csv") == b"n\n1\n"
    assert world.files._existing("out/a.csv").synced_bytes == 2, "the header is there for certain"
    assert writer.commit() == {"length": 4, "unit": 3, "tail": "7d8e4345b6338ed0"}
    assert world.files._existing("out/a.csv").synced_bytes == 4


def test_what_came_after_the_mark_is_cut_off(world):
    writer = opened(world, CSV)
    writer.write(0, rows(1))
    mark = writer.commit()
    writer.write(1, rows(2))
    writer.commit()
    writer.write(2, rows(3))
    writer = opened(world, CSV, mark)
    assert writer.delivered == 0
    assert world.files.content("out/a.csv") == b"n\n1\n"
    writer.write(1, rows(2))
    assert world.files.content("out/a.csv") == b"n\n1\n2\n"


def test_rows_of_others_stay(world):
    world.files.append("out/a.csv", b"n\n-1\n-2")
    writer = opened(world, CSV)
    assert writer.delivered == -1
    mark = writer.commit()
    writer.write(0, rows(1))
    assert world.files.content("out/a.csv") == b"n\n-1\n-2\n1\n"
    opened(world, CSV, mark)
    assert world.files.content("out/a.csv") == b"n\n-1\n-2\n"


@pytest.mark.parametrize("left", [b"", b"n", b"n\n"])
def test_a_header_that_a_crash_cut_is_written_again(world, left):
    world.files.append("out/a.csv", left)
    opened(world, CSV).write(0, rows(1))
    assert world.files.content("out/a.csv") == b"n\n1\n"


def test_other_columns_are_refused(world):
    world.files.append("out/a.csv", b"m\n1\n")
    with pytest.raises(SinkError, match=r"the file has other columns: its header is 'm', the results have 'n'"):
        opened(world, CSV)
    assert world.files.content("out/a.csv") == b"m\n1\n"


def test_a_file_that_was_cut(world):
    writer = opened(world, CSV)
    writer.write(0, rows(1))
    mark = writer.commit()
    world.files.truncate("out/a.csv", 3)
    with pytest.raises(SinkError) as caught:
        opened(world, CSV, mark)
    assert str(caught.value) == (
        "csv:out/a.csv: the file has 3 bytes, but 4 bytes had been written to it for certain: "
        "it was cut or replaced\n"
        "  try: bring back what was there, or begin anew: another target and another state folder"
    )
    world.files.remove("out/a.csv")
    with pytest.raises(SinkError, match="the file is gone, but 4 bytes had been written to it for certain"):
        opened(world, CSV, mark)


def test_another_file_of_the_same_name_is_not_cut(world):
    writer = opened(world, CSV)
    writer.write(0, rows(1))
    mark = writer.commit()
    world.files.remove("out/a.csv")
    world.files.append("out/a.csv", b"n\n2\n3\n4\n")
    with pytest.raises(SinkError, match=r"the file is another one: 4 bytes .* there now ends differently"):
        opened(world, CSV, mark)
    assert world.files.content("out/a.csv") == b"n\n2\n3\n4\n"


def test_a_long_file_is_known_by_its_end(world):
    writer = opened(world, CSV)
    writer.write(0, rows(*range(10_000)))
    writer.write(0, rows(1))
    mark = writer.commit()
    assert opened(world, CSV, mark).commit() == mark


def test_nothing_was_written_yet_and_the_file_went_away(world):
    mark = opened(world, JsonlSink("a.jsonl")).commit()
    world.files.remove("a.jsonl")
    opened(world, JsonlSink("a.jsonl"), mark).write(0, rows(1))
    assert world.files.content("a.jsonl") == b'{"n":1}\n'


def test_somebody_else_writes_meanwhile(world):
    writer = opened(world, CSV)
    writer.write(0, rows(1))
    world.files.append("out/a.csv", b"77\n")
    with pytest.raises(SinkError) as caught:
        writer.commit()
    assert str(caught.value) == (
        "csv:out/a.csv: somebody else changed the file: it has 7 bytes, we wrote up to 4\n"
        "  try: one pipeline and one output for each file"
    )


def test_the_file_is_moved_away_meanwhile(world):
    writer = opened(world, CSV)
    writer.write(0, rows(1))
    world.files.replace("out/a.csv", "out/old.csv")
    with pytest.raises(SinkError, match="the file was removed while it was being written"):
        writer.commit()
    writer = opened(world, CSV)
    world.files.append("out/new.csv", b"n\n")
    world.files.replace("out/new.csv", "out/a.csv")
    with pytest.raises(SinkError, match="the file was replaced while it was being written"):
        writer.commit()


def test_a_closed_writer_takes_nothing(world):
    writer = opened(world, CSV)
    writer.close()
    writer.close()
    for act in (lambda: writer.write(0, rows(1)), writer.commit):
        with pytest.raises(SinkError, match="written to after it had been closed"):
            act()


@pytest.mark.parametrize("sink", [CSV, JsonlSink("a.jsonl")])
def test_a_full_disk_passes(world, sink):
    world.files.space_bytes = 20
    writer = opened(world, sink)
    writer.write(0, rows(1))
    mark = writer.commit()
    with pytest.raises(SinkUnavailable, match=r"no space left for '.*'\n  try: free some space"):
        writer.write(1, rows(*range(100)))
    with pytest.raises(SinkError, match="after it had been closed"):
        writer.commit()
    world.files.space_bytes = None
    writer = opened(world, sink, mark)
    assert writer.delivered == 0
    writer.write(1, rows(2, 3))
    writer.commit()
    lines = world.files.content(sink.path).decode().splitlines()
    assert [line for line in lines if line != "n"] in (["1", "2", "3"], ['{"n":1}', '{"n":2}', '{"n":3}'])


def test_no_permission_does_not_pass(world):
    world.files.fail("out/a.csv")
    with pytest.raises(SinkError, match=r"no permission to write 'out/a.csv'") as caught:
        opened(world, CSV)
    assert not isinstance(caught.value, SinkUnavailable)


def test_folders_on_the_way_are_made(tmp_path: Path):
    path = tmp_path / "one" / "two" / "a.jsonl"
    writer = JsonlSink(str(path)).open_durable(RealWorld(), SCHEMA, (), stream="a", mark=None)
    writer.write(0, rows(1))
    writer.close()
    assert path.read_text() == '{"n":1}\n'
