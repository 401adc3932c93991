"""From what a user writes to a format: ``"csv"``, ``"json"``, or a format object."""

from __future__ import annotations

from typing import Any, cast

from riverrun.component import build
from riverrun.ports import Format
from riverrun.registry import FORMATS, find


def format_of(name: str, **options: Any) -> Format:
    """The format with this name. Raises `ConfigError` for an unknown name or option.

    >>> format_of("csv").name
    'csv'
    """
    return cast(Format, build(find(FORMATS, name, kind="format"), options, where=f"format {name}"))
