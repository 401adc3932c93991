"""Results in memory: readable at any time, bounded, replaced by key when asked."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from riverrun.errors import ConfigError, SinkError
from riverrun.sinks.memory import MemorySink, MemoryWriter
from riverrun.testing.simulated_world import SimulatedWorld

SCHEMA = pl.Schema({"key": pl.String(), "n": pl.Int64()})


def opened(sink: MemorySink, keys: tuple[str, ...] = ("key",)) -> MemoryWriter:
    return sink.open(SimulatedWorld(), SCHEMA, keys)


def rows(*pairs: tuple[str | None, int]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=SCHEMA, orient="row")


def test_rows_are_visible_at_once():
    sink = MemorySink()
    writer = opened(sink)
    assert_frame_equal(sink.rows(), rows())
    writer.write(rows(("a", 1)))
    writer.write(rows(("a", 2)))
    assert_frame_equal(sink.rows(), rows(("a", 1), ("a", 2)))


def test_upsert_keeps_the_last_of_each_key():
    sink = MemorySink(mode="upsert")
    writer = opened(sink)
    writer.write(rows(("a", 1), (None, 1), ("b", 1)))
    writer.write(rows(("a", 2), (None, 2), (None, 3)))
    assert_frame_equal(sink.rows(), rows(("b", 1), ("a", 2), (None, 3)))


def test_upsert_over_many_writes_holds_the_results_only():
    sink = MemorySink(mode="upsert")
    writer = opened(sink)
    frame = rows(*[(str(number), 0) for number in range(1_000)])
    for number in range(100):
        writer.write(frame.with_columns(n=pl.lit(number, pl.Int64)))
        assert sum(part.height for part in sink._kept._frames) <= 12_000
    assert_frame_equal(sink.rows(), frame.with_columns(n=pl.lit(99, pl.Int64)))


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_the_oldest_rows_are_forgotten(mode):
    sink = MemorySink(mode=mode, max_rows=3)
    writer = opened(sink)
    for number in range(10):
        writer.write(rows((str(number), number), (str(number) + "b", number)))
    assert sink.rows()["key"].to_list() == ["8b", "9", "9b"]


def test_memory_stays_bounded_when_nobody_reads():
    sink = MemorySink(max_rows=100)
    writer = opened(sink)
    for number in range(10_000):
        writer.write(rows(("a", number)))
        assert sink._kept._height <= 200
    assert sink.rows()["n"].to_list() == list(range(9_900, 10_000))


def test_reading_while_another_thread_writes():
    sink = MemorySink()
    writer = opened(sink)
    thread = threading.Thread(target=lambda: [writer.write(rows(("a", number))) for number in range(500)])
    thread.start()
    while thread.is_alive():
        found = sink.rows()["n"].to_list()
        assert found == list(range(len(found)))
    thread.join()
    assert sink.rows().height == 500


def test_other_columns_need_another_sink():
    sink = MemorySink()
    opened(sink).write(rows(("a", 1)))
    with pytest.raises(SinkError) as caught:
        sink.open(SimulatedWorld(), {"x": pl.Int64()}, ())
    assert str(caught.value) == (
        "memory:: it holds rows with other columns: key, n; the results have x\n"
        "  try: one MemorySink for each output, or clear() before the next run"
    )
    sink.clear()
    sink.open(SimulatedWorld(), {"x": pl.Int64()}, ())
    assert sink.rows().columns == ["x"]


def test_two_sinks_are_two():
    assert MemorySink() != MemorySink()
    assert len({MemorySink(), MemorySink()}) == 2


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="max_rows must be at least 1, got 0"):
        MemorySink(max_rows=0)
    with pytest.raises(ConfigError, match='mode="upsert" needs columns'):
        opened(MemorySink(mode="upsert"), keys=())
