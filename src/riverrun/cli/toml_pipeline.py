"""Pipelines declared in TOML, without Python: a small, closed language.

name = "market"

[source]
url = "tcp://localhost:9999"
format = "csv"                        # optional, as all below
time = "ts"
delay = "2s"
idle = "5s"
schema = { ts = "timestamp[ms]", symbol = "text", price = "float", size = "float" }
options = { reconnect = false }       # of the source: `riverrun sources tcp`

[[steps]]                             # each does one thing, in this order
drop_nulls = ["price"]
[[steps]]
filter = "price > 0 and symbol in ['A', 'B']"
[[steps]]
with_columns = { notional = "price * size" }

[window]
by = ["symbol"]
tumbling = "10s"                      # or hopping = ["1m", "10s"], or session = "30m"
lateness = "1m"

[aggregates]
n = "count()"
mean = "mean(price)"
p99 = "quantile(price, 0.99)"

[[outputs]]                           # none: the dashboard only
to = "duckdb:stats.duckdb"
table = "per_symbol"                  # options of the sink: `riverrun sinks duckdb`
"""

from __future__ import annotations

import ast
import inspect
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from riverrun.cli.aggregate_names import aggregates
from riverrun.cli.expressions import expression
from riverrun.cli.overrides import declared_types
from riverrun.errors import ConfigError, PlanError, did_you_mean
from riverrun.plan.pipeline import Pipeline
from riverrun.plan.read import read
from riverrun.plan.stream import Stream
from riverrun.schema import Schema
from riverrun.stats.aggregate import Aggregate
from riverrun.windows.describe import Window, hopping, session, tumbling

_TOP = ("name", "source", "steps", "window", "aggregates", "outputs")
_SOURCE = ("url", "format", "schema", "time", "delay", "idle", "on_bad", "name", "options")
_WINDOW = ("by", "tumbling", "hopping", "session", "offset", "lateness", "emit")


