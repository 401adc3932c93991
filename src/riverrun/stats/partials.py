"""What is remembered of many rows so that their statistics can be told later: partials.

A partial is a handful of columns with one row for each group. It has three operations: **of rows**
(expressions over the rows of a batch), **merge** (expressions over partials) and, in the aggregate that
reads it, **result**. An empty group has no row at all, which is a true zero. Equal partials are shared:
mean, variance, covariance and correlation of the same columns are computed once.

Two layouts exist. A *wide* partial is some columns of the one row that a group has. A *long* partial is a
table of its own with several rows a group (buckets of a sketch, distinct values).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import polars as pl

from riverrun.errors import PlanError
from riverrun.stats.references import bounded
from riverrun.stats.windowed import Needs

#: Columns of partial frames begin with this, so that they never clash with a user's keys.
PARTIAL_PREFIX = "__p_"

#: The event time of each row (microseconds) in a frame made ready for partials.
EVENT_TIME = "__p_event_time"

Nan = Literal["propagate", "ignore"]
Read = Literal["as_is", "number", "total"]
ColumnLike = str | pl.Expr


@dataclass(frozen=True, slots=True)
class Input:
    """A column or expression that an aggregate reads; equal ones are evaluated once.

    Parameters
    ----------
    read : ``"number"``: as Float64; ``"total"``: in the widest type of its kind; else as it is.
    """

    key: str
    expr: pl.Expr = field(compare=False)
    read: Read = "as_is"

    @staticmethod
    def of(x: ColumnLike, *, nan: Nan = "propagate", read: Read = "as_is") -> Input:
        """The input for what a user wrote: a column name or a Polars expression."""
        if not isinstance(x, (str, pl.Expr)):
            raise PlanError(
                f"an aggregate reads a column name or a Polars expression, got {x!r}",
                where="agg",
                hint='rr.mean("price") or rr.mean(pl.col("price") * pl.col("size"))',
            )
        if nan not in ("propagate", "ignore"):
            raise PlanError(f"there is no {nan!r}", where="agg, nan=", hint="one of: propagate, ignore")
        expr = pl.col(x) if isinstance(x, str) else x
        key = f"{nan}:{read}:{_text_of(expr)}"
        if nan == "ignore":
            expr = expr.fill_nan(None)
        return Input(key, expr, read)

    def typed(self, dtype: pl.DataType) -> pl.Expr:
        """The expression in the type that it is read in."""
        if self.read == "number":
            return self.expr if dtype == pl.Float64 else self.expr.cast(pl.Float64)
        if self.read == "total" and (dtype.is_integer() or dtype == pl.Boolean):
            return self.expr.cast(pl.Int128)
        if self.read == "total" and dtype == pl.Null:
            return self.expr.cast(pl.Float64)
        return self.expr

    @property
    def short(self) -> str:
        """A short name that stands for the key in column names."""
        return hashlib.blake2b(self.key.encode(), digest_size=6).hexdigest()


def _text_of(expr: pl.Expr) -> str:
    """A text that two expressions share only when they are the same."""
    try:
        return expr.meta.serialize().hex()
    except Exception:  # an expression that holds a Python function cannot be serialised
        return f"{expr}@{id(expr)}"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one batch, ready for partials: where each input stands, which hold no null, their types.

    Those of `too_large` may hold numbers that are too large to be added up.
    """

    column: Mapping[Input, str]
    reference: Mapping[Input, str]
    complete: frozenset[Input]
    dtype: Mapping[Input, pl.DataType] = field(default_factory=dict)
    too_large: frozenset[Input] = frozenset()

    def expr(self, item: Input) -> pl.Expr:
        return pl.col(self.column[item])

    def number(self, item: Input) -> pl.Expr:
        """What is added up: numbers that are too large for it are infinite."""
        return bounded(self.expr(item)) if item in self.too_large else self.expr(item)


#: A merge about common references is trusted while N·mean² is at most this many times M2: the subtraction
#: loses log2 of it in bits, 6 of 53.
TRUSTED_RATIO = 64.0


class Spread(NamedTuple):
    """For a shifted input the columns of n, of the mean of x − r, and of M2, and how far off r may lie."""

    n: str
    mean: str
    m2: str
    trusted: float = TRUSTED_RATIO


