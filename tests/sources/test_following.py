"""Files that grow, are rotated, cut, taken away, and appear."""

from __future__ import annotations

from riverrun.limits import Limits
from riverrun.runtime.real_world import RealWorld
from riverrun.sources.file import File
from riverrun.testing.simulated_world import SimulatedWorld
from tests.sources.pumping import ends, pump, texts


def following(world, pattern="a.csv"):
    return File(pattern, follow=True).open(world, Limits())


def test_what_is_appended_is_read():
    world = SimulatedWorld()
    world.files.append("a.csv", b"1\nhal")
    world.after("3s", lambda: world.files.append("a.csv", b"f\n2\n"))
    reader = following(world)
    chunks = pump(world, reader)
    assert [chunk.data for chunk in chunks] == [b"1\nhal", b"f\n2\n"]
    assert ends(chunks) == {}
    assert chunks[1].received_us - chunks[0].received_us <= 3_100_000
    assert reader.status == "following 1 file"
    assert not reader.finished


def test_a_file_that_is_not_there_yet_is_waited_for():
    world = SimulatedWorld()
    reader = following(world)
    assert reader.status == "waiting for the file a.csv"
    world.after("3s", lambda: world.files.append("a.csv", b"1\n"))
    assert texts(pump(world, reader)) == {"a.csv": b"1\n"}


def rotate(world: SimulatedWorld) -> None:
    world.files.replace("a.csv", "a.csv.1")
    world.files.append("a.csv", b"new\n")


def test_rotation_reads_the_old_file_to_its_end_and_goes_on_with_the_new_one():
    world = SimulatedWorld()
    world.files.append("a.csv", b"old\n")
    world.after("2s", lambda: rotate(world))
    # The writer has the old file open for a moment still.
    world.after("2500ms", lambda: world.files.append("a.csv.1", b"straggler\n"))
    reader = following(world)
    chunks = pump(world, reader)
    assert texts(chunks) == {"a.csv": b"old\nstraggler\n", "a.csv#2": b"new\n"}
    assert ends(chunks) == {"a.csv": False}
    assert reader.counters == {"files": 2, "files_rotated": 1, "files_truncated": 0}


def test_a_renamed_file_that_still_matches_is_not_read_again():
    world = SimulatedWorld()
    world.files.append("a.csv", b"old\n")
    world.after("2s", lambda: rotate(world))
    world.after("6s", lambda: world.files.append("a.csv.1", b"more\n"))
    chunks = pump(world, following(world, "a.csv*"))
    assert texts(chunks) == {"a.csv": b"old\nmore\n", "a.csv#2": b"new\n"}
    assert ends(chunks) == {}


def test_a_file_that_is_cut_is_read_from_its_beginning():
    world = SimulatedWorld()
    world.files.append("a.csv", b"1\n2\nhal")

    def cut() -> None:
        world.files.truncate("a.csv")
        world.files.append("a.csv", b"3\n")

    world.after("2s", cut)
    reader = following(world)
    chunks = pump(world, reader)
    assert texts(chunks) == {"a.csv": b"1\n2\nhal", "a.csv#2": b"3\n"}
    assert ends(chunks) == {"a.csv": True}
    assert reader.counters["files_truncated"] == 1


def test_a_file_that_is_cut_and_outgrows_where_we_were_is_noticed_too():
    world = SimulatedWorld()
    world.files.append("a.csv", b"1\n2\n")

    def cut() -> None:
        world.files.truncate("a.csv")
        world.files.append("a.csv", b"3\n4\n5\n")

    world.after("2s", cut)
    chunks = pump(world, following(world))
    assert texts(chunks) == {"a.csv": b"1\n2\n", "a.csv#2": b"3\n4\n5\n"}


def test_a_file_that_is_taken_away_ends_after_a_while():
    world = SimulatedWorld()
    world.files.append("a.csv", b"1")
    world.after("2s", lambda: world.files.remove("a.csv"))
    world.after("6s", lambda: world.files.append("a.csv", b"2\n"))
    chunks = pump(world, following(world))
    assert texts(chunks) == {"a.csv": b"1", "a.csv#2": b"2\n"}
    assert ends(chunks) == {"a.csv": False}


def test_new_files_that_match_are_picked_up():
    world = SimulatedWorld()
    world.files.make_dirs("data")
    reader = following(world, "data/*.csv")
    assert reader.status == "waiting for files that match data/*.csv"
    world.after("1s", lambda: world.files.append("data/b.csv", b"b\n"))
    world.after("3s", lambda: world.files.append("data/a.csv", b"a\n"))
    world.after("3s", lambda: world.files.append("data/a.json", b"{}\n"))
    assert texts(pump(world, reader)) == {"data/b.csv": b"b\n", "data/a.csv": b"a\n"}
    assert reader.status == "following 2 files"


def test_files_with_rows_are_announced_before_the_first_row():
    world = SimulatedWorld()
    for name in ("a", "b"):
        world.files.append(f"{name}.csv", b"x\n")
    world.files.append("empty.csv", b"")
    chunks = following(world, "*.csv").poll(1_000)
    assert [(chunk.partition, chunk.data) for chunk in chunks] == [
        ("a.csv", b""),
        ("b.csv", b""),
        ("a.csv", b"x\n"),
        ("b.csv", b"x\n"),
    ]


def test_a_file_that_cannot_be_read_costs_no_other():
    world = SimulatedWorld()
    world.files.append("a.csv", b"a\n")
    world.files.append("b.csv", b"b\n")
    world.files.fail("a.csv")
    reader = following(world, "*.csv")
    assert texts(pump(world, reader)) == {"b.csv": b"b\n"}
    assert reader.status == "following 1 file, cannot open '/simulated/a.csv': permission denied"


def test_for_real(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n")
    world = RealWorld()
    reader = File(str(path), follow=True, interval="5ms").open(world, Limits())
    chunks = pump(world, reader, until=lambda found: b"1\n" in texts(found).values())
    with path.open("ab") as file:
        file.write(b"2\n")
    path.rename(tmp_path / "a.log.1")
    path.write_bytes(b"3\n")
    chunks += pump(world, reader, until=lambda found: bool(ends(found)))
    reader.close()
    assert texts(chunks) == {str(path): b"1\n2\n", f"{path}#2": b"3\n"}
    assert reader.finished
