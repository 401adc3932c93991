"""The fluent front of a plan: every method returns a new stream with one node more.

Nothing runs here. `Stream` is thin on purpose: what a step means stands with its node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from riverrun.clock import Duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan import cleaning_steps
from riverrun.plan.explain import explain
from riverrun.plan.grouping import Grouped, key_of
from riverrun.plan.joining import Joining
from riverrun.plan.nodes import (
    Cast,
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
from riverrun.plan.profile import CELL, COLUMN, cells, profile_aggregates
from riverrun.plan.stateful import Stateful
from riverrun.plan.tidying import Tidying
from riverrun.plan.typing import typed
from riverrun.registry import function
from riverrun.windows.describe import tumbling

IntoExpr = str | pl.Expr


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

    # -- stateless steps ----------------------------------------------------------------------------

    def filter(self, *predicates: pl.Expr) -> Stream:
        """Keep the rows for which all predicates are true.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, -1]}).filter(pl.col("x") > 0).collect()["x"].to_list()
        [1]
        """
        return Stream(Filter((self.node,), tuple(_exprs(predicates, {}, "filter"))))

    def select(self, *exprs: IntoExpr, **named: Any) -> Stream:
        """Keep or make these columns only; keep the event-time column if a window follows.

        >>> import riverrun as rr
        >>> rr.read({"x": [1], "y": [2]}).select("x", z=pl.col("y") * 2).collect().row(0)
        (1, 4)
        """
        return Stream(Select((self.node,), tuple(_exprs(exprs, named, "select"))))

    def with_columns(self, *exprs: IntoExpr, **named: Any) -> Stream:
        """Add or replace columns.

        >>> import riverrun as rr
        >>> rr.read({"x": [1, 2]}).with_columns(y=pl.col("x") * 10).collect()["y"].to_list()
        [10, 20]
        """
        return Stream(WithColumns((self.node,), tuple(_exprs(exprs, named, "with_columns"))))

    def drop(self, *columns: str) -> Stream:
        """Leave these columns out."""
        return Stream(Drop((self.node,), cleaning_steps.names(columns, where="drop")))

    def rename(self, mapping: Mapping[str, str]) -> Stream:
        """Rename columns, old name to new; the event-time column may be among them."""
        return Stream(Rename((self.node,), cleaning_steps.pairs(mapping, '{"old": "new"}', where="rename")))

    def cast(self, dtypes: Mapping[str, Any], *, strict: bool = False) -> Stream:
        """Convert columns to other types.

        Parameters
        ----------
        dtypes : column name to Polars type.
        strict : whether a value that cannot be converted stops the run; otherwise it becomes null.
        """
        made = cleaning_steps.pairs(dtypes, '{"size": pl.Float64}', where="cast")
        return Stream(Cast((self.node,), made, strict))

    def drop_nulls(self, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Leave out rows with a null in any of these columns (in any column, if none is named)."""
        return Stream(DropNulls((self.node,), _names(columns, "drop_nulls")))

    def fill_null(self, value: Any, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Put a value or expression in place of nulls, in these columns (in all, if none is named)."""
        return Stream(FillNull((self.node,), value, _names(columns, "fill_null")))

    def explode(self, *columns: str) -> Stream:
        """One row for each item of list columns."""
        return Stream(Explode((self.node,), cleaning_steps.names(columns, where="explode")))

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
        if as_ not in ("polars", "pandas", "arrow", "numpy"):
            raise PlanError(
                f"there is no kind of frame {as_!r}",
                where="map_frames",
                hint=did_you_mean(str(as_), ["polars", "pandas", "arrow", "numpy"]),
            )
        declared = None if schema is None else cleaning_steps.declared(schema, where="map_frames(schema=)")
        return Stream(MapFrames((self.node,), fn, as_, declared))

    # -- windows ------------------------------------------------------------------------------------

    def group_by(self, *keys: IntoExpr) -> Grouped:
        """Group by columns or expressions; without any, everything is one group. A window follows."""
        return Grouped(self, tuple(key_of(key) for key in keys))

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
        chosen, keys = cleaning_steps.profiled(columns, by)
        long = self.with_columns(cells(chosen)).explode(CELL).group_by(*keys, COLUMN.alias("column"))
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
    made = [pl.col(expr) if isinstance(expr, str) else expr for expr in exprs]
    for expr in made:
        if not isinstance(expr, pl.Expr):
            raise PlanError(f"not a Polars expression: {expr!r}", where=where, hint='pl.col("price") > 0')
    literal = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in named.items()}
    return [*(e for e in made if isinstance(e, pl.Expr)), *(e.alias(name) for name, e in literal.items())]


def _names(columns: str | list[str] | tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    return () if columns is None else cleaning_steps.names(columns, where=where)
