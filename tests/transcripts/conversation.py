"""Short words for transcripts: a feed of (t seconds, key, x), and results as (key, start, end, ...) tuples."""

from __future__ import annotations

from typing import Any

import polars as pl

import riverrun as rr

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}


def feed(source: str = "tcp://localhost:9", **options: Any) -> rr.Stream:
    return rr.read(source, format="csv", schema=SCHEMA, time="t", **options)


def counts(stream: rr.Stream, window: Any, **options: Any) -> rr.Stream:
    return stream.group_by("key").window(window, **options).agg(n=rr.count())


def told(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Rows with instants as seconds."""
    return frame.with_columns(pl.col(pl.Datetime).to_physical() // 1_000_000).rows()