@dataclass(frozen=True, slots=True)
class Side:
    """One of two partials that are merged in one row."""

    columns: Mapping[str, str]
    schema: Mapping[str, pl.DataType]

    def __call__(self, column: str) -> pl.Expr:
        return pl.col(self.columns[column])

    def is_nan(self, column: str) -> pl.Expr:
        return self(column).is_nan() if self.schema[column].is_float() else pl.lit(value=False)


class WidePartial:
    """Some columns in the one row that a group has.

    Merging goes in five steps, because Polars is quick only when what is summed inside a group is a plain
    column: `weigh` (row by row), `centre` (one value a group, given to all its rows), `derive` (row by row),
    `gather` (sum, min, max, first over a group), `finish` (row by row over the merged groups). Most partials
    need only `gather`.
    """

    #: Unique for equal partials; its columns are named after it.
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return ()

    @property
    def shifted(self) -> tuple[Input, ...]:
        """Inputs from which a value near the data is to be subtracted first, for precision."""
        return ()

    @property
    def summed(self) -> tuple[Input, ...]:
        """Inputs that are added up, so that numbers which are too large for it count as infinite."""
        return self.shifted

    @property
    def by_time(self) -> bool:
        """Whether rows must come in the order of event time."""
        return False

    @property
    def reads_time(self) -> bool:
        """Whether it reads `EVENT_TIME`, in whatever order."""
        return self.by_time

    def column(self, part: str) -> str:
        return f"{PARTIAL_PREFIX}{self.name}_{part}"

    def col(self, part: str) -> pl.Expr:
        return pl.col(self.column(part))

    def named(self, parts: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
        """Parts by the names of their columns."""
        return {self.column(part): expr for part, expr in parts.items()}

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        """Part to an expression over the rows of a group."""
        del rows
        raise AssertionError("a partial says what it keeps of rows")

    def weigh(self) -> dict[str, pl.Expr]:
        return {}

    def centre(self) -> dict[str, pl.Expr]:
        return {}

    def derive(self, common: bool) -> dict[str, pl.Expr]:
        """`common`: all partials to be merged have the same reference values, there are no centres."""
        del common
        return {}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        raise AssertionError("a partial says how it is merged")

    def finish(self) -> dict[str, pl.Expr]:
        return {}

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        """The parts of every row as a group of its own, row by row; empty: only `of_rows` can make them."""
        del rows
        return {}

    def between(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        """Columns that several expressions of `pair` read, so that they are computed once."""
        del earlier, later
        return {}

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        """The parts of two partials that stand in one row, merged; all parts of a side that is absent are null.

        Empty: only `gather` can merge them. What is merged in this way needs no group_by, so that windows of
        every row (`riverrun.kernel.paired_scan`) are quick.
        """
        del earlier, later
        return {}

    def windowed(self, rows: Rows, period: str) -> Needs | None:
        """What tells the partial of windows that end with each row; ``None``: they have to be merged.

        `period` is the length of the windows, for what Polars rolls over `INDEX`.
        """
        del rows, period
        return None

    def of_stretches(self, frame: pl.DataFrame, rows: Rows, by: str) -> pl.DataFrame | None:
        """The column `by` and those of the partial, for groups that have values; ``None``: only by `of_rows`.

        For what is quicker in several passes over all rows than group by group.

        Parameters
        ----------
        frame : rows group by group, in each of them in the order of event time; `by` is sorted.
        """
        del frame, rows, by
        return None

    def references(self) -> tuple[str, ...]:
        """Columns that must be equal in all rows for a merge with `common`."""
        return ()

    def spreads(self) -> tuple[Spread, ...]:
        """Where to see whether digits were lost, for each shifted input."""
        return ()


@dataclass(frozen=True, slots=True)
class WideOfOne(WidePartial):
    """A wide partial of a single input."""

    x: Input
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x,)


class LongPartial:
    """Several rows a group, in a table of its own: buckets of a sketch, distinct values."""

    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return ()

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        """The table for the rows of a batch, with the columns `by` first."""
        del frame, rows, by
        raise AssertionError("a partial says what it keeps of rows")

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """One table of several that were put one under the other."""
        del frame, by
        raise AssertionError("a partial says how it is merged")


@dataclass(frozen=True, slots=True)
class LongOfOne(LongPartial):
    """A long partial of a single input."""

    x: Input
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.x,)


Partial = WidePartial | LongPartial
