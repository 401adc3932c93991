"""Text lines, whole and cut up by a pattern."""

from __future__ import annotations

import polars as pl
import pytest

from riverrun.errors import ConfigError, SchemaError
from riverrun.formats.lines import Lines
from riverrun.limits import Limits
from riverrun.schema import Schema, Timestamp
from tests.formats.decoding import Seen, decode

LOG = r"^(?P<ip>\S+) \[(?P<at>[^\]]+)\] (?P<status>\d{3}|-) (?P<bytes>\d+)?"


def run(form: Lines, data: bytes, schema: Schema) -> Seen:
    return decode(form.open(schema, Limits()), [data])


def test_whole_lines() -> None:
    seen = run(Lines(), b"hello world\r\n\n  \n caf\xc3\xa9 \nbad \xff\nend", Schema.of({"line": pl.String}))
    assert seen.rows == [("hello world",), (" café ",), ("end",)]
    assert (seen.blank, seen.reasons) == (2, ["utf8"])


def test_groups_become_typed_columns_and_other_lines_dead_letters() -> None:
    schema = Schema.of({"at": Timestamp(), "status": pl.Int64, "bytes": pl.Float64})
    good = b"1.2.3.4 [2024-01-02T03:04:05Z] "
    data = good + b"200 17\nnonsense\n" + good + b"404 \n1.2.3.4 [x] - 1\n"
    seen = run(Lines(LOG), data, schema)
    assert [row[1:] for row in seen.rows] == [(200, 17.0), (404, None)]
    assert seen.reasons == ["shape", "timestamp"]
    assert seen.details[0] == "the line does not match the pattern"


def test_a_pattern_that_would_hang_other_engines_is_harmless() -> None:
    seen = run(Lines(r"(?P<x>(a+)+)$"), b"a" * 50_000 + b"!\n", Schema.of({"x": pl.String}))
    assert seen.reasons == ["shape"]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="the pattern has no named group"):
        Lines(r"(\d+)")
    with pytest.raises(ConfigError, match="not a regular expression"):
        Lines(r"(?P<x>")
    with pytest.raises(SchemaError, match="text lines have no column 'y'"):
        Lines(r"(?P<x>.)").open(Schema.of({"y": pl.String}), Limits())


def test_types_of_groups_are_inferred() -> None:
    head = b"1.2.3.4 [2024-01-02T03:04:05Z] 200 17\n1.2.3.5 [2024-01-02T03:04:06Z] 404 18\n"
    _, schema = Lines(LOG).infer(head, complete=True)
    assert [str(column.dtype) for column in schema][2:] == ["Int64", "Int64"]
    assert schema.time == "at"


def test_a_pattern_that_matches_no_line_is_an_error() -> None:
    with pytest.raises(SchemaError, match="none of the first 1 lines matches the pattern; the first is 'abc'"):
        Lines(r"(?P<x>\d+)").infer(b"abc\n", complete=True)
