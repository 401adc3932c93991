"""The fluent front of a plan: every method returns a new stream with one node more.

Nothing runs here. `Stream` is thin on purpose: what a step means stands with its node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from riverrun.clock import Duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan import arguments, cleaning_steps
from riverrun.plan.explain import explain
from riverrun.plan.grouping import Grouped, key_of
from riverrun.plan.joining import Joining
from riverrun.plan.nodes import (
    Cast,
    Cells,
    Drop,
    DropNulls,
    Explode,
    FillNull,
    Filter,
    FrameKind,
    Late,
    MapFrames,
    Node,
    Output,
    Rename,
    Select,
    WithColumns,
    sources_of,
)
from riverrun.plan.profile import CELL, COLUMN, profile_aggregates
from riverrun.plan.stateful import Stateful
from riverrun.plan.tidying import Tidying
from riverrun.plan.typing import typed
from riverrun.registry import function
from riverrun.windows.describe import tumbling

IntoExpr = str | pl.Expr

_WINDOW_FIRST = (
    '.group_by(...).window(rr.tumbling("10s")).agg(mean=rr.mean("price")); without a key: .group_by()'
)
_NO_ORDER = ".collect() a bounded input, and go on with the frame"

#: Methods of Polars that need a whole table, and what does what they are for.
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("agg", "window", "mean", "sum", "min", "max", "count", "std", "var", "median"), _WINDOW_FIRST
    ),
    **dict.fromkeys(("sort", "head", "tail", "limit", "top_k", "pivot"), _NO_ORDER),
    "groupby": ".group_by(...)",
    "rolling": '.group_by(...).rolling("5m").agg(...)',
    "group_by_dynamic": '.group_by(...).window(rr.tumbling("10s")).agg(...)',
    "join": ".join_asof, .join_interval or .join_window with a stream, .lookup with a table",
    "concat": ".union(...)",
    "with_column": ".with_columns(...)",
    "sink_csv": '.write("csv:out.csv")',
    "write_csv": '.write("csv:out.csv")',
}


class Stream(Tidying, Joining):
    """Rows on their way. Made by `rr.read`; every step returns a new stream and leaves this one as it is."""

    __slots__ = ("node",)

    node: Node

    def __init__(self, node: Node) -> None:
        self.node = node
        if all(read.schema is not None for read in sources_of(node)):
            # With a declared schema a mistake shows at the line that makes it.
            typed(node, {read: read.schema for read in sources_of(node) if read.schema is not None})

    def __repr__(self) -> str:
        return f"<Stream: {self.node.label}>"

    def __getattr__(self, name: str) -> Any:
        """What Polars has and a stream has not gets an answer that helps."""
        if name in _ELSEWHERE:
            raise PlanError(f"a stream has no {name}", where="stream", hint=_ELSEWHERE[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    # -- stateless steps ----------------------------------------------------------------------------

    def filter(self, *predicates: pl.Expr | Sequence[pl.Expr]) -> Stream:
        """Keep the rows for which all predicates are true.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, -1]}).filter(pl.col("x") > 0).collect()["x"].to_list()
        [1]
        """
        return Stream(Filter((self.node,), tuple(_exprs(predicates, {}, "filter"))))

    def select(self, *exprs: IntoExpr | Sequence[IntoExpr], **named: Any) -> Stream:
        """Keep or make these columns only; keep the event-time column if a window follows.

        Text names a column, as in Polars; text as a value is ``pl.lit("text")``.

        >>> import riverrun as rr
        >>> rr.read({"x": [1], "y": [2]}).select("x", z=pl.col("y") * 2).collect().row(0)
        (1, 4)
        """
        return Stream(Select((self.node,), tuple(_exprs(exprs, named, "select"))))

    def with_columns(self, *exprs: IntoExpr | Sequence[IntoExpr], **named: Any) -> Stream:
        """Add or replace columns.

        Text names a column, as in Polars; text as a value is ``pl.lit("text")``.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, 2]}).with_columns(y=pl.col("x") * 10).collect()["y"].to_list()
        [10, 20]
        """
        return Stream(WithColumns((self.node,), tuple(_exprs(exprs, named, "with_columns"))))

    def drop(self, *columns: str | Sequence[str]) -> Stream:
        """Leave these columns out."""
        return Stream(Drop((self.node,), arguments.names(arguments.flat(columns), where="drop")))

    def rename(self, mapping: Mapping[str, str]) -> Stream:
        """Rename columns, old name to new; the event-time column may be among them."""
        return Stream(Rename((self.node,), arguments.pairs(mapping, '{"old": "new"}', where="rename")))

    def cast(self, dtypes: Mapping[str, Any], *, strict: bool = False) -> Stream:
        """Convert columns to other types.

        Types that no value can be converted to, such as text to a list, are refused when the plan is made.

        Parameters
        ----------
        dtypes : column name to Polars type, or to a type of Python that means one.
        strict : whether a value that cannot be converted stops the run; otherwise it becomes null.

        >>> import riverrun as rr
        >>> rr.read({"x": ["1", "two"]}).cast({"x": pl.Int64}).collect()["x"].to_list()
        [1, None]
        """
        if not isinstance(strict, bool):
            raise PlanError(f"needs True or False, got {strict!r}", where="cast(strict=)")
        return Stream(Cast((self.node,), arguments.dtypes(dtypes, where="cast"), strict))

    def drop_nulls(self, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Leave out rows with a null in any of these columns (in any column, if none is named)."""
        return Stream(DropNulls((self.node,), _names(columns, "drop_nulls")))

    def fill_null(self, value: Any, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Put a value or expression in place of nulls, in these columns.

        If none is named, in all that can hold it: a number in columns of numbers, text in columns of text.
        Columns keep the kind of their values; those of whole numbers become Float64 if the value is none.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, None], "k": ["a", None]}).fill_null(0).select("x", "k").collect().rows()
        [(1, 'a'), (0, None)]
        """
        return Stream(FillNull((self.node,), value, _names(columns, "fill_null")))

    def explode(self, *columns: str | Sequence[str]) -> Stream:
        """One row for each item of list columns."""
        return Stream(Explode((self.node,), arguments.names(arguments.flat(columns), where="explode")))

    def map_frames(
        self,
        fn: Callable[[Any], Any],
        as_: FrameKind = "polars",
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> Stream:
        """Hand whole frames to a function of yours, as Polars, pandas, Arrow or a dict of NumPy arrays.

        The function sees some rows at a time, cut anywhere: what it makes of a row must not depend on
        the others. It is tried on an empty frame first, to learn its columns.

        Parameters
        ----------
        fn : takes a table and returns a table.
        as_ : what kind of table it takes.
        schema : the columns that come out, for functions that cannot work on an empty frame.

        >>> import riverrun as rr
        >>> rows = rr.read({"x": [1.0, 4.0]})
        >>> rows.map_frames(lambda t: t.assign(r=t.x ** 0.5), as_="pandas").collect()["r"].to_list()
        [1.0, 2.0]
        """
        if not callable(fn):
            raise PlanError(
                f"needs a function, got {arguments.one_line(fn)}", where="map_frames", hint=".map_frames(fn)"
            )
        if as_ not in ("polars", "pandas", "arrow", "numpy"):
            raise PlanError(
                f"there is no kind of frame {as_!r}",
                where="map_frames",
                hint=did_you_mean(str(as_), ["polars", "pandas", "arrow", "numpy"]),
            )
        declared = None if schema is None else arguments.declared(schema, where="map_frames(schema=)")
        return Stream(MapFrames((self.node,), fn, as_, declared))

    # -- windows ------------------------------------------------------------------------------------

    def group_by(self, *keys: IntoExpr | Sequence[IntoExpr]) -> Grouped:
        """Group by columns or expressions; without any, everything is one group. A window follows."""
        return Grouped(self, tuple(key_of(key) for key in arguments.flat(keys)))

    def profile(
        self,
        columns: str | Sequence[str],
        *,
        every: Duration = "1m",
        by: str | Sequence[str] = (),
        error: float = 0.01,
    ) -> Stream:
        """What the values of each column are like in each window: a row for each column, for a look at quality.

        Result columns: `by`, ``column`` (its name), ``window_start``, ``window_end``, ``rows``, ``nulls``,
        ``nans``, ``distinct`` (nulls left out), and, of values that are numbers or read as one, ``minimum``,
        ``maximum`` and ``mean``. It is a tumbling window over all columns at once: late rows and memory are
        those of its aggregates, for each column.

        Parameters
        ----------
        columns : the columns to look at.
        every : the length of the windows.
        by : the columns whose values make a group.
        error : how far ``distinct`` may be off, as for `n_unique`.

        >>> import riverrun as rr
        >>> rows = rr.read({"x": [1.0, None, 4.0], "city": ["Graz", "Graz", "Linz"]})
        >>> told = rows.profile(["x", "city"]).collect()
        >>> told.select("column", "rows", "nulls", "distinct", "maximum").rows()
        [('city', 3, 0, 2, None), ('x', 3, 1, 2, 4.0)]
        """
        chosen, keys = cleaning_steps.profiled(columns, by, every, error)
        told = Stream(Cells((self.node,), chosen, keys))
        long = told.explode(CELL).group_by(*keys, COLUMN.alias("column"))
        return long.window(tumbling(every)).agg(**profile_aggregates(error))

    def late(self) -> Stream:
        """The rows that came too late for this step; behind a window, each with that window's bounds."""
        if not isinstance(self.node, Stateful) or not self.node.has_late:
            raise PlanError(
                f"no rows can come too late for {self.node.label!r}",
                where="late",
                hint="call it on what .agg(...), .join_asof(...), .unique(...) or .resample(...) returned",
            )
        return Stream(Late((self.node,)))

    # -- ends ---------------------------------------------------------------------------------------

    def write(self, target: object, **options: Any) -> Output:
        """An end of the pipeline that writes the rows, for `rr.run`.

        Parameters
        ----------
        target : a URL such as ``"csv:out.csv"``, ``"duckdb:stats.duckdb"``, a path, or a sink object.
        options : of the sink, such as ``mode="upsert"`` or ``table="stats"``; `riverrun sinks NAME` lists them.
        """
        return Output(self.node, function("sink")(target, **options))

    def collect(self) -> pl.DataFrame:
        """Run a bounded input to its end and return all rows.

        Of a result that was revised only the last revision is kept. Results of windows are ordered by
        window end, then keys; other rows are in the order in which they came.

        Raises `PlanError` for an input that never ends.
        """
        frame = function("collect")(self.node)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def explain(self) -> str:
        """Print the plan, and return the text: every step, with its columns where they are known.

        >>> import riverrun as rr
        >>> text = rr.read({"x": [1, -1]}).filter(pl.col("x") > 0).explain()
        read frame: dict of columns
           format: rows; ends by itself
           event time: arrival, delay: 0s, idle: never
        └─ filter x > 0
        """
        text = explain(self.node)
        print(text)
        return text


