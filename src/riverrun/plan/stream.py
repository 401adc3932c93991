"""The fluent front of a plan: every method returns a new stream with one node more.

Nothing runs here. `Stream` is thin on purpose: what a step means stands with its node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from riverrun.clock import Duration, parse_duration
from riverrun.errors import PlanError, did_you_mean
from riverrun.plan.explain import explain
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
from riverrun.plan.stateful import Stateful
from riverrun.plan.typing import typed
from riverrun.plan.window_aggregate import Key, WindowAggregate
from riverrun.registry import function
from riverrun.stats.aggregate import Aggregate
from riverrun.windows.describe import Trailing, Window, rolling

IntoExpr = str | pl.Expr


class Stream:
    """Rows on their way. Made by `rr.read`; every step returns a new stream and leaves this one as it is."""

    __slots__ = ("node",)

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
        return Stream(Drop((self.node,), columns))

    def rename(self, mapping: Mapping[str, str]) -> Stream:
        """Rename columns, old name to new; the event-time column may be among them."""
        return Stream(Rename((self.node,), dict(mapping)))

    def cast(self, dtypes: Mapping[str, Any], *, strict: bool = False) -> Stream:
        """Convert columns to other types.

        Parameters
        ----------
        dtypes : column name to Polars type.
        strict : whether a value that cannot be converted stops the run; otherwise it becomes null.
        """
        return Stream(Cast((self.node,), dict(dtypes), strict))

    def drop_nulls(self, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Leave out rows with a null in any of these columns (in any column, if none is named)."""
        return Stream(DropNulls((self.node,), _names(columns)))

    def fill_null(self, value: Any, columns: str | list[str] | tuple[str, ...] | None = None) -> Stream:
        """Put a value or expression in place of nulls, in these columns (in all, if none is named)."""
        return Stream(FillNull((self.node,), value, _names(columns)))

    def explode(self, *columns: str) -> Stream:
        """One row for each item of list columns."""
        return Stream(Explode((self.node,), columns))

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
        declared = None if schema is None else pl.Schema(schema)
        return Stream(MapFrames((self.node,), fn, as_, declared))

    # -- windows ------------------------------------------------------------------------------------

    def group_by(self, *keys: IntoExpr) -> Grouped:
        """Group by columns or expressions; without any, everything is one group. A window follows."""
        return Grouped(self, tuple(_key(key) for key in keys))

    def late(self) -> Stream:
        """The rows that came too late for a window of this aggregation, each with that window's bounds."""
        if not isinstance(self.node, Stateful) or not self.node.has_late:
            raise PlanError(
                f"only results of windows have late rows, and this is {self.node.label!r}",
                where="late",
                hint="call it on what .agg(...) returned",
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


@dataclass(frozen=True, slots=True)
class Grouped:
    """Rows with a grouping; a window makes it ready for aggregates."""

    stream: Stream
    keys: tuple[Key, ...]

    def window(
        self, window: Window, lateness: Duration = "0s", emit: Literal["final", "batch"] | Duration = "final"
    ) -> Windowed:
        """Cut event time into windows.

        Parameters
        ----------
        window : such as ``rr.tumbling("10s")``.
        lateness : how long after its end a window still takes rows; each makes a new revision of its result.
        emit : ``"final"``: results when a window closes; ``"batch"`` or a duration such as ``"1s"``: also
            early results of open windows that have changed, after every batch or so often by the clock.
        """
        if not isinstance(window, Window):
            raise PlanError(f"not a window: {window!r}", where="window", hint='rr.tumbling("10s")')
        lateness_us = parse_duration(lateness, where="window(lateness=)")
        return Windowed(self.stream, self.keys, window, lateness_us, _emit(emit))

    def rolling(self, period: Duration) -> Windowed:
        """For each row, aggregates of the rows of its key in the time before it.

        The window of a row at t is ``(t - period, t]``, as that of `polars.DataFrame.rolling`: it holds the
        row itself and all others of the same instant. Each row comes out once, in the order of event time,
        when the watermark has passed it; so rows that are out of order within `delay` of `rr.read` are in
        their place. Nothing is ever subtracted: an outlier that has left the window leaves no trace.

        Result columns, in this order: the keys, the event time, the other columns of the row, the aggregates.

        Parameters
        ----------
        period : how far back the window reaches.

        Raises
        ------
        PlanError : when `period` is zero.

        >>> import riverrun as rr
        >>> from datetime import datetime
        >>> times = [datetime(2026, 1, 1, 0, minute) for minute in (0, 3, 5)]
        >>> rows = rr.read({"t": times, "x": [1.0, 2.0, 6.0]}, time="t")
        >>> rows.group_by().rolling("5m").agg(mean=rr.mean("x")).collect()["mean"].to_list()
        [1.0, 1.5, 4.0]
        """
        return Windowed(self.stream, self.keys, rolling(period), 0, "final")

    def running(self) -> Windowed:
        """For each row, aggregates of all rows of its key from the start up to it.

        Rows come out as from `rolling`, in the order of event time. Of rows of one instant, each counts those
        that came before it. The state holds partials of every key that ever came.

        >>> import riverrun as rr
        >>> rows = rr.read({"k": ["a", "b", "a"], "x": [1.0, 5.0, 3.0]})
        >>> rows.group_by("k").running().agg(total=rr.sum("x")).collect()["total"].to_list()
        [1.0, 5.0, 4.0]
        """
        return Windowed(self.stream, self.keys, Trailing(None), 0, "final")

    def __getattr__(self, name: str) -> Any:
        """A newcomer's `.group_by(...).agg(...)` gets an answer that helps."""
        if name == "agg":
            raise PlanError(
                "a stream has no end at which a whole group could be aggregated",
                where="group_by",
                hint='.window(rr.tumbling("10s")).agg(...)',
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class Windowed:
    """Rows with a grouping and a window."""

    stream: Stream
    keys: tuple[Key, ...]
    window: Window
    lateness_us: int
    emit: Literal["final", "batch"] | int

    def agg(self, **aggregates: Aggregate) -> Stream:
        """Named aggregates of every group and window: ``.agg(n=rr.count(), mean=rr.mean("price"))``.

        Result columns, in this order: the keys, ``window_start``, ``window_end``, the aggregates; with
        `lateness` or an early `emit` also ``revision`` (0 is the first) and ``final`` (false for the early
        result of a window that is still open). After `rolling` and `running`: the keys, the event time, the
        other columns of the row, the aggregates.
        """
        if not aggregates:
            raise PlanError(
                "no aggregate is named", where="agg", hint='.agg(n=rr.count(), mean=rr.mean("price"))'
            )
        for name, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise PlanError(
                    f"{name}= must be an aggregate, got {aggregate!r}",
                    where="agg",
                    hint=f'{name}=rr.mean("price")',
                )
        node = WindowAggregate(
            (self.stream.node,), self.keys, self.window, self.lateness_us, self.emit, dict(aggregates)
        )
        return Stream(node)


def _emit(emit: Literal["final", "batch"] | Duration) -> Literal["final", "batch"] | int:
    if emit == "final":
        return "final"
    if emit == "batch":
        return "batch"
    emit_us = parse_duration(emit, where="window(emit=)")
    if emit_us == 0:
        raise PlanError("early results need some time between them", where="window(emit=)", hint='emit="1s"')
    return emit_us


def _key(key: object) -> Key:
    if isinstance(key, str):
        return Key(key, pl.col(key))
    if isinstance(key, pl.Expr):
        return Key(key.meta.output_name(), key)
    raise PlanError(
        f"a key is a column name or an expression, got {key!r}", where="group_by", hint='.group_by("symbol")'
    )


def _exprs(exprs: tuple[object, ...], named: Mapping[str, Any], where: str) -> list[pl.Expr]:
    made = [pl.col(expr) if isinstance(expr, str) else expr for expr in exprs]
    for expr in made:
        if not isinstance(expr, pl.Expr):
            raise PlanError(f"not a Polars expression: {expr!r}", where=where, hint='pl.col("price") > 0')
    literal = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in named.items()}
    return [*(e for e in made if isinstance(e, pl.Expr)), *(e.alias(name) for name, e in literal.items())]


def _names(columns: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)
