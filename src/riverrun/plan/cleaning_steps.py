"""From what users write to the nodes of cleaning steps: durations and names are read and checked here."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import polars as pl

from riverrun.clock import Duration, parse_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.cleaning import Fill, ForwardFill, Interpolate, Resample, Unique
from riverrun.plan.nodes import Node
from riverrun.plan.remembering import Latest, UserFunction, UserStep, check_plain
from riverrun.plan.repair import Decimal, RepairTypes, repairable
from riverrun.plan.scaling import Clipped, Deviating, Fence, Fenced, MinMax, Scale, Scaling, Zscore

Names = str | Sequence[str]
Normal = Literal["zscore", "minmax"]
Outliers = Literal["sigma", "iqr", "mad"]


def unique(node: Node, keys: Names, within: Duration | None) -> Unique:
    chosen = names(keys, where="unique")
    if not chosen:
        raise PlanError(
            "no key is named",
            where="unique",
            hint='the columns that are equal in repetitions: .unique("id", ...)',
        )
    if within is None:
        raise PlanError(
            "needs within=: to know every repetition for ever, every key would have to be kept for ever",
            where="unique",
            hint=f'.unique({keys!r}, within="10m"), if repetitions come at most ten minutes apart',
        )
    return Unique((node,), chosen, parse_duration(within, where="unique(within=)"))


def forward_fill(node: Node, columns: Names, by: Names, max_age: Duration | None) -> ForwardFill:
    chosen = names(columns, where="forward_fill")
    if not chosen:
        raise PlanError("no column is named", where="forward_fill", hint='.forward_fill("price", by="symbol")')
    age_us = None if max_age is None else parse_duration(max_age, where="forward_fill(max_age=)")
    return ForwardFill((node,), chosen, names(by, where="forward_fill(by=)"), age_us)


def interpolate(node: Node, columns: Names, by: Names, within: Duration) -> Interpolate:
    chosen = names(columns, where="interpolate")
    if not chosen:
        raise PlanError(
            "no column is named", where="interpolate", hint='.interpolate("temp", by="sensor", within="1m")'
        )
    within_us = parse_duration(within, where="interpolate(within=)")
    return Interpolate((node,), chosen, names(by, where="interpolate(by=)"), within_us)


def resample(
    node: Node, every: Duration, by: Names, fill: Fill, columns: Names | None, max_gap: Duration
) -> Resample:
    choice(fill, get_args(Fill), where="resample(fill=)")
    every_us = parse_duration(every, where="resample")
    if every_us == 0:
        raise PlanError("the instants of a grid need some time between them", where="resample", hint='"1s"')
    max_gap_us = parse_duration(max_gap, where="resample(max_gap=)")
    if max_gap_us < every_us:
        raise PlanError(
            f"a gap of at most {max_gap} is less than the distance of the instants, {every}",
            where="resample(max_gap=)",
            hint="a few times as long as the distance",
        )
    chosen = None if columns is None else names(columns, where="resample(columns=)")
    return Resample((node,), every_us, names(by, where="resample(by=)"), fill, chosen, max_gap_us)


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
    if not types:
        raise PlanError("no column is named", where="repair_types", hint='{"price": pl.Float64}')
    dtypes = {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in types.items()}
    for name, dtype in dtypes.items():
        if not (isinstance(dtype, pl.DataType) and repairable(dtype)):
            raise PlanError(
                f"{name!r} cannot be made {dtype!r}",
                where="repair_types",
                hint="numbers, pl.Boolean, pl.Date, pl.Datetime or pl.String",
            )
    yes, no = (tuple(word.lower() for word in names(words, where="repair_types")) for words in (true, false))
    forms = names(formats, where="repair_types(formats=)")
    return RepairTypes((node,), dtypes, decimal, forms, yes, no, count or "")


def clip(lower: float | None, upper: float | None, columns: Names) -> list[pl.Expr]:
    chosen = names(columns, where="clip")
    if not chosen or (lower is None and upper is None):
        raise PlanError(
            "needs columns and a bound", where="clip", hint='.clip("price", lower=0), .clip("load", 0, 1)'
        )
    if lower is not None and upper is not None and not lower <= upper:
        raise PlanError(f"the lower bound {lower} is above the upper one, {upper}", where="clip")
    return [pl.col(name).clip(lower, upper) for name in chosen]


def normalise(node: Node, columns: Names, by: Names, method: Normal) -> Scale:
    choice(method, get_args(Normal), where="normalise(method=)")
    chosen = names(columns, where="normalise")
    return Scale(
        (node,), chosen, names(by, where="normalise(by=)"), Zscore() if method == "zscore" else MinMax()
    )


def clip_outliers(
    node: Node, columns: Names, by: Names, method: Outliers, k: float | None, min_rows: int, last: int
) -> Scale:
    choice(method, get_args(Outliers), where="clip_outliers(method=)")
    reach = k if k is not None else 1.5 if method == "iqr" else 3.0
    if not (isinstance(reach, (int, float)) and math.isfinite(reach) and reach > 0):
        raise PlanError(f"k must be a number above 0, got {k!r}", where="clip_outliers(k=)", hint="k=3")
    if not (isinstance(min_rows, int) and isinstance(last, int) and 2 <= min_rows <= last):
        raise PlanError(
            f"min_rows must be from 2 to last={last!r}, got {min_rows!r}", where="clip_outliers(min_rows=)"
        )
    made: Scaling | Fence = Clipped(reach, min_rows)
    if method != "sigma":
        made = Fenced(reach, min_rows, last) if method == "iqr" else Deviating(reach, min_rows, last)
    return Scale((node,), names(columns, where="clip_outliers"), names(by, where="clip_outliers(by=)"), made)


def latest(node: Node, by: Names) -> Latest:
    chosen = names(by, where="latest")
    if not chosen:
        raise PlanError("no key is named", where="latest", hint='.latest(by="symbol")')
    return Latest((node,), chosen)


def stateful(node: Node, fn: UserFunction, init: Any, by: Names, schema: Mapping[str, Any] | None) -> UserStep:
    if not callable(fn):
        raise PlanError(f"needs a function, got {fn!r}", where="stateful", hint=".stateful(fn, init, by=...)")
    columns = None if schema is None else declared(schema, where="stateful(schema=)")
    made = UserStep((node,), fn, copy.deepcopy(init), names(by, where="stateful(by=)"), columns)
    check_plain(init, made.name, "init")
    return made


def profiled(columns: Names, by: Names) -> tuple[tuple[str, ...], tuple[str, ...]]:
    chosen, keys = names(columns, where="profile"), names(by, where="profile(by=)")
    if not chosen:
        raise PlanError("no column is named", where="profile", hint='.profile(["price", "size"], every="1m")')
    if "column" in keys:
        raise PlanError(
            "'column' is the name of the column that says which one is told of",
            where="profile(by=)",
            hint='.rename({"column": ...}) first',
        )
    return chosen, keys


def names(given: Any, *, where: str) -> tuple[str, ...]:
    """Column names, given as one or as several. Raises `PlanError` for anything else."""
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else (given,)
    for name in found:
        if not isinstance(name, str):
            raise PlanError(
                f"a column is named by text, got {name!r}",
                where=where,
                hint="make a column of an expression first: .with_columns(name=...)",
            )
    return tuple(dict.fromkeys(found))


def pairs(given: Any, example: str, *, where: str) -> dict[str, Any]:
    """Column names with something for each. Raises `PlanError` for anything else."""
    if not isinstance(given, Mapping):
        raise PlanError(f"needs a dict by column name, got {given!r}", where=where, hint=example)
    return dict(given)


def declared(schema: Any, *, where: str) -> pl.Schema:
    """The columns that a function of the user returns. Raises `PlanError` for what is no type of Polars."""
    try:
        return pl.Schema(pairs(schema, '{"price": pl.Float64}', where=where))
    except TypeError as error:
        raise PlanError(str(error), where=where, hint='{"price": pl.Float64}') from None


def choice(given: object, allowed: Sequence[str], *, where: str) -> None:
    """Raise `PlanError` for a word that is not among those allowed."""
    if given not in allowed:
        raise PlanError(f"there is no {given!r}", where=where, hint=did_you_mean(str(given), allowed))
