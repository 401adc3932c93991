"""The layout of a state is part of what a step is known by: a changed one is not gone on from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

import riverrun as rr
from riverrun.kernel.flow import flow_of
from riverrun.kernel.layouts import LAYOUTS, layout_of
from riverrun.kernel.operator import Operator
from riverrun.plan.nodes import sources_of

SCHEMA = {"ts": rr.Timestamp("s"), "key": pl.String, "x": pl.Float64}
WINDOWS = {
    "fixed": rr.tumbling("10s"),
    "session": rr.session("5s"),
    "bounded": rr.session("5s", maximum="1m"),
    "counting": rr.counting(10),
}


def operator_of(stream: rr.Stream) -> Operator[Any]:
    output = stream.write("memory:")
    schemas = {read: read.schema for read in sources_of(output.node) if read.schema is not None}
    steps = flow_of([output], schemas, partitioned=lambda _: False).steps
    (step,) = (step for step in steps if step.operator is not None)
    assert step.signature.endswith(layout_of(step.operator))
    return step.operator


def windowed(kind: str, *, quality: bool = False) -> Operator[Any]:
    rows = rr.read({"ts": [1], "key": ["a"], "x": [1.0]}, schema=SCHEMA, time="ts").group_by("key")
    if kind == "rolling":
        return operator_of(rows.rolling("10s").agg(m=rr.mean("x")))
    return operator_of(rows.window(WINDOWS[kind], quality=quality).agg(m=rr.mean("x")))


def test_equal_operators_have_equal_layouts_and_others_have_others() -> None:
    kinds = [*WINDOWS, "rolling"]
    layouts = [layout_of(windowed(kind)) for kind in kinds]
    layouts += [layout_of(windowed(kind, quality=True)) for kind in WINDOWS]
    assert len(set(layouts)) == len(layouts)
    assert layouts[: len(kinds)] == [layout_of(windowed(kind)) for kind in kinds]
    assert " of a FixedState" in layouts[0]


@pytest.mark.parametrize(
    ("kind", "quality", "changed"),
    [
        ("fixed", False, "FixedState"),
        ("session", False, "SessionState"),
        ("bounded", False, "BoundedState"),
        ("counting", False, "CountingState"),
        ("rolling", False, "RollingState"),
        ("session", True, "QualityState"),
        ("session", True, "SessionState"),
        ("fixed", False, "MomentsPartial"),
    ],
)
def test_a_new_number_makes_another_layout(kind: str, quality: bool, changed: str) -> None:
    operator = windowed(kind, quality=quality)
    if changed == "MomentsPartial":
        changed = type(operator.program.wide[0]).__name__
    assert layout_of(operator, {**LAYOUTS, changed: 3}) != layout_of(operator)
    assert f"{changed} 3" in layout_of(operator, {**LAYOUTS, changed: 3})
    assert layout_of(operator, {**LAYOUTS, "OtherState": 2}) == layout_of(operator)


def test_a_window_with_quality_holds_the_state_of_its_own_windows_alone() -> None:
    operator = windowed("session", quality=True)
    assert layout_of(operator, {"CountingState": 2}) == layout_of(operator)


@dataclass(frozen=True)
class One:
    held: pl.DataFrame | None = None


def test_another_field_is_seen_by_itself() -> None:
    @dataclass(frozen=True)
    class Two:
        held: pl.DataFrame | None = None
        more: int = 0

    class Making:
        def __init__(self, state: object) -> None:
            self.state = state

        def empty(self) -> object:
            return self.state

    Two.__name__ = "One"
    assert layout_of(Making(One())) != layout_of(Making(Two()))


def test_every_number_is_of_a_class() -> None:
    assert all(version > 1 for version in LAYOUTS.values())
