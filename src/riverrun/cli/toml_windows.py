"""Windows and aggregates of a TOML pipeline."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from riverrun.cli.aggregate_names import aggregates
from riverrun.cli.toml_reading import at, only, texts
from riverrun.errors import ConfigError, PlanError, did_you_mean
from riverrun.plan.stream import Stream
from riverrun.stats.aggregate import Aggregate
from riverrun.windows.describe import Window, counting, cumulating, hopping, session, tumbling

#: Each window with how it is written.
WINDOWS: Mapping[str, str] = {
    "tumbling": 'tumbling = "10s"',
    "hopping": 'hopping = ["1m", "10s"]',
    "cumulating": 'cumulating = ["1h", "5m"]',
    "session": 'session = "30m"',
    "counting": "counting = 100",
    "rolling": 'rolling = "5m"',
    "running": "running = true",
}
#: Which windows an option goes with.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "offset": ("tumbling", "hopping", "cumulating"),
    "maximum": ("session",),
    "every": ("counting",),
}
_RESULTS = ("lateness", "emit", "quality")
_ONE: Mapping[str, Callable[..., Window]] = {"tumbling": tumbling, "session": session, "counting": counting}
_TWO: Mapping[str, Callable[..., Window]] = {"hopping": hopping, "cumulating": cumulating}


def windowed(stream: Stream, told: dict[str, Any], named: dict[str, Any], where: str) -> Stream:
    """The results of a window and its aggregates. Raises `ConfigError` or `PlanError` that names the table."""
    if not told or not named:
        missing = "[aggregates]" if told else "[window]"
        raise ConfigError(f"{missing} is missing: a window and its aggregates go together", where=where)
    at_window = f"{where} [window]"
    keys = texts(told.get("by", []), f"{at_window} by")
    given = {key: value for key, value in told.items() if key != "by"}
    made = {name: aggregate_of(text, f"{where} [aggregates] {name}") for name, text in named.items()}
    kind = kind_of(given, at_window)
    with at(at_window):
        grouped = stream.group_by(*keys)
        if kind in ("rolling", "running"):
            only(given, (kind,), at_window)
            if kind == "running" and given[kind] is not True:
                raise ConfigError(f"running is true or left out, got {given[kind]!r}", where=at_window)
            rows = grouped.running() if kind == "running" else grouped.rolling(given[kind])
        else:
            window, options = window_of(given, at_window)
            rows = grouped.window(window, **options)
    with at(f"{where} [aggregates]"):
        return rows.agg(**made)


def kind_of(told: Mapping[str, Any], where: str) -> str:
    """Which window a table names."""
    only(told, (*WINDOWS, *_OPTIONS, *_RESULTS, "by"), where)
    kinds = [kind for kind in WINDOWS if kind in told]
    if len(kinds) != 1:
        raise ConfigError(
            f"a window is one of {', '.join(WINDOWS)}; here are {len(kinds)}",
            where=where,
            hint='tumbling = "10s"',
        )
    return kinds[0]


def window_of(told: Mapping[str, Any], where: str) -> tuple[Window, dict[str, Any]]:
    """A window, and what is told of its results."""
    kind = kind_of(told, where)
    if kind in ("rolling", "running"):
        raise ConfigError(f"{kind} has no windows that rows of two streams could share", where=where)
    for option, kinds in _OPTIONS.items():
        if option in told and kind not in kinds:
            raise ConfigError(f"{option!r} goes with {' and '.join(kinds)} only", where=where)
    value = told[kind]
    options = {option: told[option] for option in _OPTIONS if option in told}
    results = {key: told[key] for key in _RESULTS if key in told}
    if not isinstance(results.get("quality", False), bool):
        raise ConfigError(f"quality is true or false, got {results['quality']!r}", where=where)
    with at(where):
        if kind in _TWO:
            if not isinstance(value, list) or len(value) != 2:
                raise ConfigError(
                    f"{kind} takes a length and a distance, got {value!r}", where=where, hint=WINDOWS[kind]
                )
            return _TWO[kind](*value, **options), results
        made = _ONE[kind]
        try:
            return made(value, **options), results
        except TypeError:
            raise ConfigError(f"{kind} cannot take {value!r}", where=where, hint=WINDOWS[kind]) from None


def aggregate_of(text: object, where: str) -> Aggregate:
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
