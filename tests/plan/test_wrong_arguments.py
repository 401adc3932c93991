"""Arguments that cannot be are said where they are written, with what came and what to try."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

import riverrun as rr

SCHEMA = {"ts": rr.Timestamp("s"), "k": pl.String, "x": pl.Float64}


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda s: s.drop(3), "drop: a column is named by text, got 3\n  try: "),
        (lambda s: s.drop([["x"]]), "drop: a column is named by text, got ['x']\n  try: "),
        (lambda s: s.explode(3), "explode: a column is named by text, got 3\n  try: "),
        (lambda s: s.explode("k"), "explode: 'k' is String, and only lists have items\n  try: .with_columns("),
        (lambda s: s.drop_nulls(3), "drop_nulls: a column is named by text, got 3\n  try: "),
        (lambda s: s.fill_null(0, 3), "fill_null: a column is named by text, got 3\n  try: "),
        (lambda s: s.rename("x"), 'rename: needs a dict by column name, got \'x\'\n  try: {"old": "new"}'),
        (lambda s: s.cast("x"), "cast: needs a dict by column name, got 'x'\n  try: {\"size\": pl.Float64}"),
        (
            lambda s: s.map_frames(lambda t: t, schema={"x": "float"}),
            "map_frames(schema=): 'float' for 'x' is no type of Polars\n  try: pl.Float64, pl.String, ...",
        ),
        (
            lambda s: s.stateful(lambda state, t: (state, t), schema=["x"]),
            "stateful(schema=): needs a dict by column name, got ['x']\n  try: {\"size\": pl.Float64}",
        ),
        (
            lambda s: s.clip_outliers("x", method="mad", k="3"),
            "clip_outliers(k=): k must be a number above 0, got '3'\n  try: k=3",
        ),
        (
            lambda s: s.clip_outliers("x", method="mad", last="9"),
            "clip_outliers(last=): last must be a number of rows from 2 to 1,000,000, got '9'\n  try: last=100",
        ),
        (lambda s: s.interpolate("k", within="1s"), "interpolate: needs numbers, and 'k' is String\n  try: "),
        (
            lambda s: s.interpolate("x", within="-1s"),
            "interpolate(within=): a duration cannot be negative, got '-1s'\n  try: ",
        ),
    ],
)
def test_wrong_arguments_are_said(step, text):
    rows = rr.read("tcp://localhost:9", format="csv", schema=SCHEMA, time="ts")
    with pytest.raises(rr.RiverrunError) as caught:
        step(rows)
    assert str(caught.value).startswith(text)


TYPES = {
    "t": pl.Datetime("us"),
    "k": pl.String,
    "x": pl.Float64,
    "i": pl.Int64,
    "b": pl.Boolean,
    "d": pl.Date,
    "l": pl.List(pl.Int64),
}
COLUMNS = (
    "the columns here are t (Datetime(time_unit='us', time_zone=None)), k (String), x (Float64), i (Int64), "
)
NAN, INF = float("nan"), float("inf")
WINDOW = rr.tumbling("1m")

#: Each call with the whole text of what is said, without the part behind `...`.
SAID = [
    # unknown columns, also in upper case
    (lambda s: s.filter(pl.col("X") > 0), "filter: there is no column 'X'\n  try: did you mean 'x'?"),
    (
        lambda s: s.with_columns(y="z"),
        "with_columns: there is no column 'z'\n  try: one of: t, k, x, i, b, d, l",
    ),
    (lambda s: s.drop("z"), "drop: there is no column 'z'\n  try: one of: t, k, x, i, b, d, l"),
    (lambda s: s.fill_null(0, "z"), "fill_null: there is no column 'z'\n  try: one of: t, k, x, i, b, d, l"),
    (lambda s: s.clip("z", 0), "clip: there is no column 'z'\n  try: one of: t, k, x, i, b, d, l"),
    # nothing
    (
        lambda s: s.select(),
        'select: no column is named, and rows without columns are none\n  try: .select("price", ...)',
    ),
    (lambda s: s.drop(*TYPES), "drop: no column would be left, and rows without columns are none"),
    (lambda s: s.explode(), 'explode: no column is named\n  try: .explode("items")'),
    (
        lambda s: s.drop_nulls([]),
        "drop_nulls: no column is named\n  try: leave the columns out to mean all of them",
    ),
    (
        lambda s: s.fill_null(0, []),
        "fill_null: no column is named\n  try: leave the columns out to mean all of them",
    ),
    (lambda s: s.normalise([]), 'normalise: no column is named\n  try: .normalise("price", by="symbol")'),
    (
        lambda s: s.clip_outliers([]),
        'clip_outliers: no column is named\n  try: .clip_outliers("price", by="symbol")',
    ),
    (
        lambda s: s.resample("1s", columns=[], max_gap="5s"),
        "resample(columns=): no column is named\n  try: leave it out to mean all of them",
    ),
    (lambda s: s.map_frames(lambda f: f, schema={}), "map_frames(schema=): no column is named\n  try: ..."),
    (
        lambda s: s.fill_null(None, "x"),
        'fill_null: a null in place of a null fills nothing\n  try: .fill_null(0, "size")',
    ),
    # twice
    (
        lambda s: s.select("x", "x"),
        "select: 2 columns would be called 'x'\n  try: another name for one of them: .alias(\"x_2\")",
    ),
    (
        lambda s: s.with_columns(pl.col("x").alias("a"), a="i"),
        "with_columns: 2 columns would be called 'a'\n  try: another name for one of them: .alias(\"a_2\")",
    ),
    (
        lambda s: s.rename({"x": "i"}),
        "rename: 'i' is there already\n  try: .drop(\"i\") first, or another name",
    ),
    (
        lambda s: s.rename({"x": "a", "i": "a"}),
        "rename: 2 columns would be called 'a'\n  try: a name of its own for each",
    ),
    (
        lambda s: s.repair_types({"k": pl.Int64}, count="x"),
        "repair_types(count=): 'x' is there already\n  try: another name",
    ),
    (
        lambda s: s.group_by("k", "k").window(WINDOW).agg(n=rr.count()),
        'group_by: the key \'k\' is named twice\n  try: a name of its own: pl.col("k").alias("k_key")',
    ),
    # names that cannot be
    (lambda s: s.rename({"x": 3}), 'rename: \'x\' needs a new name, got 3\n  try: {"old": "new"}'),
    (lambda s: s.rename({"x": ""}), "rename: 'x' needs a new name, got ''\n  try: {\"old\": \"new\"}"),
    (lambda s: s.rename({3: "x"}), "rename: a column is named by text, got 3\n  try: ..."),
    (
        lambda s: s.with_columns(__p_x="x"),
        "with_columns: column names cannot begin with '__p_': '__p_x'\n  try: another name, such as 'x'",
    ),
    (
        lambda s: s.group_by().window(WINDOW).agg(__p_n=rr.count()),
        "agg: column names cannot begin with '__p_': '__p_n'\n  try: another name, such as 'n'",
    ),
    (
        lambda s: s.group_by().window(WINDOW).agg(**{"": rr.count()}),
        "agg: a result needs a name\n  try: value=count()",
    ),
    (
        lambda s: s.group_by().window(WINDOW).agg(rr.mean("x")),
        "agg: mean('x') needs a name\n  try: .agg(n=rr.count(), mean=rr.mean(\"price\"))",
    ),
    (
        lambda s: s.with_columns(window_end="x").group_by("window_end").window(WINDOW).agg(n=rr.count()),
        "group_by: the key 'window_end' would take the name of a bound of the window\n  try: ...",
    ),
    # types
    (
        lambda s: s.filter(pl.col("k") > 0),
        "filter: k > 0 cannot be worked out, where k is String: cannot compare string with numeric type (i32)\n"
        f"  try: {COLUMNS}...",
    ),
    (
        lambda s: s.filter(pl.col("x", "i") > 0),
        "filter: [(cs.by_name('x', 'i', require_all=true)) > (dyn int: 0)] is 2 conditions in one\n"
        "  try: one for each, or pl.all_horizontal(...), pl.any_horizontal(...) of them",
    ),
    (
        lambda s: s.with_columns(y=lambda row: row),
        "with_columns: y= must be an expression or one value for all rows, got <function ...",
    ),
    (
        lambda s: s.with_columns(y=pl.Series([1, 2])),
        "with_columns: y= must be an expression or one value for all rows, got shape: (2,) ...",
    ),
    (
        lambda s: s.fill_null("a", "x"),
        "fill_null: 'x' is Float64, and cannot hold 'a', which is text\n"
        "  try: a value of the same kind, or .cast(...) the column first",
    ),
    (
        lambda s: s.fill_null(pl.col("k"), "x"),
        "fill_null: 'x' is Float64, and cannot hold k, which is text\n  try: ...",
    ),
    (
        lambda s: s.fill_null(1, "b"),
        "fill_null: 'b' is Boolean, and cannot hold 1, which is a number\n  try: ...",
    ),
    (
        lambda s: s.fill_null(2**70, "i"),
        "fill_null: 1180591620717411303424 does not fit into 'i', which is Int64\n"
        '  try: .cast({"i": ...}) to a type that holds it',
    ),
    (lambda s: s.fill_null({"a": 1}), "fill_null: no column can hold {'a': 1}, which is Struct\n  try: ..."),
    (lambda s: s.fill_null(object()), "fill_null: <object object at ..."),
    (
        lambda s: s.cast({"k": pl.List(pl.Int64)}),
        "cast: 'k' is String, which cannot be made List(Int64)\n"
        "  try: make it with an expression: .with_columns(...)",
    ),
    (
        lambda s: s.cast({"k": pl.Datetime}),
        "cast: 'k' is String, which cannot be made Datetime(time_unit='us', time_zone=None)\n"
        '  try: .repair_types({"k": pl.Datetime}), or .str.to_datetime(...) in with_columns',
    ),
    (lambda s: s.cast({"k": pl.List}), "cast: List for 'k' does not say of what\n  try: pl.List(pl.Int64)"),
    (lambda s: s.cast({"x": "float"}), "cast: 'float' for 'x' is no type of Polars\n  try: pl.Float64, ..."),
    (
        lambda s: s.cast({"x": rr.Timestamp("s")}),
        "cast: 'x' cannot be made Timestamp(unit='s', zone=None), which is for the schema of rr.read\n"
        '  try: .with_columns(x=pl.from_epoch("x", time_unit="s"))',
    ),
    (lambda s: s.cast({"x": pl.Int64}, strict="yes"), "cast(strict=): needs True or False, got 'yes'"),
    (lambda s: s.repair_types("k"), "repair_types: needs a dict by column name, got 'k'\n  try: ..."),
    (
        lambda s: s.repair_types({"k": pl.Boolean}, true="x", false="X"),
        "repair_types: 'x' would mean true and false",
    ),
    (
        lambda s: s.repair_types({"k": pl.Datetime}, formats="%H:%M"),
        "repair_types(formats=): no date or time can be read by '%H:%M'\n"
        '  try: "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"; a year, a month and a day must be in it',
    ),
    (
        lambda s: s.clip("k", 0),
        "clip: needs numbers or times, and 'k' is String\n"
        '  try: .cast({"k": pl.Float64}) or .repair_types(...) first',
    ),
    (
        lambda s: s.clip("x", "a"),
        "clip(lower=): a bound of 'x', which is Float64, is a number, got 'a'\n  try: lower=0, upper=1.5",
    ),
    (
        lambda s: s.clip("x", 0, NAN),
        "clip(upper=): a bound of 'x', which is Float64, is a number, got nan\n...",
    ),
    (
        lambda s: s.clip("i", 0.5),
        "clip(lower=): 0.5 is no value of 'i', which is Int64\n"
        "  try: leave out a bound that no value passes, or .cast(...) the column first",
    ),
    (lambda s: s.clip("d", 0), "clip(lower=): 0 is no value of 'd', which is Date\n..."),
    (
        lambda s: s.profile("l"),
        "profile: 'l' is List(Int64), and values that can be read as text are needed\n...",
    ),
    (
        lambda s: s.group_by(pl.col("k", "i")),
        "group_by: cs.by_name('k', 'i', require_all=true) is several columns, and each key is one\n"
        '  try: .group_by("symbol", "venue")',
    ),
    # numbers and durations
    (
        lambda s: s.unique("k", within="600000w"),
        "unique(within=): a duration of more than 10,000 years is too long, got '600000w'\n"
        '  try: "3650d" is ten years',
    ),
    (
        lambda s: s.unique("k", within=timedelta(seconds=-1)),
        "unique(within=): a duration cannot be negative, got '-1 day, 23:59:59'\n  try: \"10s\"",
    ),
    (
        lambda s: s.join_interval(s, lower=timedelta(days=-9_999_999), upper="1s"),
        "join_interval(lower=): a duration of more than 10,000 years is too long, got ...",
    ),
    (
        lambda s: s.resample("1us", max_gap="1h"),
        "resample(max_gap=): a gap of 1h would be filled with 3,600,000,000 rows, one every 1us\n"
        "  try: a shorter gap, or a coarser grid",
    ),
    (
        lambda s: s.resample("1s", by="t", max_gap="1h"),
        "resample(by=): 't' is the event time, which goes on within a key\n"
        '  try: what tells one series from another: by="sensor"',
    ),
    (
        lambda s: s.clip_outliers("x", k=True),
        "clip_outliers(k=): k must be a number above 0, got True\n  try: k=3",
    ),
    (
        lambda s: s.clip_outliers("x", method="mad", last=10**12),
        "clip_outliers(last=): last must be a number of rows from 2 to 1,000,000, got 1000000000000\n"
        "  try: last=100",
    ),
    (
        lambda s: s.profile("x", error="a"),
        "profile(error=): error must be from 0.005 to 0.3, got 'a'\n  try: error=0.01 is 1 %",
    ),
    (lambda s: rr.n_unique("x", error="a"), "n_unique: error must be from 0.005 to 0.3, got 'a'\n..."),
    (
        lambda s: rr.std("x", ddof=-1),
        "agg, ddof=: ddof must be a whole number from 0 to 1,000,000, got -1\n  try: ddof=1",
    ),
    (
        lambda s: rr.cov_matrix(["x", "i"], ddof=0.5),
        "agg, ddof=: ddof must be a whole number from 0 to 1,000,000...",
    ),
    (lambda s: rr.mean("x", nan="drop"), "agg, nan=: there is no 'drop'\n  try: one of: propagate, ignore"),
    (
        lambda s: rr.hopping("1d", "1us"),
        "hopping: each row would be in 86,400,000,000 windows, and 100,000 are the most\n"
        "  try: longer steps; .rolling(...) has a result for every row",
    ),
    (lambda s: rr.cumulating("1d", "1us"), "cumulating: each row would be in 86,400,000,000 windows, ..."),
    (lambda s: s.group_by().window(WINDOW, quality="yes"), "window(quality=): needs True or False, got 'yes'"),
    # what looks at other rows would depend on how batches are cut
    (
        lambda s: s.fill_null(pl.col("x").mean(), "x"),
        "fill_null: x.mean() looks at other rows, and a stream has no fixed set of them\n  try: ...",
    ),
    (
        lambda s: s.group_by((pl.col("x") > pl.col("x").mean()).alias("up")).window(WINDOW).agg(n=rr.count()),
        "group_by: up = x > x.mean() looks at other rows, and a stream has no fixed set of them\n  try: ...",
    ),
    (
        lambda s: s.group_by().window(WINDOW).agg(m=rr.mean(pl.col("x").shift())),
        "agg, m=mean(x.shift(1)): x.shift(1) looks at other rows, and a stream has no fixed set of them\n...",
    ),
    # what Polars has and a stream has not
    (
        lambda s: s.sort("x"),
        "stream: a stream has no sort\n  try: .collect() a bounded input, and go on with the frame",
    ),
    (lambda s: s.mean("x"), "stream: a stream has no mean\n  try: .group_by(...).window(..."),
    (
        lambda s: s.group_by("k").mean(),
        "group_by: a stream has no end at which a whole group could be aggregated\n  try: ...",
    ),
]


@pytest.mark.parametrize(("call", "text"), SAID)
def test_what_cannot_be_is_said_when_the_plan_is_made(call, text):
    with pytest.raises(rr.RiverrunError) as caught:
        call(rr.read(pl.DataFrame(schema=TYPES), schema=TYPES, time="t"))
    if text.endswith("..."):
        assert str(caught.value).startswith(text.removesuffix("..."))
    else:
        assert str(caught.value) == text


def test_lists_of_columns_are_taken_as_polars_does():
    rows = rr.read({"a": [1], "b": [2], "items": [[3]]})
    assert rows.select(["a", "b"]).collect().columns == ["a", "b"]
    assert rows.drop(["a", "b"]).explode(["items"]).select("items").collect().rows() == [(3,)]
    assert rows.filter([pl.col("a") > 1, pl.col("b") > 1]).collect().height == 0
    assert rows.group_by(["a", "b"]).window(WINDOW).agg(n=rr.count()).collect().columns[:2] == ["a", "b"]


def test_text_names_a_column_and_other_values_stand_in_every_row():
    rows = rr.read({"a": [1, 2]}).select(b="a", c=7, d=pl.lit("text"))
    assert rows.collect().rows() == [(1, 7, "text"), (2, 7, "text")]


def test_nulls_are_filled_in_the_columns_that_can_hold_the_value():
    rows = rr.read({"a": [None, 1], "b": [None, 0.5], "k": [None, "x"], "up": [None, True]})
    wanted = ["a", "b", "k", "up"]
    assert rows.fill_null(0).select(wanted).collect().row(0) == (0, 0.0, None, None)
    assert rows.fill_null("?").select(wanted).collect().row(0) == (None, None, "?", None)
    assert rows.fill_null(value=False).select(wanted).collect().row(0) == (None, None, None, False)
    assert rows.fill_null(0.5, "a").select("a").collect()["a"].to_list() == [0.5, 1.0]


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y", "%d/%m/%y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S%.f%#z", "%s"]
)
def test_formats_that_hold_a_date_are_taken(form):
    rows = rr.read({"at": ["x"]}).repair_types({"at": pl.Datetime}, formats=form)
    assert rows.collect()["at"].to_list() == [None]
