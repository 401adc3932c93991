"""Cleaning steps: what is refused before anything runs, with its words, and what they are called."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr
from riverrun.plan.nodes import short_of

SCHEMA = {"ts": pl.Datetime("ms"), "day": pl.Date, "id": pl.String, "x": pl.Float64, "note": pl.String}
ROWS = rr.read({name: [] for name in SCHEMA}, schema=SCHEMA, time="ts", name="rows")
TIMELESS = ROWS.select("id", "x", "note")
REVISED = ROWS.group_by("id").window(rr.tumbling("10s"), lateness="1m").agg(x=rr.mean("x"))


def same(state, rows):
    return state, rows


def revised(step, against):
    return (
        f"{step}: the rows of these results come again when they are revised, {against}\n"
        "  try: leave out lateness= and emit= in the first window, or give it a longer delay= in rr.read"
    )


def dropped(step, used_by):
    return (
        f"{step}: a step before has dropped the event-time column, which {used_by}\n"
        "  try: keep it in select(...), or do not drop it"
    )


ERRORS = {
    "unique of an unknown column": (
        lambda: ROWS.unique("idd", within="1m"),
        "unique: there is no column 'idd'\n  try: did you mean 'id'?",
    ),
    "unique without a key": (
        lambda: ROWS.unique([], within="1m"),
        'unique: no column is named\n  try: .unique("id", ...): what is equal in repetitions',
    ),
    "unique for ever": (
        lambda: ROWS.unique("id"),
        "unique: needs within=: to know every repetition for ever, every key would have to be kept for ever\n"
        "  try: .unique('id', within=\"10m\"), if repetitions come at most ten minutes apart",
    ),
    "unique by an expression": (
        lambda: ROWS.unique([pl.col("x") + 1], within="1m"),
        "unique: a column is named by text, got <Expr ['[(col(\"x\")) + (dyn int: 1)]'] at 0x",
    ),
    "unique without event time": (
        lambda: TIMELESS.unique("id", within="1m"),
        dropped("unique", "tells how long a key is remembered"),
    ),
    "unique of revised results": (
        lambda: REVISED.unique("id", within="1m"),
        revised("unique", "and would be taken for repetitions"),
    ),
    "fill of the key": (
        lambda: ROWS.forward_fill(["x", "id"], by="id"),
        "forward_fill: 'id' is what rows are told apart by, and cannot be changed here",
    ),
    "fill of the event time": (
        lambda: ROWS.forward_fill("ts", by="id"),
        "forward_fill: 'ts' is the event time, and cannot be changed here",
    ),
    "fill of nothing": (
        lambda: ROWS.forward_fill([], by="id"),
        'forward_fill: no column is named\n  try: .forward_fill("price", by="symbol")',
    ),
    "age without event time": (
        lambda: TIMELESS.forward_fill("x", by="id", max_age="1m"),
        dropped("forward_fill", "tells how old a value is"),
    ),
    "fill of revised results": (
        lambda: REVISED.forward_fill("x", by="id"),
        revised("forward_fill", "and old values would follow new ones"),
    ),
    "grid of words": (
        lambda: ROWS.resample("1s", by="id", fill="linear", max_gap="1m", columns=["x", "note"]),
        "resample(fill=\"linear\"): needs numbers, and 'note' is String\n"
        "  try: name the ones to join by columns=[...]",
    ),
    "grid of days": (
        lambda: rr.read({"day": [], "x": []}, schema={"day": pl.Date, "x": pl.Float64}, time="day").resample(
            "1d", max_gap="7d"
        ),
        "resample: the event-time column 'day' is a date, and the grid needs instants\n"
        '  try: .cast({"day": pl.Datetime("us")})',
    ),
    "unknown fill": (
        lambda: ROWS.resample("1s", fill="lineal", max_gap="1m"),
        "resample(fill=): there is no 'lineal'\n  try: did you mean 'linear'?",
    ),
    "gap below the grid": (
        lambda: ROWS.resample("1m", max_gap="1s"),
        "resample(max_gap=): a gap of at most 1s is less than the distance of the instants, 1m\n"
        "  try: a few times as long as the distance",
    ),
    "no distance": (
        lambda: ROWS.resample("0s", max_gap="1s"),
        'resample: the instants of a grid need some time between them\n  try: "1s"',
    ),
    "grid without event time": (
        lambda: TIMELESS.resample("1s", max_gap="1m"),
        dropped("resample", "the grid goes by"),
    ),
    "outliers among words": (
        lambda: ROWS.clip_outliers("note", by="id"),
        "clip_outliers: needs numbers, and 'note' is String\n"
        '  try: .cast({"x": pl.Float64}) or .repair_types(...) first',
    ),
    "unknown kind of outlier": (
        lambda: ROWS.clip_outliers("x", method="igr"),
        "clip_outliers(method=): there is no 'igr'\n  try: did you mean 'iqr'?",
    ),
    "no reach": (
        lambda: ROWS.clip_outliers("x", k=0),
        "clip_outliers(k=): k must be a number above 0, got 0\n  try: k=3",
    ),
    "too few rows to judge by": (
        lambda: ROWS.clip_outliers("x", min_rows=1),
        "clip_outliers(min_rows=): min_rows must be from 2 to last=100, got 1",
    ),
    "normalised key": (
        lambda: ROWS.normalise("id", by="id"),
        "normalise: 'id' is what rows are told apart by, and cannot be changed here",
    ),
    "normalised in no way": (
        lambda: ROWS.normalise("x", method="z"),
        "normalise(method=): there is no 'z'\n  try: one of: zscore, minmax",
    ),
    "normalised revisions": (
        lambda: REVISED.normalise("x", by="id"),
        revised("normalise", "and would be measured twice"),
    ),
    "newest of nothing": (
        lambda: ROWS.latest([]),
        'latest: no column is named\n  try: .latest(by="symbol")',
    ),
    "newest without event time": (
        lambda: TIMELESS.latest("id"),
        dropped("latest", "tells which row is the newest"),
    ),
    "a window over a table that changes": (
        lambda: ROWS.latest("id").group_by("id").window(rr.tumbling("1m")).agg(n=rr.count()),
        revised("agg", "and would count twice"),
    ),
    "late rows of a step that has none": (
        lambda: ROWS.forward_fill("x").late(),
        "late: no rows can come too late for 'forward_fill x'\n"
        "  try: call it on what .agg(...), .join_asof(...), .unique(...) or .resample(...) returned",
    ),
}


@pytest.mark.parametrize(("made", "text"), ERRORS.values(), ids=ERRORS)
def test_refused(made, text):
    with pytest.raises(rr.PlanError) as caught:
        made()
    assert str(caught.value).startswith(text)


LABELS = {
    "unique id, note within 10m": lambda: ROWS.unique(["id", "note"], within="10m"),
    "forward_fill x by id": lambda: ROWS.forward_fill("x", by="id"),
    "forward_fill x, at most 5s old": lambda: ROWS.forward_fill("x", max_age="5s"),
    "normalise x by id (zscore)": lambda: ROWS.normalise("x", by="id"),
    "normalise x (minmax)": lambda: ROWS.normalise("x", method="minmax"),
    "clip_outliers x by id (sigma)": lambda: ROWS.clip_outliers("x", by="id"),
    "latest by id": lambda: ROWS.latest("id"),
    "stateful same by id": lambda: ROWS.stateful(same, by="id"),
    "resample every 1s by id": lambda: ROWS.resample("1s", by="id", max_gap="5s"),
}


@pytest.mark.parametrize(("label", "made"), LABELS.items(), ids=LABELS)
def test_labels(label, made):
    assert made().node.label == label
    assert short_of(made().node) == label


def test_explain_says_how_gaps_are_filled():
    assert (
        "fill: linear, gaps of at most 5s"
        in ROWS.select("ts", "x").resample("1s", fill="linear", max_gap="5s").explain()
    )
