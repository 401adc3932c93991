"""From what a user writes to a source: ``"tcp://localhost:9999"``, a path, a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, cast
from urllib.parse import parse_qsl

from riverrun.component import build, settings_of
from riverrun.errors import ConfigError, did_you_mean
from riverrun.ports import Source
from riverrun.registry import SOURCES, find
from riverrun.sources.frame import Frame

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")
_QUERY = re.compile(r"\w+=[^&]*(&\w+=[^&]*)*")
_PORT_ONLY = re.compile(r"\d{1,5}(/.*)?")

#: Words that a query may use for a switch.
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def source_of(given: object, **options: Any) -> Source:
    """The source that `given` means: a URL or path, a source, a table, or an iterable of tables.

    Raises `ConfigError` when it means none, or for options that it does not have.

    >>> source_of("tcp://localhost:9999", reconnect=False).bounded
    True
    """
    if isinstance(given, (str, PurePath)):
        return source_from_url(str(given), **options)
    if _is_source(given):
        if options:
            raise ConfigError(
                f"options beside a source object: {', '.join(options)}",
                where=type(given).__name__,
                hint=f"give them to the object: {type(given).__name__}(..., {next(iter(options))}=...)",
            )
        return cast(Source, given)
    return cast(Source, build(Frame, {"data": given, **options}, where="frame"))


def source_from_url(url: str, **options: Any) -> Source:
    """The source that a URL names; options may be in its query, too, named ones win.

    A text without a scheme is the path of a file. Raises `ConfigError` that names the part that is wrong.

    >>> source_from_url("generate:trades?rows=1000&rate=50")
    Generate(name='trades', rows=1000, rate=50.0, seed=0, start=None)
    >>> source_from_url("data/*.csv", follow=True).url
    'file:data/*.csv'
    """
    match = _SCHEME.fullmatch(url)
    if match is None:
        return _build("file", {"pattern": url}, "", options, url)
    scheme, rest = match.group(1).lower(), match.group(2)
    if scheme not in SOURCES or scheme == "frame":
        raise _unknown(url, scheme, rest)
    rest, query = _without_query(scheme, rest)
    return _build(scheme, _PLACES[scheme](scheme, rest), query, options, _without_secrets(url))


def _build(scheme: str, place: Mapping[str, Any], query: str, options: Mapping[str, Any], where: str) -> Source:
    component = find(SOURCES, scheme, kind="source")
    asked = {**_typed(component, query, where), **options}
    twice = [name for name in place if name in asked]
    if twice:
        raise ConfigError(f"{twice[0]!r} is given twice: in the URL and as an option", where=where)
    return cast(Source, build(component, {**place, **asked}, where=where))


# Where


def _network_place(scheme: str, rest: str) -> dict[str, Any]:
    if not rest.startswith("//"):
        raise ConfigError("'//' is missing", where=f"{scheme}:{rest}", hint=f"{scheme}://{rest.lstrip('/')}")
    text = rest[2:].rstrip("/")
    where = f"{scheme}://{text.rpartition('@')[2]}"
    if "@" in text:
        raise ConfigError(
            "a user or password in the URL is not used by this source",
            where=where,
            hint=f"leave it out: {where}",
        )
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        hint = f"{scheme}://localhost:9999; an IPv6 address stands in brackets: {scheme}://[::1]:9999"
        raise ConfigError(f"expected host:port, got {text!r}", where=where, hint=hint)
    host = match["host"].strip("[]")
    if not host and scheme == "tcp":
        raise ConfigError("the host is missing", where=where, hint=f"tcp://localhost:{match['port'] or 9999}")
    place: dict[str, Any] = {"port": _port(match["port"], where)}
    return {"host": host, **place} if host else place


def _port(text: str | None, where: str) -> int:
    if not text:
        raise ConfigError("the port is missing", where=where, hint=f"{where.rstrip(':')}:9999")
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"a port is a number from 1 to 65535, got {text!r}", where=where)
    return int(text)


def _socket_place(scheme: str, rest: str) -> dict[str, Any]:  # noqa: ARG001
    return {"path": _path(rest)}


def _file_place(scheme: str, rest: str) -> dict[str, Any]:  # noqa: ARG001
    return {"pattern": _path(rest)}


def _no_place(scheme: str, rest: str) -> dict[str, Any]:
    if rest.strip("/-"):
        raise ConfigError(f"nothing follows {scheme}:, got {rest!r}", where=f"{scheme}:{rest}")
    return {}


def _name_place(scheme: str, rest: str) -> dict[str, Any]:
    name = rest.strip("/")
    if not name:
        raise ConfigError("the name is missing", where=f"{scheme}:", hint=f"{scheme}:trades")
    return {"name": name}


def _path(rest: str) -> str:
    """``///a/b`` and ``/a/b`` are from the root, ``a/b`` from the working folder."""
    return rest[2:] if rest.startswith("//") else rest


_PLACES: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "tcp": _network_place,
    "tcp+listen": _network_place,
    "unix": _socket_place,
    "unix+listen": _socket_place,
    "stdin": _no_place,
    "file": _file_place,
    "generate": _name_place,
}


# Options in the query


def _without_query(scheme: str, rest: str) -> tuple[str, str]:
    before, mark, query = rest.rpartition("?")
    if not mark:
        return rest, ""
    # In a path, "?" stands for any one character; only what looks like options is taken for them.
    if scheme == "file" and not _QUERY.fullmatch(query):
        return rest, ""
    return before, query


def _typed(component: type, query: str, where: str) -> dict[str, Any]:
    """The options of a query, in the types that the component declares."""
    types = {item.name: item.type for item in settings_of(component)}
    found: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in types:
            raise ConfigError(
                f"there is no option {name!r}", where=where, hint=did_you_mean(name, sorted(types))
            )
        if name in found:
            raise ConfigError(f"the option {name!r} is given twice", where=where)
        found[name] = _value(types[name], text, f"{where}, option {name!r}")
    return found


def _value(declared: str, text: str, where: str) -> Any:
    kind = declared.removesuffix(" | None")
    try:
        if kind == "bool":
            return _SWITCHES[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except (KeyError, ValueError):
        expected = {"bool": "true or false", "int": "a whole number", "float": "a number"}[kind]
        raise ConfigError(f"expected {expected}, got {text!r}", where=where) from None
    return text


# What went wrong


def _unknown(url: str, scheme: str, rest: str) -> ConfigError:
    if _PORT_ONLY.fullmatch(rest):
        return ConfigError(f"the scheme is missing in {url!r}", where="source", hint=f"tcp://{url}")
    known = sorted(name for name in SOURCES if name != "frame")
    return ConfigError(
        f"there is no source {scheme!r}", where=_without_secrets(url), hint=did_you_mean(scheme, known)
    )


def _without_secrets(url: str) -> str:
    """The URL as it may be shown: without user and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def _is_source(given: object) -> bool:
    return not isinstance(given, type) and all(
        hasattr(given, name) for name in ("open", "bounded", "url", "format_hint")
    )
