"""Text into proper types: numbers with separators, currencies and percents, words for true and false, dates.

Everything is an expression over one row. What cannot be told for sure is not guessed: it becomes null, and can
be counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import polars as pl

from riverrun.errors import PlanError
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
_SPACES = "[ \u00a0\u2009\u202f'’]"
_CURRENCY = "[$£¥€₹₽₩₺₴₪₫₱₿¢]"

#: Columns of the stages; dropped at the end.
_STAGE = "__p_repair_"
_TEXT, _PLAIN, _MADE = _STAGE + "text_", _STAGE + "plain_", _STAGE + "made_"


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
        return (
            "repair_types " + ", ".join(f"{name} to {dtype}" for name, dtype in self.dtypes.items()) + counted
        )

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """In stages, each a column that the next ones read: written as one expression, the parts of a text
        would be worked out again wherever they are used."""
        schema = rows.collect_schema()
        if self.count in schema:
            raise PlanError(
                f"{self.count!r} is there already", where="repair_types(count=)", hint="another name"
            )
        texts = [name for name in self.dtypes if schema.get(name, pl.String()) == pl.String]
        others = {name: dtype for name, dtype in self.dtypes.items() if name not in texts}
        staged = rows.with_columns(_stripped(name).alias(_TEXT + name) for name in texts)
        staged = staged.with_columns(_present(name).alias(_TEXT + name) for name in texts)
        numbers = [name for name in texts if self.dtypes[name].is_numeric()]
        staged = staged.with_columns(_bare(pl.col(_TEXT + name)).alias(_PLAIN + name) for name in numbers)
        staged = staged.with_columns(_plain(pl.col(_PLAIN + name), self.decimal) for name in numbers)
        made = [self._of_text(name).alias(_MADE + name) for name in texts]
        made += [pl.col(name).cast(dtype, strict=False).alias(_MADE + name) for name, dtype in others.items()]
        staged = staged.with_columns(made)
        if self.count:
            given = [pl.col(_TEXT + name if name in texts else name).is_not_null() for name in self.dtypes]
            lost = [
                (g & pl.col(_MADE + n).is_null()).cast(pl.UInt32)
                for g, n in zip(given, self.dtypes, strict=True)
            ]
            staged = staged.with_columns(pl.sum_horizontal(lost).cast(pl.UInt32).alias(self.count))
        return staged.with_columns(pl.col(_MADE + name).alias(name) for name in self.dtypes).drop(
            pl.selectors.starts_with(_STAGE)
        )

    def _of_text(self, name: str) -> pl.Expr:
        text, dtype = pl.col(_TEXT + name), self.dtypes[name]
        if dtype == pl.String:
            return text
        if dtype == pl.Boolean:
            return _truth(text.str.to_lowercase(), self.true, self.false)
        if dtype.is_numeric():
            return _number(pl.col(_PLAIN + name), text.str.ends_with("%"), dtype)
        return _instant(text, dtype, self.formats)


def repairable(dtype: pl.DataType) -> bool:
    """Whether text can become this type."""
    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Date) or isinstance(dtype, pl.Datetime)


def _stripped(name: str) -> pl.Expr:
    return pl.col(name).str.strip_chars()


def _present(name: str) -> pl.Expr:
    """The text, unless it is a word for nothing."""
    text = pl.col(_TEXT + name)
    return pl.when(~text.str.to_lowercase().is_in(MISSING)).then(text)


def _truth(text: pl.Expr, true: Sequence[str], false: Sequence[str]) -> pl.Expr:
    yes, no = text.is_in([*TRUE, *true]), text.is_in([*FALSE, *false])
    return pl.when(yes).then(True).when(no).then(False)


def _bare(text: pl.Expr) -> pl.Expr:
    """Without currency and percent sign, with the sign of the number in front: ``(12 €)`` is ``-12``."""
    text = text.str.replace_all("−", "-", literal=True).str.replace_all(_CURRENCY, "")
    text = text.str.replace(r"^[A-Z]{3} *([-+(0-9.,])", "${1}").str.replace(r"([0-9)%]) *[A-Z]{3}$", "${1}")
    text = text.str.strip_chars(" \u00a0%")
    return text.str.replace(r"^\(([^-+()]*)\)$", "-${1}").str.replace(r"^([-+]) +", "${1}")


def _plain(bare: pl.Expr, decimal: Decimal) -> pl.Expr:
    """As Polars reads it; null unless separators stand between groups of three or before the fraction."""
    point, group = (r"\.", ",") if decimal == "." else (",", r"\.")
    fraction = rf"({point}[0-9]*)?"
    alone = rf"[0-9]+{fraction}([eE][-+]?[0-9]+)?|{point}[0-9]+([eE][-+]?[0-9]+)?"
    grouped = [rf"[0-9]{{1,3}}({separator}[0-9]{{3}})+{fraction}" for separator in (group, _SPACES)]
    fits = bare.str.contains(rf"^[-+]?({'|'.join([alone, *grouped])})$")
    digits = bare.str.replace_all(rf"{_SPACES}|{group}", "").str.replace(",", ".", literal=True)
    return pl.when(fits).then(digits)


def _number(plain: pl.Expr, percent: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_integer():
        whole = plain.str.replace(r"\.0*$", "").str.strip_prefix("+")
        return pl.when(~percent).then(whole.cast(dtype, strict=False))
    value = plain.cast(pl.Float64, strict=False)
    value = pl.when(percent).then(value / 100).otherwise(value).cast(dtype, strict=False)
    if dtype.is_decimal():
        return pl.coalesce(pl.when(~percent).then(plain.cast(dtype, strict=False)), value)
    return pl.when(value.is_finite()).then(value)


def _instant(text: pl.Expr, dtype: pl.DataType, formats: Sequence[str]) -> pl.Expr:
    """A date or instant by the first format that fits; without a zone it is in that of the type."""
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
    tried = [_parsed(text, form, zone) for form in (*formats, *ISO)]
    return pl.coalesce(tried).cast(dtype)


def readable(form: str) -> bool:
    """Whether a date can be read by a format: what it writes it must read, with all of the date in it."""
    noon = pl.Series([datetime(2001, 2, 3, 16, 5, 6, tzinfo=UTC)])
    try:
        # Polars reads zones in ways that it does not write.
        aware = "z" in form
        written = (noon if aware else noon.dt.replace_time_zone(None)).dt.strftime(form.replace("%#z", "%z"))
        read = pl.select(_parsed(pl.lit(written), form, None)).to_series()[0]
    except pl.exceptions.PolarsError:
        return False
    return read is not None and read.date() == date(2001, 2, 3)


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
