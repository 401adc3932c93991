"""From what users write to the nodes of cleaning steps: durations and names are read and checked here."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from riverrun.clock import Duration, parse_duration
from riverrun.errors import PlanError
from riverrun.plan.arguments import (
    Names,
    choice,
    declared,
    dtypes,
    keys,
    number,
    one_line,
    some_names,
    whole,
    words,
)
from riverrun.plan.cleaning import Fill, ForwardFill, Interpolate, Resample, Unique
from riverrun.plan.nodes import Clip, Node
from riverrun.plan.remembering import Latest, UserFunction, UserStep, check_plain
from riverrun.plan.repair import FALSE, TRUE, Decimal, RepairTypes, readable, repairable
from riverrun.plan.scaling import Clipped, Deviating, Fence, Fenced, MinMax, Scale, Scaling, Zscore

Normal = Literal["zscore", "minmax"]
Outliers = Literal["sigma", "iqr", "mad"]

#: So many rows in one gap of one key are a slip: they would not fit into the memory.
_INSTANTS_MOST = 10_000_000
#: How many rows `clip_outliers` may look back; it keeps so many values for each key.
_LAST_MOST = 1_000_000


def unique(node: Node, given: Names, within: Duration | None) -> Unique:
    chosen = some_names(given, where="unique", example='.unique("id", ...): what is equal in repetitions')
    if within is None:
        raise PlanError(
            "needs within=: to know every repetition for ever, every key would have to be kept for ever",
            where="unique",
            hint=f'.unique({given!r}, within="10m"), if repetitions come at most ten minutes apart',
        )
    return Unique((node,), chosen, parse_duration(within, where="unique(within=)"))


def forward_fill(node: Node, columns: Names, by: Names, max_age: Duration | None) -> ForwardFill:
    chosen = some_names(columns, where="forward_fill", example='.forward_fill("price", by="symbol")')
    age_us = None if max_age is None else parse_duration(max_age, where="forward_fill(max_age=)")
    return ForwardFill((node,), chosen, keys(by, where="forward_fill(by=)"), age_us)


def interpolate(node: Node, columns: Names, by: Names, within: Duration) -> Interpolate:
    example = '.interpolate("temp", by="sensor", within="1m")'
    chosen = some_names(columns, where="interpolate", example=example)
    within_us = parse_duration(within, where="interpolate(within=)")
    return Interpolate((node,), chosen, keys(by, where="interpolate(by=)"), within_us)


def resample(
    node: Node, every: Duration, by: Names, fill: Fill, columns: Names | None, max_gap: Duration
) -> Resample:
    choice(fill, get_args(Fill), where="resample(fill=)")
    every_us = parse_duration(every, where="resample(every=)")
    if every_us == 0:
        raise PlanError("the instants of a grid need some time between them", where="resample", hint='"1s"')
    max_gap_us = parse_duration(max_gap, where="resample(max_gap=)")
    if max_gap_us < every_us:
        raise PlanError(
            f"a gap of at most {max_gap} is less than the distance of the instants, {every}",
            where="resample(max_gap=)",
            hint="a few times as long as the distance",
        )
    if max_gap_us // every_us > _INSTANTS_MOST:
        raise PlanError(
            f"a gap of {max_gap} would be filled with {max_gap_us // every_us:,} rows, one every {every}",
            where="resample(max_gap=)",
            hint="a shorter gap, or a coarser grid",
        )
    chosen = None
    if columns is not None:
        chosen = some_names(columns, where="resample(columns=)", example="leave it out to mean all of them")
    return Resample((node,), every_us, keys(by, where="resample(by=)"), fill, chosen, max_gap_us)


def repair_types(
    node: Node,
    types: Mapping[str, Any],
    decimal: Decimal,
    formats: Names,
    true: Names,
    false: Names,
    count: str | None,
) -> RepairTypes:
    choice(decimal, get_args(Decimal), where="repair_types(decimal=)")
    made = dtypes(types, where="repair_types")
    if not made:
        raise PlanError("no column is named", where="repair_types", hint='{"price": pl.Float64}')
    for name, dtype in made.items():
        if not repairable(dtype):
            raise PlanError(
                f"{name!r} cannot be made {dtype}",
                where="repair_types",
                hint="numbers, pl.Boolean, pl.Date, pl.Datetime or pl.String",
            )
    yes, no = (
        tuple(word.lower() for word in words(given, where=f"repair_types({side}=)"))
        for given, side in ((true, "true"), (false, "false"))
    )
    for word in {*TRUE, *yes} & {*FALSE, *no}:
        raise PlanError(f"{word!r} would mean true and false", where="repair_types")
    forms = words(formats, where="repair_types(formats=)")
    for form in forms:
        if not readable(form):
            raise PlanError(
                f"no date or time can be read by {form!r}",
                where="repair_types(formats=)",
                hint='"%d.%m.%Y", "%Y-%m-%d %H:%M:%S"; a year, a month and a day must be in it',
            )
    if count is not None and (not isinstance(count, str) or not count):
        raise PlanError(
            f"needs a name for a new column, got {one_line(count)}",
            where="repair_types(count=)",
            hint='count="lost"',
        )
    return RepairTypes((node,), made, decimal, forms, yes, no, count or "")


def clip(node: Node, columns: Names, lower: Any, upper: Any) -> Clip:
    example = '.clip("price", lower=0), .clip("load", 0, 1)'
    chosen = some_names(columns, where="clip", example=example)
    if lower is None and upper is None:
        raise PlanError("needs a bound", where="clip", hint=example)
    try:
        crossed = lower is not None and upper is not None and bool(lower > upper)
    except TypeError:
        crossed = False  # of different kinds: one of them is none of the column, which is said there
    if crossed:
        raise PlanError(f"the lower bound {lower} is above the upper one, {upper}", where="clip")
    return Clip((node,), chosen, lower, upper)


def normalise(node: Node, columns: Names, by: Names, method: Normal) -> Scale:
    choice(method, get_args(Normal), where="normalise(method=)")
    chosen = some_names(columns, where="normalise", example='.normalise("price", by="symbol")')
    return Scale(
        (node,), chosen, keys(by, where="normalise(by=)"), Zscore() if method == "zscore" else MinMax()
    )


def clip_outliers(
    node: Node, columns: Names, by: Names, method: Outliers, k: float | None, min_rows: int, last: int
) -> Scale:
    choice(method, get_args(Outliers), where="clip_outliers(method=)")
    reach = k if k is not None else 1.5 if method == "iqr" else 3.0
    if not (number(reach) and math.isfinite(reach) and reach > 0):
        raise PlanError(f"k must be a number above 0, got {k!r}", where="clip_outliers(k=)", hint="k=3")
    if not (whole(last) and 2 <= last <= _LAST_MOST):
        raise PlanError(
            f"last must be a number of rows from 2 to {_LAST_MOST:,}, got {last!r}",
            where="clip_outliers(last=)",
            hint="last=100",
        )
    if not (whole(min_rows) and 2 <= min_rows <= last):
        raise PlanError(
            f"min_rows must be from 2 to last={last!r}, got {min_rows!r}",
            where="clip_outliers(min_rows=)",
            hint=f"min_rows={min(10, last)}",
        )
    chosen = some_names(columns, where="clip_outliers", example='.clip_outliers("price", by="symbol")')
    made: Scaling | Fence = Clipped(reach, min_rows)
    if method != "sigma":
        made = Fenced(reach, min_rows, last) if method == "iqr" else Deviating(reach, min_rows, last)
    return Scale((node,), chosen, keys(by, where="clip_outliers(by=)"), made)


def latest(node: Node, by: Names) -> Latest:
    chosen = some_names(by, where="latest", example='.latest(by="symbol")')
    return Latest((node,), chosen)


def stateful(node: Node, fn: UserFunction, init: Any, by: Names, schema: Mapping[str, Any] | None) -> UserStep:
    if not callable(fn):
        raise PlanError(f"needs a function, got {fn!r}", where="stateful", hint=".stateful(fn, init, by=...)")
    columns = None if schema is None else declared(schema, where="stateful(schema=)")
    made = UserStep((node,), fn, copy.deepcopy(init), keys(by, where="stateful(by=)"), columns)
    check_plain(init, made.name, "init")
    return made


def profiled(
    columns: Names, by: Names, every: Duration, error: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    chosen = some_names(columns, where="profile", example='.profile(["price", "size"], every="1m")')
    groups = keys(by, where="profile(by=)")
    parse_duration(every, where="profile(every=)")
    if not (number(error) and 0.005 <= error <= 0.3):
        raise PlanError(
            f"error must be from 0.005 to 0.3, got {one_line(error)}",
            where="profile(error=)",
            hint="error=0.01 is 1 %",
        )
    if "column" in groups:
        raise PlanError(
            "'column' is the name of the column that says which one is told of",
            where="profile(by=)",
            hint='.rename({"column": ...}) first',
        )
    return chosen, groups
