"""Pipelines declared in TOML, without Python: a small, closed language.

name = "market"

[source]                              # one; or several: [sources.trades], [sources.quotes]
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
[[steps]]                             # a step with several settings: those of the method of that name
clip_outliers = { columns = "price", by = "symbol", method = "mad" }

[window]
by = ["symbol"]
tumbling = "10s"                      # or hopping = ["1m", "10s"], cumulating = ["1h", "5m"], session = "30m"
lateness = "1m"                       # (with maximum = "2h"), counting = 100 (with every = 10), rolling = "5m",
quality = true                        # running = true; also emit = "1s", offset = "5s"

[aggregates]
n = "count()"
mean = "mean(price)"
p99 = "quantile(price, 0.99)"

[[outputs]]                           # none: the dashboard only
to = "duckdb:stats.duckdb"
table = "per_symbol"                  # options of the sink: `riverrun sinks duckdb`

[state]                               # optional: what the run must not lose
path = "state/"
every = "1s"

Several sources and results have names. A stream comes from a source or from a stream above it, and has steps, a
window and aggregates of its own; outputs say which stream they write, and whether its late rows:

[sources.trades]
url = "trades.csv"
[sources.quotes]
url = "quotes.csv"

[streams.priced]
from = "trades"
steps = [{ join_asof = { with = "quotes", by = "symbol", tolerance = "1m" } }]

[streams.spread]
from = "priced"
window = { by = "symbol", tumbling = "10s" }
aggregates = { cost = "mean(bid)" }

[[outputs]]
from = "spread"
to = "spread.csv"
[[outputs]]
from = "priced"
late = true
to = "late.csv"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from riverrun.cli.overrides import declared_types
from riverrun.cli.toml_reading import at, called, mapping, only, table, tables
from riverrun.cli.toml_steps import other_of, step_of
from riverrun.cli.toml_windows import windowed
from riverrun.errors import ConfigError
from riverrun.plan.nodes import Output
from riverrun.plan.pipeline import Pipeline
from riverrun.plan.read import read
from riverrun.plan.stream import Stream
from riverrun.schema import Schema
from riverrun.state.describe import State

_TOP = ("name", "source", "sources", "steps", "window", "aggregates", "streams", "outputs", "state")
_SOURCE = ("url", "format", "schema", "time", "delay", "idle", "on_bad", "name", "options")
_STREAM = ("from", "steps", "window", "aggregates")
_STATE = ("path", "every", "history_bytes", "drop")


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
    only(told, _TOP, name)
    streams = _sources(told, name)
    main = None
    if "source" in told:
        main = _built(streams["source"], told, streams, name)
        streams["source"] = main
    elif any(key in told for key in ("steps", "window", "aggregates")):
        raise ConfigError(
            "with several sources, steps and windows belong to a stream",
            where=name,
            hint='[streams.NAME] with from = "SOURCE"',
        )
    for stream, parts in table(told, "streams", name).items():
        where = f"{name} [streams.{stream}]"
        if stream in streams:
            raise ConfigError(f"there is a source {stream!r} already", where=where, hint="another name")
        only(mapping(parts, where), _STREAM, where)
        if "from" not in parts:
            raise ConfigError("where its rows come from is missing", where=where, hint='from = "SOURCE"')
        streams[stream] = _built(other_of(parts["from"], streams, f"{where} from"), parts, streams, where)
    outputs = [
        _output(main, streams, output, f"{name} [[outputs]] {number}")
        for number, output in enumerate(tables(told, "outputs", name), start=1)
    ]
    shown = main if main is not None else list(streams.values())[-1]
    return Pipeline(str(told.get("name", name)), outputs or [shown], state=_state(told, name))


def _sources(told: Mapping[str, Any], name: str) -> dict[str, Stream]:
    """The sources by name; one without a name is called ``source``."""
    named = table(told, "sources", name)
    if ("source" in told) == bool(named):
        raise ConfigError(
            "there is [source] and [sources]; one will do" if named else "the input is missing",
            where=name,
            hint='a table [source] with url = "tcp://localhost:9999", or several: [sources.NAME]',
        )
    if not named:
        return {"source": _source(told["source"], f"{name} [source]", {})}
    return {
        source: _source(parts, f"{name} [sources.{source}]", {"name": source})
        for source, parts in named.items()
    }


def _source(parts: object, where: str, given: dict[str, Any]) -> Stream:
    told = mapping(parts, where)
    only(told, _SOURCE, where)
    if "url" not in told:
        raise ConfigError("the input is missing", where=where, hint='url = "tcp://localhost:9999"')
    given |= {key: value for key, value in told.items() if key not in ("url", "schema", "options")}
    with at(where):
        if "schema" in told:
            columns = ",".join(f"{c}:{kind}" for c, kind in mapping(told["schema"], f"{where} schema").items())
            given["schema"] = Schema(tuple(declared_types(columns).values()))
        return read(told["url"], **given, **mapping(told.get("options", {}), f"{where} options"))


def _built(stream: Stream, told: Mapping[str, Any], others: Mapping[str, Stream], where: str) -> Stream:
    """A stream behind the steps and the window of a table."""
    for number, step in enumerate(tables(told, "steps", where), start=1):
        stream = step_of(stream, step, others, f"{where} [[steps]] {number}")
    if "window" in told or "aggregates" in told:
        stream = windowed(stream, table(told, "window", where), table(told, "aggregates", where), where)
    return stream


def _output(main: Stream | None, streams: Mapping[str, Stream], told: dict[str, Any], where: str) -> Output:
    if "to" not in told:
        raise ConfigError("where to write is missing", where=where, hint='to = "out.csv"')
    if "from" in told:
        stream = other_of(told["from"], streams, f"{where} from")
    elif main is not None:
        stream = main
    else:
        raise ConfigError("which stream is written is missing", where=where, hint='from = "NAME"')
    options = {key: value for key, value in told.items() if key not in ("to", "from", "late")}
    with at(where):
        if told.get("late", False):
            stream = stream.late()
        return stream.write(told["to"], **options)


def _state(told: Mapping[str, Any], name: str) -> State | None:
    if "state" not in told:
        return None
    where = f"{name} [state]"
    given = mapping(told["state"], where)
    only(given, _STATE, where)
    with at(where):
        made: State = called(State, given, where)
        return made
