"""What users hand to steps, read and checked: names of columns, types, words to choose from, whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from riverrun.errors import PlanError, did_you_mean
from riverrun.schema import Timestamp

Names = str | Sequence[str]


def names(given: Any, *, where: str) -> tuple[str, ...]:
    """Column names, given as one or as several. Raises `PlanError` for anything else."""
    return tuple(dict.fromkeys(_texts(given, "a column is named by text", where)))


def some_names(given: Any, *, where: str, example: str) -> tuple[str, ...]:
    """As `names`, of a step that cannot do without. Raises `PlanError` if there is none."""
    found = names(given, where=where)
    if not found:
        raise PlanError("no column is named", where=where, hint=example)
    return found


def keys(given: Any, *, where: str) -> tuple[str, ...]:
    """The columns that rows are told apart by; ``None`` is none of them."""
    return () if given is None else names(given, where=where)


def flat(given: Sequence[Any]) -> list[Any]:
    """Arguments one by one, also where several were given as a list, as Polars takes them."""
    return [item for one in given for item in (one if isinstance(one, (list, tuple)) else (one,))]


def words(given: Any, *, where: str) -> tuple[str, ...]:
    """Texts, given as one or as several. Raises `PlanError` for anything else."""
    return _texts(given, "needs text", where, hint="one text, or a list of several")


def pairs(given: Any, example: str, *, where: str) -> dict[str, Any]:
    """Column names with something for each. Raises `PlanError` for anything else."""
    if not isinstance(given, Mapping):
        raise PlanError(f"needs a dict by column name, got {one_line(given)}", where=where, hint=example)
    names(list(given), where=where)
    return dict(given)


def dtypes(given: Any, *, where: str) -> dict[str, pl.DataType]:
    """Columns with a type of Polars for each, or one of Python that means one. `PlanError` for others."""
    example = '{"size": pl.Float64}'
    return {name: _dtype(name, dtype, where) for name, dtype in pairs(given, example, where=where).items()}


def declared(schema: Any, *, where: str) -> dict[str, pl.DataType]:
    """The columns that a function of the user returns. Raises `PlanError` unless there are some, with types."""
    columns = dtypes(schema, where=where)
    if not columns:
        raise PlanError("no column is named", where=where, hint='{"price": pl.Float64}')
    return columns


def choice(given: object, allowed: Sequence[str], *, where: str) -> None:
    """Raise `PlanError` for a word that is not among those allowed."""
    if not isinstance(given, str) or given not in allowed:
        raise PlanError(f"there is no {one_line(given)}", where=where, hint=did_you_mean(str(given), allowed))


def whole(given: object) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(given, int) and not isinstance(given, bool)


def number(given: object) -> bool:
    """Whether it is a number, NaN left out; true and false are none."""
    return isinstance(given, (int, float)) and not isinstance(given, bool) and given == given


def one_line(given: object, longest: int = 70) -> str:
    """A value for messages: in one line that is not too long.

    >>> one_line("x"), one_line(list(range(100)))
    ("'x'", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19...')
    """
    text = " ".join(repr(given).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip(", ") + "..."


def columns_in_words(columns: Iterable[str], types: Mapping[str, pl.DataType]) -> str:
    """``x is Float64, k is String``, of those columns that are there."""
    return ", ".join(f"{name} is {types[name]}" for name in dict.fromkeys(columns) if name in types)


def _texts(given: Any, needed: str, where: str, hint: str | None = None) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) or not isinstance(given, Sequence) else tuple(given)
    for text in found:
        if not isinstance(text, str):
            raise PlanError(
                f"{needed}, got {one_line(text)}",
                where=where,
                hint=hint or "make a column of an expression first: .with_columns(name=...)",
            )
    return found


def _dtype(name: str, given: Any, where: str) -> pl.DataType:
    if isinstance(given, Timestamp):
        raise PlanError(
            f"{name!r} cannot be made {given}, which is for the schema of rr.read",
            where=where,
            hint=f'.with_columns({name}=pl.from_epoch("{name}", time_unit="{given.unit}"))',
        )
    try:
        made = pl.Schema({name: given() if _is_class(given) else given})[name]
    except TypeError:
        if _is_class(given):
            problem, hint = f"{given} for {name!r} does not say of what", "pl.List(pl.Int64)"
        else:
            problem, hint = f"{one_line(given)} for {name!r} is no type of Polars", "pl.Float64, pl.String, ..."
        raise PlanError(problem, where=where, hint=hint) from None
    if made in (pl.Object, pl.Unknown):
        raise PlanError(f"no column can be made {made}", where=where, hint="pl.Float64, pl.String, ...")
    return made


def _is_class(given: Any) -> bool:
    return isinstance(given, type) and issubclass(given, pl.DataType)
