"""What every aggregate is: a description that names its partials and turns them into a result."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import polars as pl

from riverrun.errors import PlanError, did_you_mean
from riverrun.stats.partials import Input, Partial, Rows, WidePartial
from riverrun.words import shown

#: What an aggregate can read: numbers, values that have an order, values that can be told apart, or anything.
Reads = Literal["numbers", "ordered", "distinct", "anything"]


class Aggregate:
    """The base of all aggregates, and what to derive from to write one's own.

    A class of one's own is a frozen dataclass that says which of its fields are columns (`reads`) and has three
    methods of Polars expressions. Its accuracy is that of the expressions; its memory is one value for each
    part and group. Check it with `riverrun.testing.check_aggregate_laws`.

    - ``partial(self, *columns)``: what to keep of the rows of a group, as a mapping of part names to
      expressions. The columns come as expressions, in the order of `reads`, numbers as Float64.
    - ``merge(self, **parts)``: the same parts again, over several partials of a group. Sums, minima and
      maxima of plain parts are quick.
    - ``result(self, **parts)``: the value of a group, an expression over its merged parts.

    An empty group has no partial and no result. The result must not depend on the order of rows.

    Raises
    ------
    PlanError : when the plan is made, if a method is missing or `merge` changes names or types of the parts.

    >>> import riverrun as rr
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class RootMeanSquare(rr.Aggregate):
    ...     x: str
    ...     reads = ("x",)
    ...     def partial(self, x):
    ...         return {"n": x.count(), "squares": (x * x).sum()}
    ...     def merge(self, n, squares):
    ...         return {"n": n.sum(), "squares": squares.sum()}
    ...     def result(self, n, squares):
    ...         return pl.when(n > 0).then((squares / n).sqrt())
    >>> rows = rr.read({"x": [1.0, 7.0, None]})
    >>> rows.group_by().window(rr.tumbling("1h")).agg(rms=RootMeanSquare("x")).collect()["rms"].to_list()
    [5.0]
    """

    #: The names of the fields that hold a column name or an expression.
    reads: ClassVar[tuple[str, ...]] = ()
    #: What its columns may hold.
    accepts: ClassVar[Reads] = "numbers"
    #: The result of a group without values, for aggregates over long partials.
    empty_value: ClassVar[int | None] = None

    # -- what a class of one's own says --------------------------------------------------------------

    def partial(self, *columns: Any, **_: Any) -> Mapping[str, pl.Expr]:
        """What to keep of the rows of a group."""
        del columns
        raise _unwritten(self, "partial")

    def merge(self, *_: Any, **parts: Any) -> Mapping[str, pl.Expr]:
        """The same parts over several partials of a group."""
        del parts
        raise _unwritten(self, "merge")

    def result(self, *_: Any, **parts: Any) -> pl.Expr:
        """The value of a group over its merged parts."""
        del parts
        raise _unwritten(self, "result")

    # -- what the engine asks ------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """How it is written, for `explain` and messages."""
        return label_of(type(self).__name__, *(getattr(self, name) for name in self.reads))

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The columns or expressions it reads, in the order of its arguments."""
        nan, read = getattr(self, "nan", "propagate"), "number" if self.accepts == "numbers" else "as_is"
        return tuple(Input.of(getattr(self, name), nan=nan, read=read) for name in self.reads)  # type: ignore[arg-type]

    def partials(self) -> tuple[Partial, ...]:
        """What must be remembered."""
        return (_partial_of(self),)

    def value(self, at: Finished) -> pl.Expr | None:
        """The value of each group, as an expression over the wide partials; ``None`` when they are long."""
        del at
        return self.result(**_partial_of(self).parts())

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        """For long partials: a frame with `by` and the column ``value``."""
        del tables, by
        raise AssertionError("an aggregate over a long partial has a long result")

    def check(self, name: str, schema: Mapping[str, pl.DataType], *, where: str) -> None:
        """Raise `PlanError` when an input is missing or is of a type that this aggregate cannot read."""
        empty, where = pl.DataFrame(schema=dict(schema)), f"{where}, {name}={self.label}"
        dtypes = input_dtypes(self.inputs, empty, where=where)
        for dtype in dtypes:
            self._check_type(name, dtype, where)
        if type(self).partials is Aggregate.partials:
            _partial_of(self).check(dtypes, where)

    def _check_type(self, name: str, dtype: pl.DataType, where: str) -> None:
        if self.accepts == "numbers" and not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            hint = f"convert it first: .with_columns({name}_number=pl.col(...).cast(pl.Float64))"
            raise PlanError(f"{self.label} needs numbers, and this input is {dtype}", where=where, hint=hint)
        if self.accepts in ("ordered", "distinct") and (dtype.is_nested() or dtype == pl.Object):
            wanted = "an order" if self.accepts == "ordered" else "equal values"
            raise PlanError(
                f"{self.label} needs values with {wanted}, and this input is {dtype}",
                where=where,
                hint="take one value out of it, as in pl.col(...).list.first() or .struct.field(...)",
            )


