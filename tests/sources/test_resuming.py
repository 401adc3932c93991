"""A new reader that takes up a bookmark gives exactly the rest, and reads again what notes were kept of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.ports import Chunk, ChunkNote, FrameChunk, Reader, Source
from riverrun.runtime.log import Applied, from_body, note_of, to_parts
from riverrun.sources.file import File
from riverrun.sources.frame import Frame
from riverrun.sources.generate import Generate
from riverrun.testing.simulated_world import SimulatedWorld
from tests.sources.pumping import ends, pump, texts

Piece = tuple[str, int, Any, bool]


@dataclass(frozen=True)
class Step:
    """One thing that happens before a poll: bytes for the reader, or time that passes."""

    size: int
    advance_us: int


def opened(source: Source, world: SimulatedWorld, bookmark: Any = None) -> Reader:
    reader = source.open(world, Limits())
    if bookmark is not None:
        reader.resume(json.loads(json.dumps(bookmark)))
    return reader


def content(chunk: Chunk | FrameChunk) -> Piece:
    data = chunk.frame if isinstance(chunk, FrameChunk) else chunk.data
    return chunk.partition, chunk.position, data, chunk.end


def joined(chunks: Sequence[Chunk | FrameChunk]) -> dict[str, tuple[Any, bool]]:
    """All that came of each partition, and whether it has ended."""
    found: dict[str, tuple[Any, bool]] = {}
    for chunk in chunks:
        if isinstance(chunk, FrameChunk):
            before = found[chunk.partition][0] if chunk.partition in found else []
            found[chunk.partition] = (before + chunk.frame.rows(), chunk.end)
        else:
            before = found[chunk.partition][0] if chunk.partition in found else b""
            found[chunk.partition] = (before + chunk.data, chunk.end)
    return found


def check_resuming(
    world_and_source: Callable[[], tuple[SimulatedWorld, Source]],
    polls: Sequence[Step],
    bookmark_at: int,
    crash_at: int,
) -> None:
    """A run that crashes after some polls, with a bookmark of an earlier one, ends as one that never did."""
    world, source = world_and_source()
    whole = drained(opened(source, world), world)

    world, source = world_and_source()
    reader = opened(source, world)
    bookmark, polled = reader.bookmark(), []
    for number, step in enumerate(polls[:crash_at]):
        if number == bookmark_at:
            bookmark = reader.bookmark()
            polled.append(None)
        world.clock.advance(step.advance_us)
        polled += reader.poll(step.size)
    known = polled.index(None) if None in polled else 0
    before, after = polled[:known], [chunk for chunk in polled[known:] if chunk is not None]

    _, source = world_and_source()
    again = opened(source, world, bookmark)
    replayed = [again.replay(ChunkNote.of(chunk)) for chunk in after]
    assert len(replayed) == len(after)
    for first, second in zip(after, replayed, strict=True):
        assert ChunkNote.of(first) == ChunkNote.of(second)
        if isinstance(first, FrameChunk):
            assert isinstance(second, FrameChunk)
            assert first.frame.equals(second.frame)
        else:
            assert first == second
    rest = drained(again, world)
    assert joined([*before, *after, *rest]) == joined(whole)


def drained(reader: Reader, world: SimulatedWorld) -> list[Chunk | FrameChunk]:
    return pump(world, reader, lasting="10s", max_bytes=512)


steps = st.lists(st.builds(Step, st.integers(1, 200), st.integers(0, 3_000_000)), max_size=12)
instants = st.integers(0, 12)


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    steps,
    instants,
    instants,
)
def test_files_read_once(contents, polls, bookmark_at, crash_at):
    def made():
        world = SimulatedWorld()
        for number, data in enumerate(contents):
            world.files.append(f"data/{number}.csv", data)
        return world, File("data/*.csv")

    check_resuming(made, polls, bookmark_at, crash_at)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4), steps, instants, instants)
def test_files_that_are_followed(contents, polls, bookmark_at, crash_at):
    def made():
        world = SimulatedWorld()
        for number, data in enumerate(contents):
            world.files.append(f"data/{number}.csv", data)
        return world, File("data/*.csv", follow=True)

    check_resuming(made, polls, bookmark_at, crash_at)


tables = st.lists(
    st.one_of(
        st.integers(1, 5).map(lambda count: pl.DataFrame({"x": list(range(count))})),
        st.integers(-9, 9).map(lambda x: {"x": x}),
    ),
    max_size=12,
)


@given(tables, steps, instants, instants)
def test_frames_and_iterables_of_them(items, polls, bookmark_at, crash_at):
    check_resuming(lambda: (SimulatedWorld(), Frame(iter(items))), polls, bookmark_at, crash_at)


def test_a_large_table_is_sliced_at_the_same_rows():
    frame = pl.DataFrame({"x": range(250_000)})
    polls = [Step(1, 0)] * 4
    check_resuming(lambda: (SimulatedWorld(), Frame(frame)), polls, 1, 2)


@settings(max_examples=40)
@given(st.integers(0, 300), st.one_of(st.none(), st.sampled_from([40.0, 900.0])), steps, instants, instants)
def test_made_up_rows(rows, rate, polls, bookmark_at, crash_at):
    start = "2026-01-01T00:00:00Z"
    source = Generate("trades", rows=rows, rate=rate, start=start)
    check_resuming(lambda: (SimulatedWorld(), source), polls, bookmark_at, crash_at)


def test_made_up_rows_keep_their_start_and_their_pace():
    world = SimulatedWorld()
    reader = opened(Generate("trades", rate=10), world)
    world.clock.advance(1_000_000)
    first = reader.poll(10_000)[0].frame
    assert first.height == 11
    bookmark = reader.bookmark()
    world.clock.advance(60_000_000)
    again = opened(Generate("trades", rate=10), world, bookmark)
    rest = pump(world, again, lasting="1s")
    assert sum(chunk.frame.height for chunk in rest) == 10
    assert (rest[0].frame["ts"][0] - first["ts"][-1]).total_seconds() == pytest.approx(0.1)


def test_a_shorter_iterable_than_last_time():
    reader = opened(Frame([{"x": 1}, {"x": 2}]), SimulatedWorld())
    reader.poll(1)
    with pytest.raises(SourceError) as raised:
        opened(Frame([{"x": 1}]), SimulatedWorld(), reader.bookmark())
    assert str(raised.value) == (
        "frame: cannot go on where the last run stood: expected at least 2 rows, found 1\n"
        "  try: hand in the same table or iterable as before, from its beginning"
    )


# Files that changed while nobody was reading


def test_files_that_appeared_meanwhile_are_read_as_well():
    world = SimulatedWorld()
    world.files.append("data/b.csv", b"bbbb")
    reader = opened(File("data/*.csv"), world)
    before = reader.poll(2)
    world.files.append("data/a.csv", b"aaaa")
    after = drained(opened(File("data/*.csv"), world, reader.bookmark()), world)
    assert texts([*before, *after]) == {"data/a.csv": b"aaaa", "data/b.csv": b"bbbb"}


def test_a_file_that_was_read_is_not_read_again_but_another_one_of_its_name_is():
    world = SimulatedWorld()
    world.files.append("a.csv", b"old\n")
    reader = opened(File("a.csv*"), world)
    assert texts(drained(reader, world)) == {"a.csv": b"old\n"}
    world.files.replace("a.csv", "a.csv.1")
    world.files.append("a.csv", b"new\n")
    again = opened(File("a.csv*"), world, reader.bookmark())
    assert texts(drained(again, world)) == {"a.csv#2": b"new\n"}
    assert drained(opened(File("a.csv*"), world, again.bookmark()), world) == []


def test_all_was_read_and_taken_away():
    world = SimulatedWorld()
    world.files.append("a.csv", b"old\n")
    reader = opened(File("a.csv"), world)
    drained(reader, world)
    world.files.remove("a.csv")
    assert opened(File("a.csv"), world, reader.bookmark()).finished


@pytest.mark.parametrize("follow", [False, True])
def test_a_file_that_was_renamed_meanwhile_is_read_to_its_end(follow):
    world = SimulatedWorld()
    world.files.append("a.csv", b"one\ntwo\n")
    reader = opened(File("a.csv", follow=follow), world)
    before = reader.poll(4)
    world.files.replace("a.csv", "a.csv.1")
    world.files.append("a.csv", b"new\n")
    after = drained(opened(File("a.csv", follow=follow), world, reader.bookmark()), world)
    assert texts([*before, *after])["a.csv"] == b"one\ntwo\n"
    assert ends(after)["a.csv"] is False
    names = {chunk.partition for chunk in after}
    assert names == {"a.csv", "a.csv#2"}


def test_a_copy_of_the_file_will_do():
    world = SimulatedWorld()
    world.files.append("a.csv", b"one\ntwo\n")
    reader = opened(File("a.csv"), world)
    reader.poll(4)
    world.files.remove("a.csv")
    world.files.append("a.csv", b"one\ntwo\n")
    after = drained(opened(File("a.csv"), world, reader.bookmark()), world)
    assert [chunk.data for chunk in after] == [b"two\n"]


def cut(world: SimulatedWorld) -> None:
    world.files.truncate("a.csv", 2)


def replaced(world: SimulatedWorld) -> None:
    world.files.remove("a.csv")
    world.files.append("a.csv", b"another file\n")


def rewritten(world: SimulatedWorld) -> None:
    world.files.truncate("a.csv")
    world.files.append("a.csv", b"another file\n")


def removed(world: SimulatedWorld) -> None:
    world.files.remove("a.csv")


EXPECTED = (
    "file:a.csv: cannot go on in 'a.csv' where the last run stood: expected file number 1 with at least "
    "4 bytes that begin as before (fingerprint 2b93bf7282cb10ba of the first 4), found "
)
HINT = '\n  try: put the file back, or say on_lost="skip" to go on without what was not read of it'


@pytest.mark.parametrize(
    ("change", "follow", "found"),
    [
        (cut, False, "2 bytes"),
        (rewritten, False, "that it begins with something else"),
        (replaced, False, "file number 2, which begins with something else"),
        (replaced, True, "file number 2, which begins with something else"),
        (removed, False, "no such file, nor that number under another name in its folder"),
        (removed, True, "no such file, nor that number under another name in its folder"),
    ],
)
def test_a_file_that_is_not_what_it_was(change, follow, found):
    world = SimulatedWorld()
    world.files.append("a.csv", b"one\ntwo\n")
    reader = opened(File("a.csv", follow=follow), world)
    reader.poll(4)
    change(world)
    with pytest.raises(SourceError) as raised:
        opened(File("a.csv", follow=follow), world, reader.bookmark())
    assert str(raised.value) == EXPECTED + found + HINT
    again = opened(File("a.csv", follow=follow, on_lost="skip"), world, reader.bookmark())
    after = drained(again, world)
    assert ends(after)["a.csv"] is True
    assert again.counters["files_lost"] == 1


@pytest.mark.parametrize("change", [cut, rewritten])
def test_a_followed_file_that_was_cut_meanwhile_begins_again(change):
    world = SimulatedWorld()
    world.files.append("a.csv", b"one\ntwo\n")
    reader = opened(File("a.csv", follow=True), world)
    reader.poll(4)
    change(world)
    again = opened(File("a.csv", follow=True), world, reader.bookmark())
    after = drained(again, world)
    assert ends(after) == {"a.csv": True}
    assert {chunk.partition: chunk.data for chunk in after}["a.csv#2"] == world.files.content("a.csv")
    assert again.counters["files_truncated"] == 1


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("change", [cut, rewritten])
def test_what_is_to_be_read_again_must_still_be_there(change, follow):
    world = SimulatedWorld()
    world.files.append("a.csv", b"one\ntwo\n")
    reader = opened(File("a.csv", follow=follow), world)
    bookmark = reader.bookmark()
    note = ChunkNote.of(reader.poll(4)[0])
    world.files.truncate("a.csv", 2)
    with pytest.raises(SourceError, match="expected file number 1 with at least 4 bytes, found 2 bytes"):
        opened(File("a.csv", follow=follow), world, bookmark).replay(note)
    again = opened(File("a.csv", follow=follow, on_lost="skip"), world, bookmark)
    assert again.replay(note).data == b""
    assert ends(drained(again, world))["a.csv"] is True


def test_rotation_and_cuts_are_replayed_as_they_were():
    world = SimulatedWorld()
    source = File("a.csv", follow=True)
    world.files.append("a.csv", b"one\n")
    reader = opened(source, world)
    bookmark = reader.bookmark()

    def rotate() -> None:
        world.files.replace("a.csv", "a.csv.1")
        world.files.append("a.csv", b"two\n")

    world.after("1s", rotate)
    chunks = pump(world, reader)
    again = opened(source, world, bookmark)
    assert [again.replay(ChunkNote.of(chunk)) for chunk in chunks] == chunks
    world.files.append("a.csv", b"three\n")
    assert texts(chunks) == {"a.csv": b"one\n", "a.csv#2": b"two\n"}
    assert [chunk.data for chunk in pump(world, again)] == [b"three\n"]


def test_a_file_that_had_just_appeared_is_gone():
    world = SimulatedWorld()
    reader = opened(File("*.csv", follow=True), world)
    bookmark = reader.bookmark()
    world.files.append("a.csv", b"one\n")
    note = ChunkNote.of(pump(world, reader)[0])
    world.files.remove("a.csv")
    with pytest.raises(SourceError) as raised:
        opened(File("*.csv", follow=True), world, bookmark).replay(note)
    found = "no such file, nor that number under another name in its folder"
    assert str(raised.value) == EXPECTED.replace("file:a.csv", "file:*.csv") + found + HINT
    again = opened(File("*.csv", follow=True, on_lost="skip"), world, bookmark)
    assert again.replay(note).data == b""
    with pytest.raises(SourceError, match=r"the file of 'a\.csv' is not known\n  try: open the folder with"):
        opened(File("*.csv", follow=True), world, bookmark).replay(replace(note, begins=None))


def test_a_file_that_came_after_the_bookmark_and_was_rotated_is_found_by_what_is_in_it() -> None:
    world, source = SimulatedWorld(), File("app.log", follow=True)
    world.files.append("other", b"")
    reader = opened(source, world)
    bookmark = reader.bookmark()
    world.files.append("app.log", b"1\n2\n")
    notes = [through_the_journal(chunk) for chunk in looked(reader, world)]
    assert [note.length for note in notes] == [4]
    world.files.append("app.log", b"3\n")
    world.files.replace("app.log", "app.log.1")
    world.files.append("app.log", b"9\n8\n7\n")

    reader = opened(source, world, bookmark)
    assert [content(reader.replay(note)) for note in notes] == [("app.log", 0, b"1\n2\n", False)]
    assert joined(looked(reader, world)) == {"app.log": (b"3\n", False), "app.log#2": (b"9\n8\n7\n", False)}
    assert (reader.counters["files"], reader.counters["files_rotated"]) == (2, 1)


@pytest.mark.parametrize("at_the_start", [False, True], ids=["came later", "was there"])
def test_another_file_in_its_place_is_not_taken_for_it(at_the_start: bool) -> None:
    world = SimulatedWorld()
    if at_the_start:
        world.files.append("app.log", b"")
    reader = opened(File("app.log", follow=True), world)
    bookmark = reader.bookmark()
    world.files.append("app.log", b"1\n2\n")
    (note,) = [through_the_journal(chunk) for chunk in looked(reader, world)]
    world.files.remove("app.log")
    world.files.append("app.log", b"9\n8\n7\n")
    reader = opened(File("app.log", follow=True), world, bookmark)
    with pytest.raises(SourceError, match=r"cannot go on in 'app\.log' where the last run stood: expected"):
        reader.replay(note)
    reader = opened(File("app.log", follow=True, on_lost="skip"), world, bookmark)
    assert content(reader.replay(note)) == ("app.log", 0, b"", False)
    assert b"".join(chunk.data for chunk in looked(reader, world)) == b"9\n8\n7\n"


def through_the_journal(chunk: Chunk | FrameChunk) -> ChunkNote:
    """The note of a chunk, as the next run reads it."""
    record = from_body(b"".join(to_parts(Applied("source", 0, notes=(note_of(chunk),)))), where="journal")
    assert isinstance(record, Applied)
    return record.notes[0]


def looked(reader: Reader, world: SimulatedWorld) -> Sequence[Chunk]:
    world.clock.advance(2_000_000)
    return [chunk for chunk in reader.poll(1_000) if isinstance(chunk, Chunk)]
