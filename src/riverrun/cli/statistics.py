"""Which statistics `riverrun watch` computes when nobody says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from riverrun.errors import SchemaError, did_you_mean
from riverrun.schema import Schema
from riverrun.stats.aggregate import Aggregate
from riverrun.stats.counting import count, rate
from riverrun.stats.extremes import max, min
from riverrun.stats.moments import corr, mean, std
from riverrun.stats.quantiles import median, quantile

#: So many columns get statistics when nobody chooses.
COLUMNS_MOST = 8
#: Up to so many columns get the median and the 99th percentile, too.
QUANTILES_MOST = 2
#: So many columns are put in pairs.
CORRELATED_MOST = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """Columns to look at, and those that are left out for want of room."""

    columns: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def chosen_columns(schema: Schema, asked: list[str] | None, by: list[str]) -> Chosen:
    """The columns asked for, or all with numbers. Raises `SchemaError` for one that has none."""
    numeric = [c.name for c in schema if c.dtype.is_numeric() and c.name not in by and c.name != schema.time]
    if asked is None:
        return Chosen(tuple(numeric[:COLUMNS_MOST]), tuple(numeric[COLUMNS_MOST:]))
    for name in asked:
        if name not in schema:
            raise SchemaError(
                f"there is no column {name!r}", where="--columns", hint=did_you_mean(name, numeric)
            )
        if name not in numeric:
            raise SchemaError(
                f"{name!r} holds {schema[name].dtype}, and statistics need numbers",
                where="--columns",
                hint=f'--schema "{name}:float" reads it as numbers',
            )
    return Chosen(tuple(asked))


def statistics(columns: tuple[str, ...], taken: list[str]) -> dict[str, Aggregate]:
    """Named aggregates of these columns.

    Parameters
    ----------
    taken : the keys, whose names cannot be used again.

    >>> list(statistics(("price",), []))[:4]
    ['rows', 'rate', 'price_mean', 'price_std']
    """
    made: dict[str, Aggregate] = {"rows": count(), "rate": rate()}
    for column in columns:
        made[f"{column}_mean"] = mean(column)
        made[f"{column}_std"] = std(column)
        made[f"{column}_min"] = min(column)
        made[f"{column}_max"] = max(column)
        if len(columns) <= QUANTILES_MOST:
            made[f"{column}_median"] = median(column)
            made[f"{column}_p99"] = quantile(column, 0.99)
    for x, y in combinations(columns[:CORRELATED_MOST], 2):
        made[f"corr_{x}_{y}"] = corr(x, y)
    return {_free(name, taken): aggregate for name, aggregate in made.items()}


def _free(name: str, taken: list[str]) -> str:
    reserved = (*taken, "window_start", "window_end", "revision", "final")
    return f"{name}_" if name in reserved else name
