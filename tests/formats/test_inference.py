"""What the first bytes tell about format, schema, time and keys."""

from __future__ import annotations

import polars as pl
import pytest

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import SchemaError
from riverrun.formats.csv import Csv
from riverrun.formats.json import Json
from riverrun.formats.sniff import sniff
from riverrun.limits import Limits
from riverrun.schema import Schema
from tests.formats.decoding import decode

INSTANT = pl.Datetime("us", "UTC")


def told(head: bytes, complete: bool = True) -> tuple[Csv, Schema]:
    found, schema = sniff(head, complete).infer(head, complete=complete)
    assert isinstance(found, Csv)
    return found, schema


def types(schema: Schema) -> list[pl.DataType]:
    return [column.dtype for column in schema]


def feed(head: str, count: int = 40) -> bytes:
    lines = [f"{1_700_000_000_000 + 250 * n},SYM{n % 5},{100 + n / 8},{n}" for n in range(count)]
    return (head + "\n".join(lines) + "\n").encode()


def test_a_feed_without_a_header() -> None:
    found, schema = told(feed(""))
    assert (found.header, found.separator, schema.names) == (False, ",", ("c1", "c2", "c3", "c4"))
    assert types(schema) == [INSTANT, pl.String(), pl.Float64(), pl.Int64()]
    assert (schema.time, schema["c1"].unit, schema.keys) == ("c1", "ms", ("c2",))
    assert "time is 'c1', in ms since 1970" in schema.notes


def test_a_feed_with_a_header_decodes_with_what_was_told() -> None:
    head = feed("ts,symbol,price,size\n")
    found, schema = told(head)
    assert (found.header, schema.time, schema.keys) == (True, "ts", ("symbol",))
    seen = decode(found.open(schema, Limits()), [head])
    assert (seen.frame.height, seen.reasons, seen.counters) == (40, [], {"header_lines": 1})


def test_rubbish_first_does_not_decide() -> None:
    head = b"Welcome to the feed\nERROR, retrying\n\xff\xfe,\n" + feed("ts,symbol,price,size\n")
    found, schema = told(head)
    assert (found.header, schema.names, schema.time) == (True, ("ts", "symbol", "price", "size"), "ts")
    seen = decode(found.open(schema, Limits()), [head])
    assert (seen.frame.height, len(seen.rejected)) == (40, 3)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(separator: str) -> None:
    found, schema = told(feed("ts,symbol,price,size\n").replace(b",", separator.encode()))
    assert (found.separator, len(schema.columns)) == (separator, 4)


def test_a_decimal_comma_does_not_win_over_a_semicolon() -> None:
    found, _ = told(b"a;b\n" + b"1,5;2,5\n" * 10)
    assert found.separator == ";"


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        (1_700_000_000, "s"),
        (1_700_000_000_000, "ms"),
        (1_700_000_000_000_000, "us"),
        (1_700_000_000_000_000_000, "ns"),
    ],
)
def test_units_of_numbers(number: int, unit: str) -> None:
    _, schema = told("".join(f"{number + n},{n * 1.5}\n" for n in range(10)).encode())
    assert (schema.time, schema["c1"].unit) == ("c1", unit)


def test_text_without_a_zone_is_taken_as_utc_and_said_so() -> None:
    _, schema = told(b"when,v\n2024-01-01 00:00:00,1\n2024-01-01 00:00:01,2\n")
    assert (schema.time, schema["when"].zone) == ("when", "UTC")
    assert "'when' does not say its time zone: UTC is assumed" in schema.notes


def test_dates() -> None:
    _, schema = told(b"date,name,close\n2013-02-08,AAPL,14.5\n2013-02-11,AAPL,15\n")
    assert (types(schema)[0], schema.time, types(schema)[2]) == (pl.Date(), "date", pl.Float64())


def test_types_and_texts_for_no_value() -> None:
    found, schema = told(
        b"id,zip,ok,x,n\na,01234,true,1.5,NA\nb,01235,False,NA,3\na,01236,true,2,4\nb,1,true,3,5\n"
    )
    assert types(schema) == [pl.String(), pl.String(), pl.Boolean(), pl.Float64(), pl.Int64()]
    assert found.null_values == ("", "NA")
    assert (schema.time, schema.keys) == (None, ("id",))
    assert "no column looks like the time of the event: the time of arrival is used" in schema.notes


def test_names_are_made_usable() -> None:
    _, schema = told(f"ts,,x,x,{HIDDEN_PREFIX}order\n1,2,3,4,5\n1,2,3,4,5\n".encode())
    assert schema.names == ("ts", "c2", "x", "x_2", "order")


def test_a_head_that_is_cut_off_ignores_the_half_line() -> None:
    _, schema = told(feed("ts,symbol,price,size\n")[:-3] + b"\n17,x", complete=False)
    assert len(schema.columns) == 4


def test_json_with_drift_missing_fields_and_bad_lines() -> None:
    head = b"".join(
        b'{"time":"2024-01-01T00:00:%02dZ","sensor":"s%d","v":%s%s}\n'
        % (n, n % 3, b"1.5" if n == 7 else b"%d" % n, b',"extra":true' if n % 2 else b"")
        for n in range(30)
    )
    form = sniff(b"oops\n" + head, True)
    assert isinstance(form, Json)
    _, schema = form.infer(b"oops\n{broken\n" + head, complete=True)
    assert schema.names == ("time", "sensor", "v", "extra")
    assert types(schema) == [INSTANT, pl.String(), pl.Float64(), pl.Boolean()]
    assert (schema.time, schema.keys) == ("time", ("sensor",))


def test_json_strings_of_digits_stay_strings_and_nested_fields_are_left_out() -> None:
    _, schema = Json().infer(b'{"ts":1700000000,"id":"17","at":{"x":1}}\n' * 3, complete=True)
    assert (schema.names, types(schema)[1], schema["ts"].unit) == (("ts", "id"), pl.String(), "s")
    assert "left out, nested or not usable as columns: 'at'" in schema.notes


def test_sniffing() -> None:
    assert sniff(b'{"a":1}\n', True).name == "json"
    assert sniff(b'[{"a":1},{"a":2}]\n', True) == Json(batch_arrays=True)
    assert sniff(b"12.5\n13\n", True).name == "csv"
    assert sniff(b"Nov 22 10:00:00 host sshd[1]: ok\nNov 22 10:00:01 host cron: x\n", True).name == "lines"


@pytest.mark.parametrize(
    ("head", "complete", "problem"),
    [
        (b"", True, "the format cannot be told: no data came"),
        (b"\n\n", True, "the format cannot be told: no data came"),
        (b"1,2,3", False, "the format cannot be told: no whole line in the first 5 bytes"),
    ],
)
def test_nothing_to_tell_from(head: bytes, complete: bool, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        sniff(head, complete)


def test_nothing_to_infer_from() -> None:
    with pytest.raises(SchemaError, match="there is no whole CSV record to tell the columns from"):
        Csv().infer(b"", complete=True)
    with pytest.raises(SchemaError, match="there is no whole JSON object with a plain field"):
        Json().infer(b'{"a":{}}\n[]\n', complete=True)
