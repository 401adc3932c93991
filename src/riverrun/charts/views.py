"""From a plan to what the dashboard shows: views are made without any code of the user's."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from riverrun.charts.view import Correlation, View
from riverrun.kernel.flow import Flow, Step
from riverrun.plan.lookup import Lookup
from riverrun.plan.nodes import (
    Cast,
    Drop,
    DropNulls,
    FillNull,
    Filter,
    Select,
    WithColumns,
    lineage,
)
from riverrun.plan.typed import Typed
from riverrun.plan.window_aggregate import WindowAggregate
from riverrun.stats import moments
from riverrun.windows.describe import Hopping

#: Columns of results that are no statistics.
BOOKKEEPING = ("window_start", "window_end", "revision", "final")


def views_of(flow: Flow) -> Mapping[int, View]:
    """A view for each output whose rows can be drawn, by the output's position; equal ones show once."""
    views: dict[int, View] = {}
    seen: set[int] = set()
    for number, (_, at) in enumerate(flow.outputs):
        step = flow.steps[at]
        if at in seen or step.typed.time is None:
            continue
        seen.add(at)
        view = _view(f"v{at}", step)
        if view.statistics or view.correlations:
            views[number] = view
    return views


def _view(view_id: str, step: Step) -> View:
    typed = step.typed
    assert typed.time is not None
    numbers = _numbers(typed)
    node = _window_of(step)
    if node is None:
        return View(view_id, step.label, typed.time, (), numbers, windowed=False)
    keys = tuple(key.name for key in node.keys)
    cells = tuple(cell for cell in _correlations(node) if cell.statistic in numbers)
    shown = tuple(name for name in numbers if name not in keys and name not in {c.statistic for c in cells})
    title = f"by {', '.join(keys)}, {node.window.words}" if keys else node.window.words
    every_us = node.window.every_us if isinstance(node.window, Hopping) else None
    return View(view_id, title, typed.time, keys, shown, cells, every_us=every_us)


def _window_of(step: Step) -> WindowAggregate | None:
    """The window whose results a step puts out, also after steps that change columns or leave rows out."""
    for node in lineage(step.node):
        if isinstance(node, WindowAggregate):
            keys = {*(key.name for key in node.keys), "window_start"}
            return node if keys <= set(step.typed.keys) and step.typed.time == "window_end" else None
        if not isinstance(node, (Filter, Select, WithColumns, Drop, DropNulls, FillNull, Cast, Lookup)):
            return None
    return None


def _correlations(node: WindowAggregate) -> tuple[Correlation, ...]:
    return tuple(
        Correlation(name, a.x.expr.meta.output_name(), a.y.expr.meta.output_name())
        for name, a in node.aggregates.items()
        if isinstance(a, moments.Correlation)
    )


def _numbers(typed: Typed) -> tuple[str, ...]:
    names: list[str] = []
    for name, dtype in typed.columns.items():
        if name in BOOKKEEPING or name == typed.time:
            continue
        if isinstance(dtype, pl.Struct):
            names += [f"{name}_{field.name}" for field in dtype.fields if field.dtype.is_numeric()]
        elif dtype.is_numeric():
            names.append(name)
    return tuple(names)


def published_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows as views name their columns: the fields of structs stand beside the rest."""
    structs = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]
    for name in structs:
        fields = frame[name].struct.unnest()
        fields.columns = [f"{name}_{field}" for field in fields.columns]
        frame = frame.with_columns(fields).drop(name)
    return frame
