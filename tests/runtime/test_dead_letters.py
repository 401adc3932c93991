"""Dead letters are counted, kept for a while, and written as lines of JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from riverrun.ports import Rejected
from riverrun.runtime.dead_letters import KEPT, DeadLetter, DeadLetters
from riverrun.testing import SimulatedWorld


def rejected(head=b"bad row", reason="csv"):
    return Rejected(reason, "3 fields instead of 2", 40, len(head), head, "ab" * 32)


def test_they_are_counted_by_source_and_reason():
    letters = DeadLetters(SimulatedWorld())
    letters.add("a", "p", 0, [rejected(), rejected(reason="utf8"), rejected()])
    letters.add("b", "p", 0, [rejected()])
    assert letters.reasons("a") == {"csv": 2, "utf8": 1}
    assert letters.reasons("b") == {"csv": 1}
    assert letters.reasons("c") == {}


def test_the_oldest_are_forgotten_but_stay_counted():
    letters = DeadLetters(SimulatedWorld())
    letters.add("a", "p", 0, [rejected(str(i).encode()) for i in range(KEPT + 5)])
    assert len(letters.recent) == KEPT
    assert letters.recent[0].rejected.head == b"5"
    assert letters.reasons("a") == {"csv": KEPT + 5}


def test_a_line_of_json_tells_everything():
    line = DeadLetter("feed", "host#1", 1_000_000, rejected()).as_json(raw=True)
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "reason": "csv",
        "detail": "3 fields instead of 2",
        "source": "feed",
        "peer": "host",
        "partition": "host#1",
        "position": 40,
        "length": 7,
        "sha256": "ab" * 32,
        "received": "1970-01-01 00:00:01Z",
        "form": "record",
        "head": "bad row",
    }


def test_the_whole_record_is_told_so_that_it_can_be_fed_again():
    whole = replace(rejected(), record=b"bad row, all of it", header=b"a,b")
    told = json.loads(DeadLetter("feed", "p", 0, whole).as_json(raw=True))
    assert (told["form"], told["header"], told["record"]) == ("record", "a,b", "bad row, all of it")
    told = json.loads(DeadLetter("feed", "p", 0, replace(whole, record=b"\xff", form="row")).as_json(raw=True))
    assert (told["form"], told["record_base64"]) == ("row", "/w==")


def test_memory_keeps_short_records_only_and_the_folder_all():
    world = SimulatedWorld()
    letters = DeadLetters(world, "dead")
    short, long = (replace(rejected(), record=b"x" * size) for size in (4_096, 4_097))
    letters.add("a", "p", 0, [short, long])
    letters.close()
    assert [letter.rejected for letter in letters.recent] == [short, replace(long, record=None)]
    lines = world.files.content("dead/dead-letters.jsonl").splitlines()
    assert [len(json.loads(line)["record"]) for line in lines] == [4_096, 4_097]


def test_bytes_that_are_no_text_are_written_as_base64():
    told = json.loads(DeadLetter("feed", "p", 0, rejected(b"\xff\x00")).as_json(raw=True))
    assert told["head_base64"] == "/wA="
    assert "head" not in told


def test_what_is_shown_has_no_control_characters_and_is_short():
    letter = DeadLetter("feed", "p", 0, rejected(b"\x1b[2Jhello\xff" + b"x" * 300))
    shown = letter.shown_head(limit=30, raw=True)
    assert shown.startswith("\\x1b[2Jhello\\xff")
    assert len(shown) == 30
    assert shown.endswith("…")


def test_what_people_see_is_masked_and_keeps_its_shape():
    letter = DeadLetter("feed", "p", 0, rejected(b'\x1b[31m{"name":"J\xc3\xb6rg \xcf","at":"10:15"}'))
    assert letter.shown_head() == '\\x1b[00x{"xxxx":"xxxx \\x??","xx":"00:00"}'
    told = json.loads(
        replace(letter, rejected=replace(letter.rejected, record=b"r", header=b"h")).as_json(raw=False)
    )
    assert told["head_masked"] == letter.shown_head()
    assert told.keys().isdisjoint({"head", "head_base64", "record", "header"})


def test_who_sent_it():
    peers = {"10.0.0.7:5122#12": "10.0.0.7:5122", "till-1@0": "till-1@0", "a#b.csv": "a#b.csv", "#3": "#3"}
    assert {partition: DeadLetter("s", partition, 0, rejected()).peer for partition in peers} == peers


def test_a_folder_keeps_them():
    world = SimulatedWorld()
    letters = DeadLetters(world, "dead")
    letters.add("a", "p", 0, [rejected(b"one")])
    letters.add("a", "p", 0, [rejected(b"two")])
    letters.close()
    lines = world.files.content("dead/dead-letters.jsonl").splitlines()
    assert [json.loads(line)["head"] for line in lines] == ["one", "two"]
