"""A job by hand: what waits, what wakes it, and what it tells of itself."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.plan.nodes import Output, Read, sources_of
from riverrun.ports import FrameChunk
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Pump
from riverrun.testing import SimulatedWorld, advance_clock, end, play, rows

SCHEMA = {"t": rr.Timestamp("s"), "x": pl.Float64}


class Work:
    """A job over a feed that never really connects; rows are handed in."""

    def __init__(self, make, **options):
        self.world = SimulatedWorld()
        feed = rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="t", **options)
        self.out: list[tuple[int, pl.DataFrame]] = []
        outputs = [Output(stream.node, None) for stream in make(feed)]
        (read,) = sources_of(outputs[0].node)
        self.pump = Pump(read, self.world)
        letters = DeadLetters(self.world)
        self.job = Job(
            "work", outputs, [self.pump], self.world, letters, lambda n, frame: self.out.append((n, frame))
        )

    def arrival(self, *times, partition="p"):
        frame = pl.DataFrame({"t": list(times), "x": [1.0] * len(times)})
        (arrival,) = self.pump.decode([FrameChunk(partition, frame, 0, self.world.clock.now_us())])
        return arrival

    def give(self, *times, partition="p"):
        arrival = self.arrival(*times, partition=partition)
        self.job.received(0, [arrival])
        self.job.take(0, [arrival])

    @property
    def counts(self):
        return self.job.health().sources[0]


def counted(feed, **options):
    return feed.group_by().window(rr.tumbling("10s"), **options).agg(n=rr.count())


def test_rows_are_in_flight_until_they_are_taken():
    work = Work(lambda feed: [feed])
    arrival = work.arrival(1, 2)
    work.job.received(0, [arrival])
    assert (work.counts.received, work.counts.in_flight, work.counts.applied) == (2, 2, 0)
    assert work.counts.conserved
    work.job.take(0, [arrival])
    assert (work.counts.received, work.counts.in_flight, work.counts.applied) == (2, 0, 2)


def test_nothing_wakes_a_job_that_waits_for_rows_alone():
    work = Work(lambda feed: [counted(feed)])
    assert work.job.next_tick_us() is None
    work.give(1)
    assert work.job.next_tick_us() is None


def test_it_wakes_when_a_partition_falls_idle_and_when_the_clock_closes_a_window():
    work = Work(lambda feed: [counted(feed)], idle="2s")
    work.give(3)
    assert work.job.next_tick_us() == 2_000_000
    work.world.advance("2s")
    work.job.tick()
    # Event time has come to 5 s with the clock: the window closes in five more, and nothing is due before.
    assert work.job.next_tick_us() == 7_000_000
    work.world.advance("5s")
    work.job.tick()
    assert [frame["n"].to_list() for _, frame in work.out] == [[1]]
    assert work.job.next_tick_us() is None


def test_it_wakes_for_early_results():
    work = Work(lambda feed: [counted(feed, emit="3s")])
    work.give(1)
    assert work.job.next_tick_us() == 3_000_000
    work.world.advance("3s")
    work.job.tick()
    assert [frame["final"].to_list() for _, frame in work.out] == [[False]]
    assert work.job.next_tick_us() == 6_000_000


def test_outputs_share_the_steps_before_them():
    def make(feed):
        doubled = feed.with_columns(y=pl.col("x") * 2)
        return [counted(doubled), doubled.select("y"), counted(doubled).late()]

    work = Work(make)
    work.give(1, 12, 3)
    assert [(n, frame.columns) for n, frame in work.out][:2] == [
        (0, ["window_start", "window_end", "n"]),
        (1, ["y"]),
    ] or sorted({n for n, _ in work.out}) == [0, 1, 2]
    assert sum(1 for step in work.job.flow.steps if step.label.startswith("with_columns")) == 1


def test_a_row_that_is_late_for_two_outputs_counts_once():
    work = Work(lambda feed: [counted(feed), counted(feed)])
    work.give(1, 30, 2)
    assert (work.counts.late, work.counts.applied) == (1, 2)
    assert work.counts.conserved


def test_a_row_that_is_late_for_one_of_two_outputs_is_late():
    """It did not reach everything it should have: it is counted as late, and is in the other result."""
    work = Work(lambda feed: [counted(feed), counted(feed, lateness="1m")])
    work.give(1, 30, 2)
    assert work.counts.late == 1
    assert work.counts.conserved


def test_health_tells_of_source_and_steps():
    work = Work(lambda feed: [counted(feed)], delay="1s")
    work.give(1, 15)
    health = work.job.health()
    assert health.sources[0].watermark_us == 14_000_000
    assert health.sources[0].newest_us == 15_000_000
    assert (health.sources[0].partitions, health.results) == (1, 1)
    assert health.edges == ((0, 1),)
    assert [(step.rows_in, step.rows_out) for step in health.steps] == [(2, 2), (2, 1)]


def test_a_stateless_stream_passes_rows_on_at_once():
    transcript = play(
        rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="t").filter(pl.col("x") > 1),
        [rows((1, 1.0), (2, 2.0)), rows((3, 0.0)), advance_clock("1s"), end()],
    )
    assert [transcript.after(step).height for step in range(4)] == [1, 0, 0, 0]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_without_a_time_column_rows_count_as_of_their_arrival(size):
    feed = rr.read("tcp://localhost:9", format="csv", schema={"x": pl.Int64})
    stream = feed.group_by().window(rr.tumbling("10s")).agg(n=rr.count())
    steps = [rows(*[(1,)] * size), advance_clock("10s"), rows((1,)), end()]
    assert play(stream, steps).results["n"].to_list() == [size, 1]


@pytest.mark.parametrize(
    ("url", "several"),
    [
        ("tcp+listen://127.0.0.1:0", True),
        ("unix+listen:/tmp/feed.sock", True),
        ("file:data/*.csv", True),
        ("file:one.csv", False),
        ("tcp://localhost:9", False),
    ],
)
def test_sessions_know_whether_partitions_come_side_by_side(url, several):
    """Else the watermark of one connection would close the sessions of another."""
    read = rr.read(url, format="csv", schema=SCHEMA, time="t").node
    assert isinstance(read, Read)
    assert bool(getattr(read.source, "partitioned", False)) is several
