"""From what users write to the nodes of cleaning steps: durations and names are read and checked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from riverrun.clock import Duration, parse_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.cleaning import Fill, ForwardFill, Resample, Unique
from riverrun.plan.nodes import Node

Names = str | Sequence[str]


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


def choice(given: object, allowed: Sequence[str], *, where: str) -> None:
    """Raise `PlanError` for a word that is not among those allowed."""
    if given not in allowed:
        raise PlanError(f"there is no {given!r}", where=where, hint=did_you_mean(str(given), allowed))