def pipeline_from_toml(text: str, *, name: str) -> Pipeline:
    """The pipeline that a TOML text declares.

    Parameters
    ----------
    name : of the file, for messages and when the text gives the pipeline none.

    Raises `ConfigError` or `PlanError` that names the table and key.
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", where=name) from None
    _only(told, _TOP, name)
    source = told.get("source")
    if not isinstance(source, dict) or "url" not in source:
        raise ConfigError(
            "the input is missing", where=name, hint='a table [source] with url = "tcp://localhost:9999"'
        )
    stream = _source(source, f"{name} [source]")
    for number, step in enumerate(_tables(told, "steps", name), start=1):
        stream = _step(stream, step, f"{name} [[steps]] {number}")
    if "window" in told or "aggregates" in told:
        stream = _windowed(stream, _table(told, "window", name), _table(told, "aggregates", name), name)
    outputs = [
        _output(stream, output, f"{name} [[outputs]] {number}")
        for number, output in enumerate(_tables(told, "outputs", name), start=1)
    ]
    return Pipeline(str(told.get("name", name)), outputs or [stream])


def _source(told: dict[str, Any], where: str) -> Stream:
    _only(told, _SOURCE, where)
    given = {key: value for key, value in told.items() if key not in ("url", "schema", "options")}
    if "schema" in told:
        columns = ",".join(
            f"{column}:{kind}" for column, kind in _mapping(told["schema"], f"{where} schema").items()
        )
        given["schema"] = Schema(tuple(declared_types(columns).values()))
    return read(told["url"], **given, **_mapping(told.get("options", {}), f"{where} options"))


def _step(stream: Stream, told: dict[str, Any], where: str) -> Stream:
    if len(told) != 1:
        raise ConfigError(f"a step does one thing, this one has {', '.join(told) or 'nothing'}", where=where)
    kind, value = next(iter(told.items()))
    made = _STEPS.get(kind)
    if made is None:
        raise ConfigError(f"there is no step {kind!r}", where=where, hint=did_you_mean(kind, _STEPS))
    try:
        return made(stream, value, where)
    except (TypeError, AttributeError):
        raise ConfigError(f"{kind} cannot take {value!r}", where=where, hint=_EXAMPLES[kind]) from None


def _filter(stream: Stream, value: Any, where: str) -> Stream:
    formulas = [value] if isinstance(value, str) else list(value)
    return stream.filter(*(expression(formula, where=where) for formula in formulas))


def _with_columns(stream: Stream, value: Any, where: str) -> Stream:
    return stream.with_columns(**{name: expression(text, where=where) for name, text in value.items()})


def _cast(stream: Stream, value: Any, _where: str) -> Stream:
    types = declared_types(",".join(f"{name}:{kind}" for name, kind in value.items()))
    return stream.cast({name: column.dtype for name, column in types.items()})


def _fill_null(stream: Stream, value: Any, _where: str) -> Stream:
    return stream.with_columns(
        **{name: expression(name, where=_where).fill_null(with_) for name, with_ in value.items()}
    )


_STEPS: Mapping[str, Callable[[Stream, Any, str], Stream]] = {
    "drop_nulls": lambda stream, value, _: stream.drop_nulls(list(value)),
    "filter": _filter,
    "with_columns": _with_columns,
    "select": lambda stream, value, _: stream.select(*value),
    "drop": lambda stream, value, _: stream.drop(*value),
    "rename": lambda stream, value, _: stream.rename(dict(value.items())),
    "cast": _cast,
    "fill_null": _fill_null,
}
_EXAMPLES = {
    "drop_nulls": 'drop_nulls = ["price"]',
    "filter": 'filter = "price > 0"',
    "with_columns": 'with_columns = { notional = "price * size" }',
    "select": 'select = ["ts", "price"]',
    "drop": 'drop = ["note"]',
    "rename": 'rename = { old = "new" }',
    "cast": 'cast = { size = "float" }',
    "fill_null": "fill_null = { size = 0 }",
}


def _windowed(stream: Stream, told: dict[str, Any], named: dict[str, Any], where: str) -> Stream:
    if not told or not named:
        missing = "[aggregates]" if told else "[window]"
        raise ConfigError(f"{missing} is missing: a window and its aggregates go together", where=where)
    at = f"{where} [window]"
    _only(told, _WINDOW, at)
    by = told.get("by", [])
    window = _window(told, at)
    made = {name: _aggregate(text, f"{where} [aggregates] {name}") for name, text in named.items()}
    keys = [by] if isinstance(by, str) else list(by)
    options = {key: told[key] for key in ("lateness", "emit") if key in told}
    return stream.group_by(*keys).window(window, **options).agg(**made)


def _window(told: dict[str, Any], where: str) -> Window:
    kinds = [kind for kind in ("tumbling", "hopping", "session") if kind in told]
    if len(kinds) != 1:
        raise ConfigError(
            f"a window is one of tumbling, hopping, session; here are {len(kinds)}",
            where=where,
            hint='tumbling = "10s"',
        )
    value, offset = told[kinds[0]], told.get("offset", "0s")
    if kinds[0] == "tumbling":
        return tumbling(value, offset)
    if kinds[0] == "session":
        return session(value)
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigError(
            f"hopping takes a length and a distance, got {value!r}", where=where, hint='hopping = ["1m", "10s"]'
        )
    return hopping(value[0], value[1], offset)


def _aggregate(text: object, where: str) -> Aggregate:
    """``"quantile(price, 0.99)"``: a name, columns, and numbers."""
    hint = 'as in "mean(price)" or "quantile(price, 0.99)"'
    try:
        tree = ast.parse(str(text).strip(), mode="eval").body
    except (SyntaxError, ValueError):
        tree = None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise PlanError(f"not an aggregate: {text!r}", where=where, hint=hint)
    known = aggregates()
    if tree.func.id not in known:
        raise PlanError(
            f"there is no aggregate {tree.func.id!r}", where=where, hint=did_you_mean(tree.func.id, known)
        )
    made = known[tree.func.id]
    values = [_argument(item, where, hint) for item in tree.args]
    named = {item.arg: _argument(item.value, where, hint) for item in tree.keywords if item.arg}
    try:
        inspect.signature(made).bind(*values, **named)
    except TypeError as error:
        raise PlanError(f"{tree.func.id}: {error}", where=where, hint=hint) from None
    return made(*values, **named)


def _argument(node: ast.expr, where: str, hint: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return node.value
    raise PlanError("an argument of an aggregate is a column, a number or a text", where=where, hint=hint)


def _output(stream: Stream, told: dict[str, Any], where: str) -> Any:
    if "to" not in told:
        raise ConfigError("where to write is missing", where=where, hint='to = "out.csv"')
    return stream.write(told["to"], **{key: value for key, value in told.items() if key != "to"})


def _only(told: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in told:
        if name not in known:
            raise ConfigError(f"there is no key {name!r}", where=where, hint=did_you_mean(name, known))


def _table(told: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    return _mapping(told.get(name, {}), f"{where} [{name}]")


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"expected a table, got {value!r}", where=where)
    return value


def _tables(told: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    value = told.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"expected [[{name}]] tables", where=where)
    return value
