"""What every aggregate is: a description that names its partials and turns them into a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from riverrun.errors import PlanError, did_you_mean
from riverrun.stats.partials import Input, Partial
from riverrun.words import shown


class Aggregate:
    """The base of all aggregates. Subclasses are frozen dataclasses; functions such as `rr.mean` make them."""

    #: How it is written, for `explain` and messages.
    label: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The columns or expressions it reads, in the order of its arguments."""
        return ()

    #: Whether its inputs must be numbers.
    numeric = True
    #: The result of a group without values, for aggregates over long partials.
    empty_value: int | None = None

    def partials(self) -> tuple[Partial, ...]:
        """What must be remembered."""
        raise AssertionError("an aggregate names its partials")

    def result(self, at: Finished) -> pl.Expr | None:
        """The value of each group, as an expression over the wide partials; ``None`` when they are long."""
        del at
        return None

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        """For long partials: a frame with `by` and the column ``value``."""
        del tables, by
        raise AssertionError("an aggregate over a long partial has a long result")

    def check(self, name: str, schema: Mapping[str, pl.DataType], *, where: str) -> None:
        """Raise `PlanError` when an input is missing or is of a type that this aggregate cannot read."""
        empty = pl.DataFrame(schema=dict(schema))
        for item in self.inputs:
            dtype = input_dtype(item, empty, where=f"{where}, {name}={self.label}")
            if self.numeric and not (dtype.is_numeric() or dtype == pl.Boolean or dtype == pl.Null):
                raise PlanError(
                    f"{self.label} needs numbers, and this input is {dtype}",
                    where=f"{where}, {name}={self.label}",
                    hint=f"convert it first: .with_columns({name}_number=pl.col(...).cast(pl.Float64))",
                )


@dataclass(frozen=True, slots=True)
class OfOne(Aggregate):
    """An aggregate of a single input."""

    x: Input
    label: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x,)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a result may read besides its partials.

    Parameters
    ----------
    start, end : expressions for the bounds of the window, microseconds.
    dtypes : the types of the inputs, by `Input`.
    """

    start: pl.Expr
    end: pl.Expr
    dtypes: Mapping[Input, pl.DataType]


def input_dtype(item: Input, empty: pl.DataFrame, *, where: str) -> pl.DataType:
    """The type that an input has on a frame, found by evaluating it on no rows."""
    try:
        return empty.lazy().select(item.expr.alias("value")).collect_schema()["value"]
    except pl.exceptions.ColumnNotFoundError:
        missing = [name for name in item.expr.meta.root_names() if name not in empty.columns]
        name = missing[0] if missing else "?"
        raise PlanError(
            f"there is no column {name!r}", where=where, hint=did_you_mean(name, empty.columns)
        ) from None
    except pl.exceptions.PolarsError as error:
        raise PlanError(f"the expression {shown(item.expr)} cannot be used: {error}", where=where) from None


def label_of(function: str, *arguments: object, **options: object) -> str:
    """``mean('price')``: how a call is written; options at their default are left out by the caller."""
    parts = [_argument(argument) for argument in arguments]
    parts += [f"{name}={value!r}" for name, value in options.items()]
    return f"{function}({', '.join(parts)})"


def _argument(argument: Any) -> str:
    return shown(argument) if isinstance(argument, pl.Expr) else repr(argument)
