"""Unknown fields are counted by their bytes; a walk through the parsed documents must find as many."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from riverrun.formats.json import Json
from riverrun.formats.json_fields import FieldNames
from tests.formats import decoding
from tests.formats.decoding import ALWAYS, NEVER

NAMES = st.sampled_from(["ts", "symbol", "other", "", "a:b", 'q"', "ts\\", "é", "t s"])
LEAVES = st.one_of(st.integers(), st.none(), st.sampled_from(['":', '"ts":', "ts", ":", "\\", '"', " :", "é"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3))
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",", "\t:")])


def walked(item: object) -> int:
    """How many fields of a document are not named ts or symbol."""
    if isinstance(item, dict):
        return sum((name not in ("ts", "symbol")) + walked(value) for name, value in item.items())
    return sum(map(walked, item)) if isinstance(item, list) else 0


@given(st.lists(st.tuples(OBJECTS, SPACING, st.booleans()), max_size=8))
def test_counted_bytes_are_counted_fields(
    records: list[tuple[dict[str, object], tuple[str, str], bool]],
) -> None:
    names = FieldNames(["ts", "symbol"])
    lines = [
        json.dumps(item, separators=spacing, ensure_ascii=ascii_only).encode()
        for item, spacing, ascii_only in records
    ]
    numbers = [walked(item) for item, _, _ in records]
    assert [names.new_fields_of(line) for line in lines] == numbers
    assert [
        names.new_fields_of(line, item) for line, (item, _, _) in zip(lines, records, strict=True)
    ] == numbers
    assert names.new_fields_in(b"".join(line + b"\n" for line in lines)) == sum(numbers)


def test_only_fields_of_accepted_records_are_counted() -> None:
    good = b'{"ts":1,"symbol":"A","price":1,"size":1,"venue":"X"}\n'
    bad = b'{"ts":1,"symbol":"A","price":"x","size":1,"venue":"X","more":1}\n'
    for small in (ALWAYS, NEVER):
        seen = decoding.json(good * 40 + bad + good * 40, small_bytes=small)
        assert (seen.reasons, dict(seen.counters)) == (["schema"], {"new_fields": 80})


def test_duplicates_may_be_refused() -> None:
    twice = b'{"ts":1,"symbol":"A","symbol":"B","price":1,"size":1}\n'
    ignored = b'{"ts":1,"symbol":"A","price":1,"size":1,"venue":1,"venue":2}\n'
    for small in (ALWAYS, NEVER):
        seen = decoding.json(ignored * 40 + twice, form=Json(duplicate_keys="refuse"), small_bytes=small)
        assert (seen.reasons, seen.frame.height) == (["duplicate-key"], 40)
    array = b"[" + twice.strip() + b"," + ignored.strip() + b"]\n"
    seen = decoding.json(array, form=Json(duplicate_keys="refuse", batch_arrays=True))
    assert (seen.reasons, seen.frame.height, dict(seen.counters)) == (["duplicate-key"], 1, {"new_fields": 1})
