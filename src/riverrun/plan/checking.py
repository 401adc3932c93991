"""What stateless steps make of their columns, and what is said of those that cannot.

Polars tells some mistakes only when rows are there, and in its own words; here they are found on no rows, or on
one that is made up, when the plan is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.arguments import columns_in_words, number, one_line
from riverrun.plan.cleaning import check_columns
from riverrun.plan.kinds import fitting, holds, kind_of, type_of
from riverrun.plan.nodes import (
    Cast,
    Cells,
    Clip,
    Drop,
    Explode,
    Expressed,
    FillNull,
    Filter,
    Rename,
    Select,
    WithColumns,
)
from riverrun.plan.repair import RepairTypes
from riverrun.plan.typed import Typed
from riverrun.stats.partials import PARTIAL_PREFIX
from riverrun.words import shown

#: Values that a cast is tried on: one that goes is enough.
_TRIED: Sequence[Any] = ("", "1", "2001-02-03", 0, [], {"field": 0}, b"", None)


def columns_behind(node: Expressed, before: Typed) -> dict[str, pl.DataType]:
    """The columns that a step makes of those before. Raises `PlanError` where it cannot."""
    where = node.label.split(" ")[0]
    check_columns(_named(node), before, where)
    for kind, check in _CHECKS.items():
        if isinstance(node, kind):
            check(node, before)
    try:
        after = node.on(before.empty().lazy()).collect_schema()
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise _unusable(before, error, where) from None
    return {name: dtype for name, dtype in after.items() if not _is_mark(name, node)}


def check_visible(columns: Iterable[str], where: str) -> None:
    """Raise `PlanError` for names that the engine keeps for itself."""
    for name in columns:
        for prefix in (HIDDEN_PREFIX, PARTIAL_PREFIX):
            if name.startswith(prefix):
                raise PlanError(
                    f"column names cannot begin with {prefix!r}: {name!r}",
                    where=where,
                    hint=f"another name, such as {name.removeprefix(prefix).strip('_') or 'x'!r}",
                )


def _is_mark(name: str, node: Expressed) -> bool:
    """Whether a step notes something of its rows in it."""
    return name.startswith(HIDDEN_PREFIX) and isinstance(node, FillNull)


# -- expressions ----------------------------------------------------------------------------------------


def _check_expressions(node: Filter | Select | WithColumns, before: Typed) -> None:
    where = node.label.split(" ")[0]
    exprs = node.predicates if isinstance(node, Filter) else node.exprs
    made: Counter[str] = Counter()
    for expr in exprs:
        columns = checked(expr, before, where)
        if isinstance(node, Filter):
            _check_predicate(expr, columns)
        made.update(list(columns))
    if isinstance(node, Filter):
        return
    for name, count in made.items():
        if count > 1:
            raise PlanError(
                f"{count} columns would be called {name!r}",
                where=where,
                hint=f'another name for one of them: .alias("{name}_2")',
            )
    if isinstance(node, Select) and not made:
        raise PlanError(
            "no column is named, and rows without columns are none", where=where, hint='.select("price", ...)'
        )


def checked(expr: pl.Expr, before: Typed, where: str) -> Mapping[str, pl.DataType]:
    """The columns that an expression makes. Raises `PlanError` where it cannot, or looks at other rows."""
    refuse_neighbours(expr, where)
    lazy = before.empty().lazy().select(expr)
    try:
        # Some types are compared when it is worked out only; functions of Python are not called for that.
        return lazy.collect_schema() if "python_udf" in str(expr) else lazy.collect().schema
    except pl.exceptions.ColumnNotFoundError as error:
        named = str(error).split("\n")[0]
        missing = [name for name in expr.meta.root_names() if name not in before.columns]
        name = missing[0] if missing else named.split('"')[1] if '"' in named else named
        raise PlanError(
            f"there is no column {name!r}", where=where, hint=did_you_mean(name, before.columns)
        ) from None
    except (pl.exceptions.PolarsError, TypeError) as error:
        text = str(error).split("\n")[0]
        used = columns_in_words(expr.meta.root_names(), before.columns)
        problem = f"{shown(expr)} cannot be worked out{', where ' + used if used else ''}: {text}"
        raise PlanError(problem, where=where, hint=before.text()) from None


def refuse_neighbours(expr: pl.Expr, where: str) -> None:
    """Raise `PlanError` if the value of a row depends on other rows: then it would on how batches are cut."""
    if _looks_at_other_rows(expr):
        raise PlanError(
            f"{shown(expr)} looks at other rows, and a stream has no fixed set of them",
            where=where,
            hint='aggregate over a window instead: .group_by(...).window(rr.tumbling("10s")).agg(...)',
        )


def _check_predicate(expr: pl.Expr, columns: Mapping[str, pl.DataType]) -> None:
    if len(columns) > 1:
        raise PlanError(
            f"{shown(expr)} is {len(columns)} conditions in one",
            where="filter",
            hint="one for each, or pl.all_horizontal(...), pl.any_horizontal(...) of them",
        )
    for dtype in columns.values():
        if dtype != pl.Boolean:
            raise PlanError(
                f"a filter needs true or false, and {shown(expr)} is {dtype}",
                where="filter",
                hint='pl.col("x") > 0',
            )


def _looks_at_other_rows(expr: pl.Expr) -> bool:
    """Whether a row's value depends on other rows, in any part of the expression.

    Polars tells it of the outermost
    operation only. It cannot tell for several columns at once and for functions of Python: these are taken to
    go row by row, and their inputs are looked at.
    """
    if expr.meta.is_literal() or expr.meta.is_column_selection():
        return False
    try:
        if not expr.meta.is_row_separable():
            return True
    except pl.exceptions.PolarsError:
        pass
    return any(_looks_at_other_rows(part) for part in expr.meta.pop())


# -- steps with rules of their own -----------------------------------------------------------------------


def _check_rename(node: Rename, before: Typed) -> None:
    for old, new in node.mapping.items():
        if not isinstance(new, str) or not new:
            raise PlanError(f"{old!r} needs a new name, got {new!r}", where="rename", hint='{"old": "new"}')
    after = [node.mapping.get(name, name) for name in before.columns]
    for name, count in Counter(after).items():
        if count > 1:
            there = name in before.columns and name not in node.mapping
            problem = f"{name!r} is there already" if there else f"{count} columns would be called {name!r}"
            hint = f'.drop("{name}") first, or another name' if there else "a name of its own for each"
            raise PlanError(problem, where="rename", hint=hint)


def _check_drop(node: Drop, before: Typed) -> None:
    if before.columns and set(node.columns) == set(before.columns):
        raise PlanError("no column would be left, and rows without columns are none", where="drop")


def _check_lists(node: Explode, before: Typed) -> None:
    """Polars lets what is no list through, whatever was meant."""
    if not node.columns:
        raise PlanError("no column is named", where="explode", hint='.explode("items")')
    for name in node.columns:
        dtype = before.columns[name]
        if not isinstance(dtype, (pl.List, pl.Array)):
            raise PlanError(
                f"{name!r} is {dtype}, and only lists have items",
                where="explode",
                hint=f'.with_columns(pl.col("{name}").str.split(",")) first'
                if dtype == pl.String
                else before.text(),
            )


def _check_cast(node: Cast | RepairTypes, before: Typed) -> None:
    where = node.label.split(" ")[0]
    for name, dtype in node.dtypes.items():
        text = isinstance(node, RepairTypes) and before.columns[name] == pl.String
        if not text and not _castable(before.columns[name], dtype):
            hint = "make it with an expression: .with_columns(...)"
            if kind_of(before.columns[name]) == "text" and isinstance(dtype, (pl.Datetime, pl.Date)):
                hint = (
                    f'.repair_types({{"{name}": {_written(dtype)}}}), or .str.to_datetime(...) in with_columns'
                )
            raise PlanError(
                f"{name!r} is {before.columns[name]}, which cannot be made {dtype}", where=where, hint=hint
            )


def _written(dtype: pl.DataType) -> str:
    return "pl.Date" if isinstance(dtype, pl.Date) else "pl.Datetime"


def _check_cells(node: Cells, before: Typed) -> None:
    check_columns(node.by, before, "profile(by=)")
    for name in node.columns:
        if not _castable(before.columns[name], pl.String()):
            raise PlanError(
                f"{name!r} is {before.columns[name]}, and values that can be read as text are needed",
                where="profile",
                hint="take one value out of it, as in pl.col(...).list.first() or .struct.field(...)",
            )


def _castable(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether any value goes; what is not tried here is left to the rows."""
    found = False
    for value in _TRIED:
        try:
            sample = pl.Series([value]).cast(dtype) if value is not None else pl.Series([None], dtype=dtype)
        except (pl.exceptions.PolarsError, TypeError, ValueError):
            continue
        if sample.null_count():
            continue
        found = True
        try:
            if sample.cast(wanted, strict=False).dtype == wanted:
                return True
        except pl.exceptions.PolarsError:
            pass
    return not found


