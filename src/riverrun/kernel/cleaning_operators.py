"""Which operator runs a cleaning step: a part of the table in `riverrun.kernel.operators`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from riverrun.kernel.opening import Opening
from riverrun.kernel.operator import Operator
from riverrun.kernel.timed import Timeline
from riverrun.plan import cleaning, remembering, scaling
from riverrun.plan.stateful import Stateful


def _unique(node: cleaning.Unique, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.unique import Unique

    return Unique(node.keys, node.within_us, _timeline(opening))


def _forward_fill(node: cleaning.ForwardFill, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.forward_fill import ForwardFill

    return ForwardFill(
        node.columns,
        node.by,
        _timeline(opening) if node.max_age_us is not None else None,
        max_age_us=node.max_age_us,
        max_keys=opening.max_keys,
        delay_us=opening.delay_us,
    )


def _resample(node: cleaning.Resample, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.resample import Resample

    return Resample(
        node.every_us,
        node.by,
        node.values(opening.before[0]),
        opening.after.columns,
        _timeline(opening),
        fill=node.fill,
        max_gap_us=node.max_gap_us,
        ordered=not opening.one_partition,
    )


def _interpolate(node: cleaning.Interpolate, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.interpolate import Interpolate

    return Interpolate(
        node.columns,
        node.by,
        opening.after.columns,
        _timeline(opening),
        within_us=node.within_us,
        ordered=not opening.one_partition,
    )


def _scale(node: scaling.Scale, opening: Opening) -> Operator[Any]:
    if isinstance(node.scaling, scaling.Fence):
        from riverrun.kernel.fences import Fences

        return Fences(node.columns, node.by, node.scaling, max_keys=opening.max_keys)
    from riverrun.kernel.running_scale import RunningScale

    return RunningScale(node.columns, node.by, node.scaling, max_keys=opening.max_keys)


def _latest(node: remembering.Latest, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.latest import Latest

    return Latest(node.by, _timeline(opening), ordered=not opening.one_partition, max_keys=opening.max_keys)


def _user_step(node: remembering.UserStep, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.user_step import UserOperator

    return UserOperator(node, opening.after, max_keys=opening.max_keys)


def _timeline(opening: Opening) -> Timeline:
    (before,) = opening.before
    assert before.time is not None
    return Timeline(before.time, before.time_shift_us)


CLEANING: Mapping[type[Stateful], Callable[[Any, Opening], Operator[Any]]] = {
    cleaning.Unique: _unique,
    cleaning.ForwardFill: _forward_fill,
    cleaning.Resample: _resample,
    cleaning.Interpolate: _interpolate,
    scaling.Scale: _scale,
    remembering.Latest: _latest,
    remembering.UserStep: _user_step,
}
