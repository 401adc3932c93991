"""Files read once: order, announcements, many of them, and what is said when there are none."""

from __future__ import annotations

import errno

import pytest

from riverrun.errors import ConfigError, SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk
from riverrun.runtime.real_world import RealWorld
from riverrun.sources.file import File
from riverrun.sources.reading import OPEN_FILES_MAX
from riverrun.testing.simulated_world import SimulatedWorld
from tests.sources.pumping import ends, pump, texts


def world_with(**contents: bytes) -> SimulatedWorld:
    world = SimulatedWorld()
    for name, data in contents.items():
        world.files.append(f"data/{name}.csv", data)
    return world


def message(world, source: File) -> str:
    with pytest.raises(SourceError) as raised:
        pump(world, source.open(world, Limits()))
    return str(raised.value)


def test_one_file_is_read_to_its_end():
    world = world_with(a=b"x,1\nx,2")
    reader = File("data/a.csv").open(world, Limits())
    assert reader.poll(1_000) == [
        Chunk("data/a.csv", b"x,1\nx,2", 0, world.clock.now_us(), end=True, truncated=False)
    ]
    assert reader.finished
    assert reader.status == "read to the end"


def test_it_is_read_in_pieces():
    world = world_with(a=b"0123456789")
    chunks = pump(world, File("data/a.csv").open(world, Limits()), max_bytes=4)
    assert [(chunk.position, chunk.data, chunk.end) for chunk in chunks] == [
        (0, b"0123", False),
        (4, b"4567", False),
        (8, b"89", True),
    ]


def test_a_file_as_long_as_its_pieces_ends_as_well():
    world = world_with(a=b"01234567")
    chunks = pump(world, File("data/a.csv").open(world, Limits()), max_bytes=4)
    assert texts(chunks) == {"data/a.csv": b"01234567"}
    assert ends(chunks) == {"data/a.csv": False}


def test_an_empty_file_is_a_partition_without_rows():
    world = world_with(a=b"")
    chunks = pump(world, File("data/a.csv").open(world, Limits()))
    assert [(chunk.partition, chunk.data, chunk.end) for chunk in chunks] == [("data/a.csv", b"", True)]


def test_several_files_are_announced_and_then_read_side_by_side():
    world = world_with(a=b"aaaa", b=b"bbbb")
    chunks = pump(world, File("data/*.csv").open(world, Limits()), max_bytes=2)
    assert [(chunk.partition[-5], chunk.data) for chunk in chunks] == [
        ("a", b""), ("b", b""), ("a", b"aa"), ("b", b"bb"), ("a", b"aa"), ("b", b"bb"), ("a", b""), ("b", b""),
    ]  # fmt: skip
    assert ends(chunks) == {"data/a.csv": False, "data/b.csv": False}


def test_more_files_than_may_be_open(tmp_path):
    for number in range(OPEN_FILES_MAX + 10):
        (tmp_path / f"{number:03}.csv").write_bytes(b"x,%d\n" % number)
    world = RealWorld()
    reader = File(f"{tmp_path}/*.csv").open(world, Limits())
    found = texts(pump(world, reader, max_bytes=3))
    assert list(found.values()) == [b"x,%d\n" % number for number in range(OPEN_FILES_MAX + 10)]
    assert reader.counters == {"files": OPEN_FILES_MAX + 10, "files_read": OPEN_FILES_MAX + 10}


def test_a_missing_file_names_the_folder_and_close_names():
    world = world_with(trades=b"", quotes=b"")
    assert message(world, File("data/trade.csv")) == (
        "file:data/trade.csv: there is no file 'data/trade.csv'; looked in '/simulated/data'\n"
        "  try: did you mean 'data/trades.csv'?"
    )


def test_a_missing_file_lists_what_is_there():
    world = world_with(**{f"n{number}": b"" for number in range(7)})
    assert message(world, File("data/weather.txt")) == (
        "file:data/weather.txt: there is no file 'data/weather.txt'; looked in '/simulated/data'\n"
        "  try: the folder holds: n0.csv, n1.csv, n2.csv, n3.csv, n4.csv, ..."
    )


def test_a_pattern_without_a_match():
    assert message(world_with(a=b""), File("data/*.json")) == (
        "file:data/*.json: no file matches 'data/*.json'; looked in '/simulated/data'\n"
        "  try: the folder holds: a.csv"
    )


def test_a_missing_folder():
    assert message(SimulatedWorld(), File("nowhere/a.csv")) == (
        "file:nowhere/a.csv: there is no folder '/simulated/nowhere'"
    )


@pytest.mark.parametrize("follow", [False, True])
def test_a_folder_is_not_a_file(follow):
    assert message(world_with(a=b""), File("data", follow=follow)) == (
        "file:data: 'data' is a folder, not a file\n  try: name the files in it: 'data/*.csv'"
    )


@pytest.mark.parametrize("follow", [False, True])
def test_no_permission(follow):
    world = world_with(a=b"x")
    world.files.fail("data/a.csv")
    assert message(world, File("data/a.csv", follow=follow)) == (
        "file:data/a.csv: cannot open '/simulated/data/a.csv': permission denied\n"
        "  try: riverrun needs the right to read it: chmod u+r, or run as its owner"
    )


def test_another_failure():
    world = world_with(a=b"x")
    world.files.fail("data/a.csv", errno.EMFILE)
    assert "cannot open '/simulated/data/a.csv': too many open files" in message(world, File("data/a.csv"))


def test_a_named_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    assert "is it a regular file?" in message(RealWorld(), File(str(tmp_path / "pipe")))


def test_a_name_with_wildcards_in_it(tmp_path):
    (tmp_path / "odd[1].csv").write_bytes(b"x\n")
    world = RealWorld()
    assert list(texts(pump(world, File(f"{tmp_path}/odd[1].csv").open(world, Limits()))).values()) == [b"x\n"]


def test_a_large_file_for_real(tmp_path):
    data = bytes(range(256)) * 40_000
    (tmp_path / "large.csv").write_bytes(data)
    world = RealWorld()
    reader = File(f"{tmp_path}/large.csv").open(world, Limits())
    chunks = pump(world, reader, max_bytes=16 * 1024 * 1024)
    assert texts(chunks) == {f"{tmp_path}/large.csv": data}
    assert max(len(chunk.data) for chunk in chunks) == 4 * 1024 * 1024


def test_closing_gives_the_files_back(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x\n")
    reader = File(f"{tmp_path}/a.csv").open(RealWorld(), Limits())
    reader.close()
    reader.close()
    assert reader.finished


def test_settings():
    assert File("a.csv", replay=10).pace == 10
    assert File("a.csv").pace is None
    assert File("a.csv").bounded
    assert not File("a.csv", follow=True).bounded
    assert [File(name).format_hint for name in ("a.TSV", "a.ndjson", "a.log", "a")] == [
        "csv",
        "json",
        "lines",
        None,
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"replay": 0}, "replay is a positive factor, got 0"),
        ({"replay": 1.0, "follow": True}, "replay and follow exclude each other"),
        ({"interval": "0s"}, "the interval must be longer than nothing"),
        ({"interval": "soon"}, "not a duration: 'soon'"),
    ],
)
def test_impossible_settings(options, problem):
    with pytest.raises(ConfigError, match=problem):
        File("a.csv", **options)
