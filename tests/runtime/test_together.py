"""Arrivals of many partitions that are worked in one go."""

from __future__ import annotations

import random

import polars as pl
import pytest

import riverrun as rr
from riverrun.batch import ROW_ORDER, ROW_WATERMARK
from riverrun.plan.nodes import Output
from riverrun.plan.stream import Stream
from riverrun.ports import Chunk
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.intake import Intake, Taken
from riverrun.runtime.job import Job
from riverrun.runtime.pump import Arrival, Pump
from riverrun.testing import SimulatedWorld

NOW_S = 1_767_225_600
SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Int64}


def read(**options):
    form = rr.Csv(header=False)
    limits = rr.Limits(key_bytes=4, connections_per_peer=100)
    stream = rr.read("tcp+listen://127.0.0.1:7000", format=form, schema=SCHEMA, limits=limits, **options)
    return stream.node


def line(chance: random.Random) -> bytes:
    """Mostly a good row; sometimes none, or one from the future, or with a key that is too long."""
    time = NOW_S + chance.randint(-20, 20)
    odd = {0: b",a,1\n", 1: b"%d,a,1\n" % (NOW_S + 10**6), 2: b"%d,longer,1\n" % time, 3: b"%d,a\n" % time}
    return odd.get(chance.randint(0, 40), b"%d,%c,%d\n" % (time, chance.choice(b"abc"), chance.randint(0, 9)))


def taken(intake: Intake, arrivals: list[Arrival]) -> Taken:
    intake.expect(arrivals)
    return intake.take(arrivals, NOW_S * 1_000_000)


@pytest.mark.parametrize("time", ["t", None])
@pytest.mark.parametrize("seed", range(20))
def test_the_rows_are_those_of_one_by_one(seed, time):
    chance = random.Random(seed)
    node = read(time=time, delay=f"{chance.randint(0, 9)}s") if time else read()
    pump = Pump(node, SimulatedWorld())
    together, one_by_one = (
        Intake(node, pump.schema, ("key",), ordered=bool(seed % 2), place=3) for _ in range(2)
    )
    for _ in range(4):
        chunks = [
            Chunk(name, b"".join(line(chance) for _ in range(chance.randint(0, 6))), 0, NOW_S * 1_000_000 + at)
            for at, name in enumerate(chance.sample("pqrstu", chance.randint(1, 6)))
        ]
        arrivals = together.measured(pump.decode(chunks))
        whole = taken(together, arrivals)
        pieces = [taken(one_by_one, [arrival]) for arrival in arrivals]
        assert whole.refused == [letter for piece in pieces for letter in piece.refused]
        frames = [piece.frame for piece in pieces if piece.frame.height]
        if frames:
            # A frame without rows that are behind has no column that says so, and perhaps none of places.
            compared = [*SCHEMA, *({ROW_ORDER} if seed % 2 else ()), ROW_WATERMARK]
            expected = pl.concat(frames, how="diagonal")
            assert shown(whole.frame, compared) == shown(expected, compared)
        assert whole.frame.height == sum(piece.frame.height for piece in pieces)
        assert together.tracker.partitions == one_by_one.tracker.partitions
        assert together.newest_us == one_by_one.newest_us


def shown(frame: pl.DataFrame, names: list[str]) -> list[dict[str, object]]:
    return frame.select(name for name in names if name in frame.columns).to_dicts()


def test_a_partition_that_begins_anew_behind_its_end_is_late_by_its_new_rows_only():
    node, world = read(time="t"), SimulatedWorld()
    pump = Pump(node, world)
    counted = Stream(node).group_by("key").window(rr.tumbling("10s")).agg(n=rr.count())
    outputs = [Output(counted.node, None)]
    job = Job("job", outputs, [pump], world, DeadLetters(world), lambda _, frame: None)
    first = pump.decode([Chunk("p", b"%d,a,1\n" % NOW_S, 0, NOW_S * 1_000_000, end=True)])
    again = pump.decode([Chunk("p", b"%d,a,2\n" % (NOW_S - 50), 0, NOW_S * 1_000_000)])
    job.received(0, [*first, *again])
    job.take(0, [*first, *again])
    health = job.health().sources[0]
    assert (health.applied, health.late, health.in_flight) == (2, 0, 0)
    assert list(job.intakes[0].tracker.partitions) == ["p"]
    assert job.intakes[0].tracker.partitions["p"].rows == 1