def _exprs(exprs: tuple[object, ...], named: Mapping[str, Any], where: str) -> list[pl.Expr]:
    made = [pl.col(expr) if isinstance(expr, str) else expr for expr in arguments.flat(exprs)]
    for expr in made:
        if not isinstance(expr, pl.Expr):
            raise PlanError(
                f"not a Polars expression: {arguments.one_line(expr)}", where=where, hint='pl.col("price") > 0'
            )
    return [*made, *(_value(value, name, where).alias(name) for name, value in named.items())]


def _value(value: Any, name: str, where: str) -> pl.Expr:
    """What a column is made of, as in Polars: an expression, the name of a column, or a value for all rows."""
    if isinstance(value, (str, pl.Expr)):
        return pl.col(value) if isinstance(value, str) else value
    try:
        if isinstance(value, (pl.Series, pl.DataFrame)):
            raise TypeError
        return pl.lit(value)
    except TypeError:
        raise PlanError(
            f"{name}= must be an expression or one value for all rows, got {arguments.one_line(value)}",
            where=where,
            hint=f'{name}=pl.col("price") * 2; .map_frames(...) calls a function, .lookup(...) takes a table',
        ) from None


def _names(columns: str | list[str] | tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    if columns is None:
        return ()
    return arguments.some_names(columns, where=where, example="leave the columns out to mean all of them")
