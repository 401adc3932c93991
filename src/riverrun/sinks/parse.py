"""From what users write, ``"duckdb:stats.duckdb"`` or ``"out.csv"``, to a sink."""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import PurePath
from typing import Any, cast

from riverrun.component import build
from riverrun.errors import ConfigError, did_you_mean
from riverrun.ports import Sink
from riverrun.registry import SINKS, find

#: What the end of a plain path says about the sink.
EXTENSIONS: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}

#: Sinks that write to no path.
_WITHOUT_PATH = ("stdout", "memory")

# Two letters at least: "C:\out.csv" is a path.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


def sink_of(target: str | PathLike[str] | Sink, **options: Any) -> Sink:
    """The sink that `target` names.

    Parameters
    ----------
    target : ``"csv:PATH"``, ``"jsonl:PATH"``, ``"parquet:FOLDER"``, ``"duckdb:PATH"``, ``"sqlite:PATH"``,
        ``"stdout:"``, ``"memory:"``, a plain path with a telling extension, or a sink, which is given back
        as it is.
    options : the settings of that sink, as ``table="per_symbol"``.

    Raises `ConfigError` for an unknown sink, extension or option, and `MissingExtraError` when its package
    is not installed.

    >>> sink_of("out/stats.csv", separator=";")
    CsvSink(path='out/stats.csv', mode='append', separator=';', header=True, escape_formulas=True)
    """
    if isinstance(target, (str, PathLike)):
        return _from_text(os.fspath(target), options)
    if not _is_sink(target):
        raise ConfigError(
            f"not a target to write to: {target!r}",
            hint='a URL such as "csv:out.csv" or "duckdb:stats.duckdb", a path, or a sink object',
        )
    if options:
        name = next(iter(options))
        raise ConfigError(
            f"the option {name!r} was given beside a sink object",
            where=target.url,
            hint=f"{type(target).__name__}({name}=...)",
        )
    return target


def _from_text(text: str, options: dict[str, Any]) -> Sink:
    match = _SCHEME.fullmatch(text)
    if match is None:
        return _from_path(text, options)
    name, rest = match[1].lower(), match[2]
    component = find(SINKS, name, kind="sink")
    where = f"{name}:"
    if name not in _WITHOUT_PATH:
        return cast(Sink, build(component, _with_path(options, rest, where), where=text))
    if rest.strip("/"):
        raise ConfigError(f"nothing was expected after {where!r}, got {rest!r}", where=where)
    return cast(Sink, build(component, options, where=where))


def _from_path(path: str, options: dict[str, Any]) -> Sink:
    extension = PurePath(path).suffix.lower()
    name = EXTENSIONS.get(extension)
    if name is None:
        raise ConfigError(
            f"cannot tell from {path!r} how to write it", where="sink", hint=_path_hint(path, extension)
        )
    given = {"separator": "\t", **options} if extension == ".tsv" else options
    component = find(SINKS, name, kind="sink")
    return cast(Sink, build(component, _with_path(given, path, path), where=path))


def _path_hint(path: str, extension: str) -> str:
    if path in SINKS:
        return f'"{path}:" with a colon'
    if path.endswith("/"):
        return f'"parquet:{path}" for a folder of Parquet files'
    if extension:
        return did_you_mean(extension, EXTENSIONS) + f' Or say it: "csv:{path}"'
    return f'an extension ({", ".join(EXTENSIONS)}), or say it: "csv:{path}"'


def _with_path(options: dict[str, Any], path: str, where: str) -> dict[str, Any]:
    if "path" in options:
        raise ConfigError("the path was given twice, in the target and as an option", where=where)
    return {"path": path, **options}


def _is_sink(target: object) -> bool:
    return callable(getattr(target, "open", None)) and isinstance(getattr(target, "url", None), str)