def _check_fill(node: FillNull, before: Typed) -> None:
    if node.value is None:
        raise PlanError(
            "a null in place of a null fills nothing", where="fill_null", hint='.fill_null(0, "size")'
        )
    if isinstance(node.value, pl.Expr):
        checked(node.value, before, "fill_null")
        value = shown(node.value)
    else:
        value = one_line(node.value)
    try:
        wanted = type_of(node.value, before.columns)
    except (pl.exceptions.PolarsError, TypeError):
        raise PlanError(
            f"{value} is no value of a column", where="fill_null", hint='.fill_null(0, "size")'
        ) from None
    for name in node.columns:
        dtype = before.columns[name]
        if not holds(dtype, wanted):
            raise PlanError(
                f"{name!r} is {dtype}, and cannot hold {value}, which is {kind_in_words(wanted)}",
                where="fill_null",
                hint="a value of the same kind, or .cast(...) the column first",
            )
    names = node.columns or fitting(node.value, before.columns)
    if not names:
        raise PlanError(
            f"no column can hold {value}, which is {kind_in_words(wanted)}",
            where="fill_null",
            hint=before.text(),
        )
    for name in names:
        _check_value(name, before.columns[name], node.value)


def _check_value(name: str, dtype: pl.DataType, value: object) -> None:
    """Raise `PlanError` for a single value that is out of the range of a type: Polars makes a null of it."""
    if isinstance(value, pl.Expr) or dtype == pl.Null or (isinstance(value, float) and dtype.is_integer()):
        return
    try:
        pl.select(pl.lit(value).cast(dtype, strict=True))
    except pl.exceptions.PolarsError:
        raise PlanError(
            f"{one_line(value)} does not fit into {name!r}, which is {dtype}",
            where="fill_null",
            hint=f'.cast({{"{name}": ...}}) to a type that holds it',
        ) from None


