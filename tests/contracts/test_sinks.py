"""What every sink promises: what is written is read back equal, whatever is in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from riverrun.errors import SinkError
from riverrun.ports import Writer
from riverrun.runtime.real_world import RealWorld
from tests.contracts.sink_harness import NAMES, Harness, harnesses

KEYS = ("key", "window_start", "window_end")
INSTANT = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema(
    {
        "key": pl.String(),
        "window_start": INSTANT,
        "window_end": INSTANT,
        "n": pl.Int64(),
        "mean": pl.Float64(),
        "revision": pl.UInt32(),
        "final": pl.Boolean(),
        "values": pl.List(pl.Float64()),
    }
)
HOSTILE = [
    "",
    " ",
    "null",
    "NaN",
    'a "quoted" one',
    "comma, semicolon; tab\t",
    "line\nend",
    "carriage\r",
    "both\r\nends",
    "\u2028 is a line end in JavaScript",
    "=HYPERLINK(\"http://x\")",
    "'; DROP TABLE results; --",
    "../../etc/passwd",
    "\x1b[31mred",
    "Ω≈ç√ 田中さん 👩‍💻",
    "e\u0301",
    "\ufeffmark",
    "\\",
    "{}",
    "-1",
]  # fmt: skip


def rows(keys: list[str | None], *, start: int = 0, **columns: list[object]) -> pl.DataFrame:
    """Results of ten-second windows, one for each key."""
    count = len(keys)
    base: dict[str, object] = {
        "key": keys,
        "window_start": [datetime(2024, 1, 1, 0, 0, 10 * start, tzinfo=UTC)] * count,
        "window_end": [datetime(2024, 1, 1, 0, 0, 10 * start + 10, tzinfo=UTC)] * count,
        "n": list(range(count)),
        "mean": [0.1 * number for number in range(count)],
        "revision": [0] * count,
        "final": [True] * count,
        "values": [[float(number), 0.5] for number in range(count)],
    }
    return pl.DataFrame(base | columns, schema=SCHEMA)


@pytest.fixture(params=NAMES)
def harness(request, tmp_path, capsys) -> Harness:
    printed: list[str] = []

    def captured() -> str:
        printed.append(capsys.readouterr().out)
        return "".join(printed)

    return harnesses(tmp_path, captured)[request.param]


@pytest.fixture
def open_writer(harness) -> Iterator[Callable[..., Writer]]:
    opened: list[Writer] = []

    def open_it(schema: pl.Schema = SCHEMA, keys: tuple[str, ...] = KEYS) -> Writer:
        writer: Writer = harness.sink.open(RealWorld(), schema, keys)
        opened.append(writer)
        return writer

    yield open_it
    for writer in opened:
        writer.close()


def check(harness: Harness, expected: pl.DataFrame) -> None:
    found = harness.read(harness.sink, expected.schema)
    assert_frame_equal(found, expected, check_exact=True, check_row_order="upsert" not in harness.name)


def test_rows_are_read_back_equal(harness, open_writer):
    first, second = rows(["a", "b", "c"]), rows(["a", "b"], start=1)
    writer = open_writer()
    writer.write(first)
    writer.write(second)
    writer.close()
    check(harness, pl.concat([first, second]))


def test_a_flush_makes_rows_visible(harness, open_writer):
    writer = open_writer()
    writer.write(rows(["a", "b", "c"]))
    writer.flush()
    check(harness, rows(["a", "b", "c"]))
    writer.write(rows(["a"], start=1))
    writer.flush()
    writer.flush()
    check(harness, pl.concat([rows(["a", "b", "c"]), rows(["a"], start=1)]))


def test_closing_twice_is_closing_once(harness, open_writer):
    writer = open_writer()
    writer.write(rows(["a"]))
    writer.close()
    writer.close()
    writer.flush()
    check(harness, rows(["a"]))


def test_writing_after_close_is_an_error(harness, open_writer):
    writer = open_writer()
    writer.close()
    with pytest.raises(SinkError, match="written to after it had been closed"):
        writer.write(rows(["a"]))


def test_a_second_run_goes_on_behind_the_first(harness, open_writer):
    if not harness.appends:
        pytest.skip("each run prints its own header")
    for run in range(3):
        writer = open_writer()
        writer.write(rows(["a", "b"], start=run))
        writer.close()
    check(harness, pl.concat([rows(["a", "b"], start=run) for run in range(3)]))


def test_an_empty_frame_changes_nothing(harness, open_writer):
    writer = open_writer()
    writer.write(rows([]))
    writer.write(rows(["a"]))
    writer.write(rows([]))
    writer.close()
    check(harness, rows(["a"]))


def test_a_run_without_results_still_shows_the_columns(harness, open_writer):
    writer = open_writer()
    writer.flush()
    writer.close()
    check(harness, rows([]))


def test_nulls(harness, open_writer):
    empty = {
        "n": [None, 1, None],
        "mean": [None, 0.0, 1.5],
        "final": [None, False, True],
        "values": [None, [], [1.0]],
    }
    frame = rows([None, "", "x"], **empty)
    writer = open_writer()
    writer.write(frame)
    writer.close()
    check(harness, frame)


def test_numbers_keep_every_bit(harness, open_writer):
    means = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e22, 123456789.123456789]
    frame = rows(list("abcdef"), mean=means, n=[2**63 - 1, -(2**63), 0, 1, 2, 3])
    writer = open_writer()
    writer.write(frame)
    writer.close()
    check(harness, frame)


def test_non_finite_numbers(harness, open_writer):
    means = [math.nan, math.inf, -math.inf, 1.0]
    writer = open_writer()
    writer.write(rows(list("abcd"), mean=means, values=[[mean] for mean in means[-1:] * 4]))
    writer.close()
    finite = [mean if math.isfinite(mean) else None for mean in means]
    without_nan = [None if math.isnan(mean) else mean for mean in means]
    lost = {"non-finite": finite, "nan": without_nan}
    expected = next((lost[what] for what in harness.loses), means)
    check(harness, rows(list("abcd"), mean=expected, values=[[1.0]] * 4))


def test_unicode_and_hostile_keys(harness, open_writer):
    writer = open_writer()
    writer.write(rows([*HOSTILE, None]))
    writer.close()
    check(harness, rows([*HOSTILE, None]))


def test_hostile_column_names(harness, open_writer):
    frame = rows(["a", "b"]).rename({"n": 'n"; DROP TABLE x; --', "mean": "mean, of 'it'", "final": "=ende?"})
    writer = open_writer(frame.schema)
    writer.write(frame)
    writer.close()
    check(harness, frame)


def test_instants_to_the_microsecond_before_and_after_1970(harness, open_writer):
    frame = rows(["a", "b", "c"]).with_columns(
        window_start=pl.Series([-1, 0, 1_700_000_000_123_456]).cast(INSTANT),
        window_end=pl.Series([0, 1_500_000, 253_402_300_799_999_999]).cast(INSTANT),
    )
    writer = open_writer()
    writer.write(frame)
    writer.close()
    check(harness, frame)


def test_columns_may_come_in_another_order(harness, open_writer):
    frame = rows(["a", "b"])
    writer = open_writer()
    writer.write(frame.select(reversed(frame.columns)))
    writer.close()
    check(harness, frame)


def test_a_missing_column_is_named(harness, open_writer):
    writer = open_writer()
    with pytest.raises(SinkError, match="rows came without the column 'mean'"):
        writer.write(rows(["a"]).drop("mean"))


def test_other_types_of_values(harness, open_writer):
    frame = pl.DataFrame(
        {
            "key": ["a", "b"],
            "day": [date(2024, 2, 29), None],
            "at": [time(1, 2, 3, 4), time(0)],
            "raw": [b"\x00\xff", None],
            "small": pl.Series([1, None], dtype=pl.UInt8),
            "float": pl.Series([0.5, None], dtype=pl.Float32),
            "price": pl.Series(["1.10", "2.00"]).str.to_decimal(scale=2),
        }
    )
    writer = open_writer(frame.schema, ("key",))
    writer.write(frame)
    writer.close()
    check(harness, frame)


def test_new_categories_are_fine(harness, open_writer):
    frame = pl.DataFrame({"key": pl.Series(["a", "b"], dtype=pl.Categorical)})
    writer = open_writer(frame.schema, ("key",))
    writer.write(frame.head(1))
    writer.flush()
    writer.write(frame.tail(1))
    writer.close()
    found = harness.read(harness.sink, frame.schema)
    assert sorted(found["key"].cast(pl.String)) == ["a", "b"]


def test_objects_are_refused_before_anything_is_written(harness, open_writer):
    with pytest.raises(SinkError, match=r"column 'thing' has the type Object.*\n  try: .*drop"):
        open_writer(pl.Schema({"key": pl.String(), "thing": pl.Object()}), ("key",))
