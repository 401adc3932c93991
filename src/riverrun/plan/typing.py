"""What columns every node of a plan has, and the checks that need to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.frames import call_on_frame
from riverrun.plan.nodes import (
    Explode,
    Expressed,
    Filter,
    Late,
    MapFrames,
    Node,
    Read,
    Rename,
    Select,
    WithColumns,
    walk,
)
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import ARRIVED_AT, Typed
from riverrun.schema import INSTANT, Schema
from riverrun.words import shown


def typed(node: Node, schemas: Mapping[Read, Schema]) -> Typed:
    """The columns of a node, given the schemas of the sources. Raises `PlanError` where a step cannot work."""
    return typed_all((node,), schemas)[id(node)]


def typed_all(nodes: Sequence[Node], schemas: Mapping[Read, Schema]) -> dict[int, Typed]:
    """The columns of some nodes and of all before them, by the identity of the node."""
    made: dict[int, Typed] = {}
    for node in walk(*nodes):
        made[id(node)] = _read(node, schemas[node]) if isinstance(node, Read) else _behind(node, made)
    return made


def _behind(node: Expressed | MapFrames | Stateful | Late, made: Mapping[int, Typed]) -> Typed:
    if isinstance(node, Late):
        return node.missed.late(*(made[id(parent)] for parent in node.missed.parents))
    if isinstance(node, Stateful):
        return node.typed(*(made[id(parent)] for parent in node.parents))
    before = made[id(node.parent)]
    return _mapped(node, before) if isinstance(node, MapFrames) else _expressed(node, before)


def _read(node: Read, schema: Schema) -> Typed:
    columns = dict(schema.polars())
    where = node.label
    for name in columns:
        if name.startswith(HIDDEN_PREFIX):
            raise PlanError(f"column names cannot begin with {HIDDEN_PREFIX!r}: {name!r}", where=where)
    if node.time is None:
        return Typed({**columns, ARRIVED_AT: INSTANT}, ARRIVED_AT)
    if node.time not in columns:
        raise PlanError(
            f"there is no column {node.time!r} for the event time",
            where=where,
            hint=did_you_mean(node.time, columns),
        )
    dtype = columns[node.time]
    if not isinstance(dtype, (pl.Datetime, pl.Date)):
        kind = 'rr.Timestamp("ms")' if dtype.is_numeric() else 'pl.Datetime("ms")'
        raise PlanError(
            f"the event-time column {node.time!r} is {dtype}, which does not say when",
            where=where,
            hint=f'schema={{"{node.time}": {kind}, ...}}, or make it a datetime first',
        )
    return Typed(columns, node.time)


def _expressed(node: Expressed, before: Typed) -> Typed:
    where = node.label.split(" ")[0]
    _refuse_neighbours(node, where)
    try:
        if isinstance(node, Filter):
            _check_predicates(node, before)
        if isinstance(node, Explode):
            _check_lists(node, before)
        after = node.on(before.empty().lazy()).collect_schema()
    except pl.exceptions.ColumnNotFoundError as error:
        raise _unknown_column(node, before, error, where) from None
    except (pl.exceptions.PolarsError, TypeError) as error:
        text = str(error).split("\n")[0]
        raise PlanError(f"cannot work on these columns: {text}", where=where, hint=before.text()) from None
    columns = {name: dtype for name, dtype in after.items() if not name.startswith(HIDDEN_PREFIX)}
    time = before.time
    if isinstance(node, Rename) and time is not None:
        time = node.mapping.get(time, time)
    return Typed(
        columns, _still_there(time, columns), before.time_shift_us, _kept(before.keys, columns), before.revised
    )


def _check_predicates(node: Filter, before: Typed) -> None:
    for predicate in node.predicates:
        dtype = before.empty().lazy().select(predicate.alias("value")).collect_schema()["value"]
        if dtype != pl.Boolean:
            raise PlanError(
                f"a filter needs true or false, and {shown(predicate)} is {dtype}",
                where="filter",
                hint='pl.col("x") > 0',
            )


def _check_lists(node: Explode, before: Typed) -> None:
    """Polars lets what is no list through, whatever was meant."""
    for name in node.columns:
        dtype = before.columns.get(name)
        if dtype is not None and not isinstance(dtype, (pl.List, pl.Array)):
            raise PlanError(
                f"{name!r} is {dtype}, and only lists have items",
                where="explode",
                hint=f'.with_columns(pl.col("{name}").str.split(",")) first'
                if dtype == pl.String
                else before.text(),
            )


def _refuse_neighbours(node: Expressed, where: str) -> None:
    """Rows come in batches of any size, so an expression that looks at other rows would depend on the cut."""
    if not isinstance(node, (Filter, Select, WithColumns)):
        return
    exprs = node.predicates if isinstance(node, Filter) else node.exprs
    for expr in exprs:
        if _looks_at_other_rows(expr):
            raise PlanError(
                f"{shown(expr)} looks at other rows, and a stream has no fixed set of them",
                where=where,
                hint='aggregate over a window instead: .group_by(...).window(rr.tumbling("10s")).agg(...)',
            )


def _looks_at_other_rows(expr: pl.Expr) -> bool:
    """Whether a row's value depends on other rows, in any part of the expression.

    Polars tells it of the outermost operation only. It cannot tell for several columns at once and for
    functions of Python: these are taken to go row by row, and their inputs are looked at.
    """
    if expr.meta.is_literal() or expr.meta.is_column_selection():
        return False
    try:
        if not expr.meta.is_row_separable():
            return True
    except pl.exceptions.PolarsError:
        pass
    return any(_looks_at_other_rows(part) for part in expr.meta.pop())


def _unknown_column(
    node: Expressed, before: Typed, error: pl.exceptions.ColumnNotFoundError, where: str
) -> PlanError:
    named = str(error).split("\n")[0].strip()
    missing = [name for name in _mentioned(node) if name not in before.columns]
    name = missing[0] if missing else named.split('"')[1] if '"' in named else named
    return PlanError(f"there is no column {name!r}", where=where, hint=did_you_mean(name, before.columns))


def _mentioned(node: Expressed) -> Sequence[str]:
    if isinstance(node, Filter):
        return [name for expr in node.predicates for name in expr.meta.root_names()]
    if isinstance(node, (Select, WithColumns)):
        return [name for expr in node.exprs for name in expr.meta.root_names()]
    if isinstance(node, Rename):
        return list(node.mapping)
    return list(getattr(node, "columns", ()) or getattr(node, "dtypes", ()))


def _mapped(node: MapFrames, before: Typed) -> Typed:
    if node.schema is not None:
        columns = dict(node.schema)
    else:
        try:
            columns = dict(call_on_frame(node.function, node.kind, before.empty()).schema)
        except PlanError:
            raise
        except Exception as error:
            raise PlanError(
                f"{node.label} failed on an empty frame, which is how its columns are found out: "
                f"{type(error).__name__}: {error}",
                where="map_frames",
                hint="let it return an empty frame for an empty one, or say what comes out with schema={...}",
            ) from error
    return Typed(columns, _still_there(before.time, columns), before.time_shift_us, _kept(before.keys, columns))


def _still_there(time: str | None, columns: Mapping[str, pl.DataType]) -> str | None:
    return time if time in columns else None


def _kept(keys: tuple[str, ...], columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    return tuple(key for key in keys if key in columns)
