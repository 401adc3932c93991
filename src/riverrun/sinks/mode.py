"""How results meet what is already there: appended, or put in the place of the earlier revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import polars as pl

from riverrun.errors import ConfigError, did_you_mean

Mode = Literal["append", "upsert"]

#: The sinks that can replace an earlier revision of a result.
UPSERT_SINKS = ("duckdb", "memory", "sqlite")


def check_mode(mode: str, *, where: str, upsert: bool) -> None:
    """Raise `ConfigError` when `mode` is no mode, or one that this sink cannot do.

    Parameters
    ----------
    upsert : whether the sink can replace results.
    """
    if mode not in get_args(Mode):
        known = get_args(Mode)
        raise ConfigError(f"there is no mode {mode!r}", where=where, hint=did_you_mean(mode, known))
    if mode == "upsert" and not upsert:
        raise ConfigError(
            "this sink can only append, it cannot replace what it has written",
            where=where,
            hint=f'mode="append", or a sink that can upsert: {", ".join(UPSERT_SINKS)}',
        )


def check_keys(keys: Sequence[str], schema: Mapping[str, pl.DataType], *, where: str) -> tuple[str, ...]:
    """The key columns of an upsert. Raises `ConfigError` when there are none or one is not in the results."""
    if not keys:
        raise ConfigError(
            'mode="upsert" needs columns that tell one result from another, and these results have none',
            where=where,
            hint='mode="append", or write the result of a group_by(...).window(...)',
        )
    for key in keys:
        if key not in schema:
            raise ConfigError(
                f"the key column {key!r} is not among the results", where=where, hint=did_you_mean(key, schema)
            )
    return tuple(keys)
