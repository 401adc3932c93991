"""Arguments that cannot be are said where they are written, with what came and what to try."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr

SCHEMA = {"ts": rr.Timestamp("s"), "k": pl.String, "x": pl.Float64}


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda s: s.drop(3), "drop: a column is named by text, got 3\n  try: "),
        (lambda s: s.drop(["x"]), "drop: a column is named by text, got ['x']\n  try: "),
        (lambda s: s.explode(3), "explode: a column is named by text, got 3\n  try: "),
        (lambda s: s.explode("k"), "explode: 'k' is String, and only lists have items\n  try: .with_columns("),
        (lambda s: s.drop_nulls(3), "drop_nulls: a column is named by text, got 3\n  try: "),
        (lambda s: s.fill_null(0, 3), "fill_null: a column is named by text, got 3\n  try: "),
        (lambda s: s.rename("x"), 'rename: needs a dict by column name, got \'x\'\n  try: {"old": "new"}'),
        (lambda s: s.cast("x"), "cast: needs a dict by column name, got 'x'\n  try: {\"size\": pl.Float64}"),
        (
            lambda s: s.map_frames(lambda t: t, schema={"x": "float"}),
            "map_frames(schema=): cannot parse input of type 'str' into Polars data type (given: 'float')",
        ),
        (
            lambda s: s.stateful(lambda state, t: (state, t), schema=["x"]),
            "stateful(schema=): needs a dict by column name, got ['x']\n  try: {\"price\": pl.Float64}",
        ),
        (
            lambda s: s.clip_outliers("x", method="mad", k="3"),
            "clip_outliers(k=): k must be a number above 0, got '3'\n  try: k=3",
        ),
        (
            lambda s: s.clip_outliers("x", method="mad", last="9"),
            "clip_outliers(min_rows=): min_rows must be from 2 to last='9', got 10",
        ),
        (lambda s: s.interpolate("k", within="1s"), "interpolate: needs numbers, and 'k' is String\n  try: "),
        (lambda s: s.interpolate("x", within="-1s"), "interpolate(within=): not a duration: '-1s'\n  try: "),
    ],
)
def test_wrong_arguments_are_said(step, text):
    rows = rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="ts")
    with pytest.raises(rr.RiverrunError) as caught:
        step(rows)
    assert str(caught.value).startswith(text)
