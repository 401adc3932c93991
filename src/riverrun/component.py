"""Settings declared once: the reference pages, the checks and the help texts all come from here.

A source, format or sink is a frozen dataclass whose fields are made with `setting`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riverrun.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a component, as the reference shows it."""

    name: str
    type: str
    default: Any
    help: str
    example: str


def setting(default: Any = dataclasses.MISSING, *, help: str, example: str = "") -> Any:
    """A dataclass field that documents itself."""
    metadata = {"help": help, "example": example}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(component: type) -> tuple[Setting, ...]:
    """The declared settings of a component's class, in the order of its arguments."""
    return tuple(
        Setting(
            field.name,
            field.type if isinstance(field.type, str) else str(field.type),
            None if field.default is dataclasses.MISSING else field.default,
            field.metadata.get("help", ""),
            field.metadata.get("example", ""),
        )
        for field in sorted(dataclasses.fields(component), key=lambda field: bool(field.kw_only))
        if field.init
    )


def build(component: type, options: Mapping[str, Any], *, where: str) -> Any:
    """An instance from named options; an unknown or missing one is a `ConfigError` that names it."""
    known = {item.name for item in dataclasses.fields(component) if item.init}
    for name in options:
        if name not in known:
            raise ConfigError(
                f"there is no option {name!r}", where=where, hint=did_you_mean(name, sorted(known))
            )
    try:
        return component(**options)
    except TypeError as error:
        raise ConfigError(str(error).split("__init__() ")[-1], where=where) from None
