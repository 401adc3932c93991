"""Rows go at a multiple of the pace of their event times."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.runtime.pacing import TICK_US, Pacer
from riverrun.runtime.pump import Arrival

S = 1_000_000


def arrival(*seconds: float | None, end: bool = False, first_row: int = 0) -> Arrival:
    times = [None if s is None else int(s * S) for s in seconds]
    frame = pl.DataFrame({"ts": times}, schema={"ts": pl.Datetime("us", "UTC")})
    return Arrival("file", frame, bytes=100, first_row=first_row, end=end)


def due(pacer: Pacer, made: Arrival) -> list[tuple[float, int]]:
    return [((at - pacer.began_us) / S, piece.frame.height) for at, piece in pacer.pieces(made)]


def test_rows_are_due_when_their_event_time_says_so():
    pacer = Pacer(pace=2.0, time="ts", began_us=7 * S)
    assert due(pacer, arrival(100, 100, 101, 104)) == [(0.0, 2), (0.5, 1), (2.0, 1)]


def test_the_pace_goes_on_from_one_arrival_to_the_next():
    pacer = Pacer(pace=1.0, time="ts", began_us=0)
    assert due(pacer, arrival(10)) == [(0.0, 1)]
    assert due(pacer, arrival(13, first_row=1)) == [(3.0, 1)]


def test_a_row_out_of_order_does_not_overtake():
    pacer = Pacer(pace=1.0, time="ts", began_us=0)
    assert due(pacer, arrival(10, 12, 11, 12)) == [(0.0, 1), (2.0, 3)]


def test_rows_without_a_time_go_with_the_row_before_them():
    pacer = Pacer(pace=1.0, time="ts", began_us=0)
    assert due(pacer, arrival(None, 10, None, 12)) == [(0.0, 3), (2.0, 1)]


def test_rows_within_a_tick_go_together():
    pacer = Pacer(pace=1.0, time="ts", began_us=0)
    tick = TICK_US / S
    assert due(pacer, arrival(0, tick / 4, tick / 2, tick)) == [(0.0, 3), (tick, 1)]


def test_what_belongs_to_no_row_is_told_once():
    pacer = Pacer(pace=1.0, time="ts", began_us=0)
    pieces = [piece for _, piece in pacer.pieces(arrival(0, 1, 2, end=True, first_row=5))]
    assert [piece.bytes for piece in pieces] == [100, 0, 0]
    assert [piece.end for piece in pieces] == [False, False, True]
    assert [piece.first_row for piece in pieces] == [5, 6, 7]


def test_an_empty_end_passes():
    pacer = Pacer(pace=1.0, time="ts", began_us=3)
    assert [(at, piece.end) for at, piece in pacer.pieces(arrival(end=True))] == [(3, True)]


def test_a_file_is_replayed_at_its_pace(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("ts,x\n" + "".join(f"{1_700_000_000_000 + 100 * i},{i}\n" for i in range(20)))
    stream = rr.read(f"file:{path}", replay=20, time="ts")
    summary = rr.run(stream.write("memory:"))
    assert summary.rows == 20
    # 1.9 s of event time at twenty times the pace are 95 ms; what is due within a tick of 20 ms goes together.
    assert summary.seconds >= 0.08


def test_replaying_needs_an_event_time(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("ts,x\n1700000000000,1\n")
    with pytest.raises(rr.PlanError, match="replaying needs to know which column is the event time") as error:
        rr.run(rr.read(f"file:{path}", replay=20).write("memory:"))
    assert 'time="ts"' in str(error.value)
