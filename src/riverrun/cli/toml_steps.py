"""The steps that a TOML pipeline may hold; each is the method of `Stream` of that name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from riverrun.cli.expressions import expression
from riverrun.cli.overrides import declared_types
from riverrun.cli.toml_reading import at, called, mapping, texts
from riverrun.cli.toml_windows import window_of
from riverrun.errors import ConfigError, did_you_mean
from riverrun.plan.stream import Stream

#: Other streams by name.
Named = Mapping[str, Stream]
Make = Callable[[Stream, Any, Named, str], Stream]


def step_of(stream: Stream, told: Mapping[str, Any], others: Named, where: str) -> Stream:
    """The stream behind a step. Raises `ConfigError` or `PlanError` that names the table."""
    if len(told) != 1:
        raise ConfigError(f"a step does one thing, this one has {', '.join(told) or 'nothing'}", where=where)
    kind, value = next(iter(told.items()))
    if kind in _PYTHON:
        raise ConfigError(
            f"{kind} takes a function of Python, which TOML has none of",
            where=where,
            hint="a pipeline.py, with the same steps",
        )
    if kind not in STEPS:
        raise ConfigError(f"there is no step {kind!r}", where=where, hint=did_you_mean(kind, STEPS))
    make, example = STEPS[kind]
    with at(where):
        try:
            return make(stream, value, others, f"{where} {kind}")
        except (TypeError, AttributeError, ValueError):
            raise ConfigError(f"{kind} cannot take {value!r}", where=where, hint=example) from None


def types_of(value: object, where: str) -> dict[str, Any]:
    """Columns and their types, as in ``{ size = "float" }``."""
    told = mapping(value, where)
    return {name: c.dtype for name, c in declared_types(",".join(f"{n}:{k}" for n, k in told.items())).items()}


def other_of(name: object, others: Named, where: str) -> Stream:
    """Another stream by its name."""
    if not isinstance(name, str) or name not in others:
        raise ConfigError(
            f"there is no stream {name!r} above", where=where, hint=did_you_mean(str(name), others)
        )
    return others[name]


def _filter(stream: Stream, value: Any, _: Named, where: str) -> Stream:
    return stream.filter(
        *(expression(formula, where=where.rpartition(" ")[0]) for formula in texts(value, where))
    )


def _with_columns(stream: Stream, value: Any, _: Named, where: str) -> Stream:
    at_step = where.rpartition(" ")[0]
    return stream.with_columns(**{name: expression(text, where=at_step) for name, text in value.items()})


def _fill_null(stream: Stream, value: Any, _: Named, _where: str) -> Stream:
    for column, filler in mapping(value, _where).items():
        stream = stream.fill_null(filler, column)
    return stream


def _repair_types(stream: Stream, value: Any, _: Named, where: str) -> Stream:
    given = mapping(value, where)
    types = {"types": types_of(given["types"], where)} if "types" in given else {}
    return _as_stream(called(stream.repair_types, {**given, **types}, where))


def _lookup(stream: Stream, value: Any, _: Named, where: str) -> Stream:
    given = mapping(value, where)
    schema = {"schema": types_of(given["schema"], where)} if "schema" in given else {}
    return _as_stream(called(stream.lookup, {**given, **schema}, where))


def _union(stream: Stream, value: Any, others: Named, where: str) -> Stream:
    return stream.union(*(other_of(name, others, where) for name in texts(value, where)))


def _join(method: str) -> Make:
    def made(stream: Stream, value: Any, others: Named, where: str) -> Stream:
        given = dict(mapping(value, where))
        if "with" not in given:
            raise ConfigError(
                "'with' is missing: the name of the other stream", where=where, hint='with = "quotes"'
            )
        given["other"] = other_of(given.pop("with"), others, where)
        if method == "join_window" and "window" in given:
            given["window"], _ = window_of(mapping(given["window"], where), where)
        return _as_stream(called(getattr(stream, method), given, where))

    return made


def _method(name: str, first: str = "") -> Make:
    """A method whose arguments are the keys of a table, or that takes the one thing that `first` names."""

    def made(stream: Stream, value: Any, _: Named, where: str) -> Stream:
        given = value if isinstance(value, dict) else {first: value} if first else mapping(value, where)
        return _as_stream(called(getattr(stream, name), given, where))

    return made


def _as_stream(made: object) -> Stream:
    assert isinstance(made, Stream)
    return made


_PYTHON = ("map_frames", "stateful")

#: Each step with how it is written.
STEPS: Mapping[str, tuple[Make, str]] = {
    "drop_nulls": (lambda s, value, _, where: s.drop_nulls(texts(value, where)), 'drop_nulls = ["price"]'),
    "filter": (_filter, 'filter = "price > 0"'),
    "with_columns": (_with_columns, 'with_columns = { notional = "price * size" }'),
    "select": (lambda s, value, _, where: s.select(*texts(value, where)), 'select = ["ts", "price"]'),
    "drop": (lambda s, value, _, where: s.drop(*texts(value, where)), 'drop = ["note"]'),
    "rename": (lambda s, value, _, where: s.rename(mapping(value, where)), 'rename = { old = "new" }'),
    "cast": (lambda s, value, _, where: s.cast(types_of(value, where)), 'cast = { size = "float" }'),
    "fill_null": (_fill_null, "fill_null = { size = 0 }"),
    "explode": (lambda s, value, _, where: s.explode(*texts(value, where)), 'explode = ["items"]'),
    "repair_types": (_repair_types, 'repair_types = { types = { price = "float" }, decimal = "," }'),
    "clip": (_method("clip"), 'clip = { columns = "price", lower = 0 }'),
    "clip_outliers": (
        _method("clip_outliers"),
        'clip_outliers = { columns = "x", by = "key", method = "mad" }',
    ),
    "normalise": (_method("normalise"), 'normalise = { columns = "x", by = "key" }'),
    "unique": (_method("unique"), 'unique = { keys = ["id"], within = "10m" }'),
    "forward_fill": (_method("forward_fill"), 'forward_fill = { columns = ["x"], by = "key" }'),
    "interpolate": (_method("interpolate"), 'interpolate = { columns = ["x"], by = "key", within = "1m" }'),
    "resample": (_method("resample"), 'resample = { every = "1s", by = "key", max_gap = "1m" }'),
    "latest": (_method("latest", "by"), 'latest = "symbol"'),
    "profile": (_method("profile"), 'profile = { columns = ["x"], every = "1m" }'),
    "union": (_union, 'union = ["north", "south"]'),
    "join_asof": (_join("join_asof"), 'join_asof = { with = "quotes", by = "symbol", tolerance = "1m" }'),
    "join_interval": (
        _join("join_interval"),
        'join_interval = { with = "paid", on = "order", lower = "0s", upper = "1h" }',
    ),
    "join_window": (
        _join("join_window"),
        'join_window = { with = "offers", on = "id", window = { tumbling = "10s" } }',
    ),
    "lookup": (_lookup, 'lookup = { table = "products.csv", on = "sku", ttl = "10m" }'),
}