def kind_in_words(dtype: pl.DataType) -> str:
    """What values of a type are, in a sentence."""
    kind = kind_of(dtype)
    return {"number": "a number", "text": "text"}.get(kind, kind)


def _check_clip(node: Clip, before: Typed) -> None:
    for name in node.columns:
        dtype = before.columns[name]
        if not dtype.is_numeric() and not dtype.is_temporal():
            raise PlanError(
                f"needs numbers or times, and {name!r} is {dtype}",
                where="clip",
                hint=f'.cast({{"{name}": pl.Float64}}) or .repair_types(...) first',
            )
        for side, bound in (("lower", node.lower), ("upper", node.upper)):
            if bound is not None:
                _check_bound(name, dtype, bound, f"clip({side}=)")


def _check_bound(name: str, dtype: pl.DataType, bound: Any, where: str) -> None:
    if dtype.is_numeric() and not number(bound):
        hint = ".with_columns(...) with pl.col(...).clip(...), for bounds that differ from row to row"
        raise PlanError(
            f"a bound of {name!r}, which is {dtype}, is a number, got {one_line(bound)}",
            where=where,
            hint=hint if isinstance(bound, pl.Expr) else "lower=0, upper=1.5",
        )
    try:
        made = pl.select(pl.lit(bound).cast(dtype, strict=True)).item()
        fits = holds(dtype, type_of(bound, {})) and (not dtype.is_integer() or made == bound)
    except (pl.exceptions.PolarsError, TypeError):
        fits = False
    if not fits:
        raise PlanError(
            f"{one_line(bound)} is no value of {name!r}, which is {dtype}",
            where=where,
            hint="leave out a bound that no value passes, or .cast(...) the column first",
        )


_CHECKS: Mapping[type, Callable[[Any, Typed], None]] = {
    Filter: _check_expressions,
    Select: _check_expressions,
    WithColumns: _check_expressions,
    Rename: _check_rename,
    Drop: _check_drop,
    Explode: _check_lists,
    Cast: _check_cast,
    RepairTypes: _check_cast,
    FillNull: _check_fill,
    Clip: _check_clip,
    Cells: _check_cells,
}


def _unusable(before: Typed, error: Exception, where: str) -> PlanError:
    text = str(error).split("\n")[0]
    return PlanError(f"cannot work on these columns: {text}", where=where, hint=before.text())


def _named(node: Expressed) -> Sequence[str]:
    """The columns that a step names, outside of expressions."""
    if isinstance(node, (Filter, Select, WithColumns)):
        return ()
    if isinstance(node, Rename):
        return list(node.mapping)
    return list(node.dtypes) if isinstance(node, (Cast, RepairTypes)) else node.columns
