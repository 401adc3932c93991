"""What columns every node of a plan has, and the checks that need to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.checking import check_visible, columns_behind
from riverrun.plan.frames import call_on_frame
from riverrun.plan.nodes import Expressed, Late, MapFrames, Node, Read, Rename, walk
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import ARRIVED_AT, Typed
from riverrun.schema import INSTANT, Schema


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
    check_visible(columns, where)
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
    columns = columns_behind(node, before)
    check_visible(columns, node.label.split(" ")[0])
    time = before.time
    if isinstance(node, Rename) and time is not None:
        time = node.mapping.get(time, time)
    return Typed(
        columns, _still_there(time, columns), before.time_shift_us, _kept(before.keys, columns), before.revised
    )


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
    check_visible(columns, "map_frames")
    return Typed(columns, _still_there(before.time, columns), before.time_shift_us, _kept(before.keys, columns))


def _still_there(time: str | None, columns: Mapping[str, pl.DataType]) -> str | None:
    return time if time in columns else None


def _kept(keys: tuple[str, ...], columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    return tuple(key for key in keys if key in columns)
