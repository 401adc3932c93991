"""Whole runs whose engine does not keep up: what is left out is counted exactly, and nothing hangs."""

from __future__ import annotations

import threading

import polars as pl
import pytest

import riverrun as rr
from riverrun.errors import PlanError
from riverrun.runtime.overload import Shedding, Verdict
from riverrun.sinks.memory import MemorySink

FRAMES, ROWS = 40, 100


def overrun(policy: str) -> tuple[list[int], rr.runtime.summary.Summary, list[rr.runtime.health.Health]]:
    """The numbers of the frames that get through an engine that takes the second when all have been sent."""
    begun, sent = threading.Event(), threading.Event()

    def frames():
        for number in range(FRAMES):
            yield pl.DataFrame({"n": [number] * ROWS})
            assert begun.wait(30)
        sent.set()

    def slow(frame: pl.DataFrame) -> pl.DataFrame:
        if frame.height:
            begun.set()
            assert sent.wait(30)
        return frame

    sink, looks = MemorySink(), []
    feed = rr.read(frames(), limits=rr.Limits(overload=policy), name="feed")
    summary = rr.run(feed.map_frames(slow).write(sink), watcher=looks.append)
    counted = sink.rows().group_by("n", maintain_order=True).len()
    assert set(counted["len"]) == {ROWS}
    return counted["n"].to_list(), summary, looks


def sampled() -> list[int]:
    """What sampling keeps: the first goes to the engine, the next two find room, all others do not."""
    shedding, kept = Shedding("sample"), []
    for number in range(FRAMES):
        shedding, verdict = shedding.judge(full=len(kept) == 3)
        kept += [number] * (verdict is Verdict.PUT)
    return kept


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("drop_newest", [0, 1, 2]),
        ("drop_oldest", [0, FRAMES - 2, FRAMES - 1]),
        ("sample", sampled()),
    ],
)
def test_what_is_shed_is_counted_exactly(policy, kept):
    got, summary, looks = overrun(policy)
    assert got == kept
    (source,) = summary.sources
    shed = (FRAMES - len(kept)) * ROWS
    assert (source.received, source.applied, source.shed) == (FRAMES * ROWS, len(kept) * ROWS, shed)
    assert source.in_flight == 0
    assert all(each.conserved for health in looks for each in health.sources)
    assert f"{len(kept) * ROWS:,} applied, 0 late, 0 dead-lettered, {shed:,} shed ({policy})" in str(summary)


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "sample"])
def test_a_run_that_keeps_its_state_leaves_nothing_out(policy, tmp_path):
    feed = rr.read({"x": [1]}, limits=rr.Limits(overload=policy), name="feed")
    with pytest.raises(PlanError) as raised:
        rr.run(feed.write(MemorySink()), state=str(tmp_path / "state"))
    assert str(raised.value) == (
        f"{feed.node.label}: a run that keeps its state leaves nothing out, so overload={policy!r} cannot be\n"
        "  try: leave out state=, or overload="
    )


def test_acknowledgments_need_a_state_folder():
    feed = rr.read("tcp+listen://127.0.0.1:0", ack=True, format="lines")
    with pytest.raises(PlanError) as raised:
        rr.run(feed.write(MemorySink()))
    assert str(raised.value) == (
        f"{feed.node.label}: acknowledgments say what is on the disk, and this run keeps nothing there\n"
        '  try: rr.run(..., state="state"), or leave out ack=True'
    )


@pytest.mark.parametrize(("budget_bytes", "count"), [(1, 300), (1_000, 20_000), (100_000, 200_000)])
def test_a_budget_smaller_than_one_block_holds_nobody_up_for_good(budget_bytes, count, tmp_path):
    limits = rr.Limits(budget_bytes=budget_bytes)
    lines = [b"%d\n" % number for number in range(count)]
    feeds = []
    for name in ("a", "b"):
        path = tmp_path / name
        path.write_bytes(b"".join(lines))
        feeds.append(
            rr.read(
                f"file:{path}", format=rr.Csv(header=False), schema={"n": pl.Int64}, limits=limits, name=name
            )
        )
    sinks = [MemorySink(), MemorySink()]
    summary = rr.run(*[feed.write(sink) for feed, sink in zip(feeds, sinks, strict=True)])
    assert [source.applied for source in summary.sources] == [len(lines)] * 2
    assert [sink.rows()["n"].to_list() for sink in sinks] == [list(range(len(lines)))] * 2