@dataclass(frozen=True, slots=True)
class OwnPartial(WidePartial):
    """What an aggregate that a user wrote keeps."""

    aggregate: Aggregate
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.aggregate.inputs

    def parts(self) -> dict[str, pl.Expr]:
        names = self.aggregate.partial(*(pl.col(item.short) for item in self.inputs))
        return {part: self.col(part) for part in names}

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        return dict(self.aggregate.partial(*(rows.expr(item) for item in self.inputs)))

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        return dict(self.aggregate.merge(**self.parts()))

    def check(self, dtypes: Sequence[pl.DataType], where: str) -> None:
        """Raise `PlanError` unless merging gives the parts that were merged, in the types that they had."""
        short = [item.short for item in self.inputs]
        read = [
            pl.Float64() if item.read == "number" else d for item, d in zip(self.inputs, dtypes, strict=True)
        ]
        empty = pl.DataFrame(schema=dict(zip(short, read, strict=True)))
        try:
            kept = _grouped(empty, self.aggregate.partial(*map(pl.col, short)))
            merged = _grouped(kept, self.aggregate.merge(**{part: pl.col(part) for part in kept.columns}))
        except (TypeError, pl.exceptions.PolarsError) as error:
            raise PlanError(f"its expressions cannot be used: {error}", where=where) from None
        if kept.schema != merged.schema:
            raise PlanError(
                f"merge() gives {_listed(merged)}, and must give the parts of partial(), {_listed(kept)}",
                where=where,
                hint="give the same names, and cast the parts: x.count().cast(pl.Int64)",
            )


def _grouped(frame: pl.DataFrame, parts: Mapping[str, pl.Expr]) -> pl.DataFrame:
    named = [expr.alias(part) for part, expr in parts.items()]
    return frame.group_by(pl.lit(0).alias("__p_any")).agg(named).drop("__p_any")


def _listed(frame: pl.DataFrame) -> str:
    return ", ".join(f"{part}: {dtype}" for part, dtype in frame.schema.items())


def _partial_of(aggregate: Aggregate) -> OwnPartial:
    if not dataclasses.is_dataclass(aggregate):
        raise PlanError(
            f"{type(aggregate).__name__} is not a dataclass",
            where="agg",
            hint="write @dataclass(frozen=True) above the class, so that equal ones share their partials",
        )
    options = [
        getattr(aggregate, f.name) for f in dataclasses.fields(aggregate) if f.name not in aggregate.reads
    ]
    kind = type(aggregate)
    text = repr((kind.__module__, kind.__qualname__, [item.key for item in aggregate.inputs], options))
    return OwnPartial(aggregate, f"own_{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}")


def _unwritten(aggregate: Aggregate, method: str) -> PlanError:
    return PlanError(
        f"{type(aggregate).__name__} has no method {method}()",
        where="agg",
        hint="an aggregate of your own has reads, partial(), merge() and result(): see the page on writing one",
    )


class BuiltIn(Aggregate):
    """The base of the aggregates that functions such as `rr.mean` make; subclasses are frozen dataclasses."""

    #: The call that made it.
    written: str

    @property
    def label(self) -> str:
        return self.written

    @property
    def inputs(self) -> tuple[Input, ...]:
        return ()

    def partials(self) -> tuple[Partial, ...]:
        raise AssertionError("an aggregate names its partials")

    def value(self, at: Finished) -> pl.Expr | None:
        del at
        return None


@dataclass(frozen=True, slots=True)
class OfOne(BuiltIn):
    """An aggregate of a single input."""

    x: Input
    written: str

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


def positive_zero(value: pl.Expr) -> pl.Expr:
    """The same, but 0 for a negative zero: whether a sum of zeros has a sign depends on who adds them up."""
    # Polars leaves out an addition of 0.
    return pl.when(value == 0.0).then(0.0).otherwise(value)


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


def input_dtypes(items: Sequence[Input], empty: pl.DataFrame, *, where: str) -> list[pl.DataType]:
    """As `input_dtype`, for several in one go."""
    named = [item.expr.alias(str(at)) for at, item in enumerate(items)]
    try:
        return list(empty.lazy().select(named).collect_schema().values())
    except pl.exceptions.PolarsError:
        # One of them is to blame.
        return [input_dtype(item, empty, where=where) for item in items]


def label_of(function: str, *arguments: object, **options: object) -> str:
    """``mean('price')``: how a call is written; options at their default are left out by the caller."""
    parts = [_argument(argument) for argument in arguments]
    parts += [f"{name}={value!r}" for name, value in options.items()]
    return f"{function}({', '.join(parts)})"


def _argument(argument: Any) -> str:
    return shown(argument) if isinstance(argument, pl.Expr) else repr(argument)
