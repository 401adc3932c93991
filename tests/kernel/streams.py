"""Streams of random events through the real engine, in the terms of `tests.reference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import Phase, settings

import riverrun as rr
from riverrun.clock import format_duration
from riverrun.testing import Script, Transcript, end, play, rows
from tests.reference import Event, Late, Result

#: Failing examples are made small, but not explained: that takes minutes here.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]


def examples(count: int) -> Any:
    """How many random inputs a test tries; always the same ones, so that a red run can be repeated."""
    return settings(max_examples=count, phases=PHASES, derandomize=True)


SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64, "row": pl.Int64}


def seconds(value: int) -> str:
    return format_duration(value * 1_000_000)


def feed(delay: int | None, **options: Any) -> rr.Stream:
    made = None if delay is None else seconds(delay)
    url = options.pop("url", "tcp://localhost:9")
    return rr.read(url, format="csv", schema=SCHEMA, time="t", delay=made, **options)


def batches(events: Sequence[Event], cuts: Sequence[int]) -> list[Any]:
    """Steps that hand over the events in order, cut at `cuts` and wherever the partition changes."""
    steps: list[Any] = []
    group: list[tuple[Any, ...]] = []
    for place, event in enumerate(events):
        if group and (place in cuts or event.partition != events[place - 1].partition):
            steps.append(rows(*group, partition=events[place - 1].partition))
            group = []
        group.append((event.t, event.key, event.x, place))
    if group:
        steps.append(rows(*group, partition=events[-1].partition))
    return steps


def played(stream: rr.Stream, events: Sequence[Event], cuts: Sequence[int]) -> Transcript:
    """All partitions are announced first, as sources do it."""
    partitions = sorted({event.partition for event in events})
    return play(stream, Script([*(rows(partition=p) for p in partitions), *batches(events, cuts), end()]))


def results_of(transcript: Transcript) -> list[Result]:
    """Results with the rows that they hold; the stream aggregates ``rows=rr.collect("row")``."""
    frame = transcript.results
    starts, ends = (frame[name].to_physical() // 1_000_000 for name in ("window_start", "window_end"))
    revisions = frame["revision"].to_list() if "revision" in frame.columns else [0] * frame.height
    keys = frame["key"].to_list() if "key" in frame.columns else [None] * frame.height
    held = (tuple(sorted(items)) for items in frame["rows"].to_list())
    return [Result(*values) for values in zip(keys, starts, ends, held, revisions, strict=True)]


def late_of(transcript: Transcript) -> list[Late]:
    frame = transcript.late
    starts, ends = (frame[name].to_physical() // 1_000_000 for name in ("window_start", "window_end"))
    return [Late(*values) for values in zip(frame["row"].to_list(), starts, ends, strict=True)]
