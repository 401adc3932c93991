"""What the state of a step depends on, as text: equal for equal steps of plans that were built apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import polars as pl

from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed


def signature_of(node: Stateful, before: Sequence[Typed]) -> str:
    """The kind and settings of a node, and the columns and event time of its inputs."""
    settings = [f"{name}={_text(getattr(node, name))}" for name in _own_fields(node)]
    inputs = [_text(rows) for rows in before]
    return "\n".join([type(node).__name__, *settings, *inputs])


def _own_fields(value: object) -> list[str]:
    assert is_dataclass(value)
    return [field.name for field in fields(value) if field.name != "parents"]


def _text(value: object) -> str:
    if isinstance(value, pl.Expr):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        inside = ", ".join(f"{name}={_text(getattr(value, name))}" for name in _own_fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"
    return repr(value)
