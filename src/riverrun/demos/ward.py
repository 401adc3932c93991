"""Two pulse sensors at a bedside, live and at their true rate: level, spread, signal quality.

The feed replays two real recordings (photoplethysmograms, 117 and 100 samples a second, raw values of a 10-bit
converter), with times shifted to now, and begins again when they end. A sensor without contact reads 0.

To play with this file:

    riverrun demo ward --show > ward.py
    riverrun demo ward --feed              (in another terminal: the feed alone, at port 9101)
    riverrun run ward.py --dashboard
"""

from __future__ import annotations

import polars as pl

import riverrun as rr


def build(samples_url: str) -> rr.Pipeline:
    """The pipeline, given where the feed is."""
    samples = rr.read(
        samples_url,
        format="csv",
        schema={"t_ms": rr.Timestamp("ms"), "patient": pl.String, "signal": pl.Float64},
        time="t_ms",
        delay="100ms",
        idle="10s",
        name="bedside",
    )
    per_patient = (
        samples.drop_nulls(["signal"])
        .filter(pl.col("signal").is_between(0, 1023))
        .with_columns(contact=(pl.col("signal") > 0).cast(pl.Float64) * 100)
        .group_by("patient")
        .window(rr.hopping("2s", every="500ms"))
        .agg(
            level=rr.mean("signal"),
            spread=rr.std("signal"),
            lowest=rr.min("signal"),
            highest=rr.max("signal"),
            swing=rr.range("signal"),
            contact_percent=rr.mean("contact"),
        )
    )
    return rr.Pipeline("ward", [per_patient])


pipeline = build("tcp://127.0.0.1:9101")
