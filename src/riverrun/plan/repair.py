"""Text into proper types: numbers with separators, currencies and percents, words for true and false, dates.

Everything is an expression over one row. What cannot be told for sure is not guessed: it becomes null, and can
be counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.plan.stateful import Inner

Decimal = Literal[".", ","]

#: Texts that stand for a missing value, in lower case.
MISSING = ("", "-", "--", "?", "n/a", "na", "nan", "nil", "none", "null", "#n/a", "missing", "unknown")
TRUE = ("true", "t", "yes", "y", "on", "1")
FALSE = ("false", "f", "no", "n", "off", "0")

#: What is tried for dates and instants after the formats that are named.
ISO = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d",
)

#: Spaces and apostrophes that stand between groups of three digits.
_SPACES = r"[\s\u{00a0}\u{202f}'’]"


@dataclass(frozen=True, eq=False, slots=True)
class RepairTypes(Inner):
    """Columns of text in their proper types.

    Parameters
    ----------
    dtypes : column to type.
    decimal : what stands before the fraction of a number; the other one may stand between groups of three.
    formats : of dates and instants, tried in order, before ISO 8601.
    true, false : further words, in lower case.
    count : a column for how many values of a row could not be repaired; empty: none.
    """

    dtypes: Mapping[str, pl.DataType]
    decimal: Decimal
    formats: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]
    count: str

    @property
    def label(self) -> str:
        counted = f", counted as {self.count}" if self.count else ""
        return "repair_types " + ", ".join(f"{name} to {dtype}" for name, dtype in self.dtypes.items()) + counted

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        schema = rows.collect_schema()
        repaired = {name: self._repaired(name, schema[name], dtype) for name, dtype in self.dtypes.items()}
        made = [expr.alias(name) for name, expr in repaired.items()]
        if self.count:
            lost = [
                (expr.is_null() & ~_missing(name, schema[name])).cast(pl.UInt32)
                for name, expr in repaired.items()
            ]
            made.append(pl.sum_horizontal(lost).cast(pl.UInt32).alias(self.count))
        return rows.with_columns(made)

    def _repaired(self, name: str, before: pl.DataType, dtype: pl.DataType) -> pl.Expr:
        column = pl.col(name)
        if before != pl.String:
            return column.cast(dtype, strict=False)
        text = pl.when(~_missing(name, before)).then(column.str.strip_chars())
        if dtype == pl.String:
            return text
        if dtype == pl.Boolean:
            return _truth(text.str.to_lowercase(), self.true, self.false)
        if dtype.is_numeric():
            return _number(text, dtype, self.decimal)
        return _instant(text, dtype, self.formats)


def repairable(dtype: pl.DataType) -> bool:
    """Whether text can become this type."""
    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Date) or isinstance(dtype, pl.Datetime)


def _missing(name: str, dtype: pl.DataType) -> pl.Expr:
    """Whether there is no value, or a word for none."""
    column = pl.col(name)
    if dtype != pl.String:
        return column.is_null()
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(MISSING)


def _truth(text: pl.Expr, true: Sequence[str], false: Sequence[str]) -> pl.Expr:
    yes, no = text.is_in([*TRUE, *true]), text.is_in([*FALSE, *false])
    return pl.when(yes).then(True).when(no).then(False)  # noqa: FBT003


def _number(text: pl.Expr, dtype: pl.DataType, decimal: Decimal) -> pl.Expr:
    """A number from text such as ``€ -1,234.50``, ``(12.5)`` (negative), ``12 %`` (0.12) or ``1e3``."""
    bare = text.str.replace_all("−", "-", literal=True)
    bare = bare.str.replace_all(r"\p{Sc}", "").str.replace(r"^[A-Z]{3}\s*([-+(\d.,])", "${1}")
    bare = bare.str.replace(r"([\d)%])\s*[A-Z]{3}$", "${1}").str.strip_chars()
    percent = bare.str.ends_with("%")
    bare = bare.str.strip_suffix("%").str.strip_chars()
    bare = bare.str.replace(r"^\(([^-+()]*)\)$", "-${1}")
    bare = bare.str.replace(r"^([-+])\s+", "${1}")
    plain = _without_groups(bare, decimal).str.replace(",", ".", literal=True)
    if dtype.is_integer():
        whole = plain.str.replace(r"\.0*$", "").str.strip_prefix("+")
        return pl.when(~percent).then(whole.cast(dtype, strict=False))
    value = plain.cast(pl.Float64, strict=False)
    value = pl.when(percent).then(value / 100).otherwise(value).cast(dtype, strict=False)
    if dtype.is_decimal():
        return pl.coalesce(pl.when(~percent).then(plain.cast(dtype, strict=False)), value)
    return pl.when(value.is_finite()).then(value)


def _without_groups(text: pl.Expr, decimal: Decimal) -> pl.Expr:
    """Null unless separators stand where they may: between groups of three digits, or before the fraction."""
    point, group = (r"\.", ",") if decimal == "." else (",", r"\.")
    fraction = rf"({point}\d*)?"
    ungrouped = rf"^[-+]?(\d+{fraction}|{point}\d+)([eE][-+]?\d+)?$"
    grouped = [rf"^[-+]?\d{{1,3}}({separator}\d{{3}})+{fraction}$" for separator in (group, _SPACES)]
    joined = text.str.replace_all(_SPACES, "").str.replace_all(group, "")
    fits = pl.any_horizontal(text.str.contains(pattern) for pattern in grouped)
    return pl.when(text.str.contains(ungrouped)).then(text).when(fits).then(joined)


def _instant(text: pl.Expr, dtype: pl.DataType, formats: Sequence[str]) -> pl.Expr:
    """A date or instant by the first format that fits; without a zone it is in that of the type."""
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
    tried = [_parsed(text, form, zone) for form in (*formats, *ISO)]
    return pl.coalesce(tried).cast(dtype)


def _parsed(text: pl.Expr, form: str, zone: str | None) -> pl.Expr:
    if "%z" in form or "%#z" in form or "%:z" in form:
        instant = text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        return instant.dt.convert_time_zone(zone) if zone else instant.dt.replace_time_zone(None)
    if not any(part in form for part in ("%H", "%I", "%T", "%R", "%s", "%c", "%X")):
        instant = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    else:
        instant = text.str.to_datetime(form, time_unit="us", strict=False)
    if not zone:
        return instant
    return instant.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
