"""What the parts of a TOML pipeline are read with: kinds of values, known keys, and where an error is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

from riverrun.errors import ConfigError, RiverrunError, did_you_mean


def only(told: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `ConfigError` for a key that is not among those known."""
    for name in told:
        if name not in known:
            raise ConfigError(f"there is no key {name!r}", where=where, hint=did_you_mean(name, known))


def table(told: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """The table of a name; empty when there is none."""
    return mapping(told.get(name, {}), f"{where} [{name}]")


def mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"expected a table, got {value!r}", where=where)
    return value


def tables(told: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """The tables of an array; none when there is none."""
    value = told.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"expected [[{name}]] tables", where=where)
    return value


def texts(value: object, where: str) -> list[str]:
    """A text, or a list of them."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ConfigError(f"expected a text or a list of texts, got {value!r}", where=where, hint='["price"]')
    return found


def called(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> Any:
    """What a function makes of keys that are its arguments. Raises `ConfigError` for keys that do not fit."""
    parameters = signature(function).parameters.values()
    only(given, [parameter.name for parameter in parameters], where)
    missing = [p.name for p in parameters if p.default is Parameter.empty and p.name not in given]
    if missing:
        raise ConfigError(f"{', '.join(map(repr, missing))} is missing", where=where)
    return function(**given)


@contextmanager
def at(where: str) -> Iterator[None]:
    """Errors of what is built inside say which table they are of."""
    try:
        yield
    except RiverrunError as error:
        file = where.split(" ", 1)[0]
        if not (error.where or "").startswith(file):
            error.where = f"{where}: {error.where}" if error.where else where
        raise
