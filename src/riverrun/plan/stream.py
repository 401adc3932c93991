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
from riverrun.plan.cleaning import Fill
from riverrun.plan.cleaning_steps import Normal, Outliers
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
from riverrun.plan.remembering import UserFunction
from riverrun.plan.repair import Decimal
from riverrun.plan.stateful import Stateful
from riverrun.plan.typing import typed
from riverrun.registry import function
from riverrun.windows.describe import tumbling

IntoExpr = str | pl.Expr


class Stream(Joining):
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

    def repair_types(
        self,
        types: Mapping[str, Any],
        *,
        decimal: Decimal = ".",
        formats: str | Sequence[str] = (),
        true: str | Sequence[str] = (),
        false: str | Sequence[str] = (),
        count: str | None = None,
    ) -> Stream:
        """Turn text into proper types: numbers with separators, currencies, percents; yes and no; dates.

        Numbers: spaces, currency signs and codes go; ``12%`` is 0.12, ``(5)`` is −5; separators must stand
        between groups of three digits. Words for nothing (``""``, ``n/a``, ``null``, ``-`` and such) become
        null. What cannot be told for sure becomes null, too, and is counted if `count` is given. Columns that
        hold no text are converted as by `cast`.

        Parameters
        ----------
        types : column to type: numbers, ``pl.Boolean``, ``pl.Date``, ``pl.Datetime``, ``pl.String``.
        decimal : what stands before the fraction, ``"."`` or ``","``; the other one separates groups.
        formats : of dates and times, such as ``"%d.%m.%Y"``; tried in order, ISO 8601 last. Text without a
            zone is in that of the type.
        true, false : more words for true and false.
        count : the name of a column for how many values of the row could not be repaired.

        >>> import riverrun as rr
        >>> rows = rr.read({"price": ["€ 1,234.50", "n/a", "cheap"]})
        >>> rows.repair_types({"price": pl.Float64}, count="lost").select("price", "lost").collect().rows()
        [(1234.5, 0), (None, 0), (None, 1)]
        """
        return Stream(cleaning_steps.repair_types(self.node, types, decimal, formats, true, false, count))

    def clip(
        self, columns: str | Sequence[str], lower: float | None = None, upper: float | None = None
    ) -> Stream:
        """Set values below `lower` or above `upper` to that bound.

        >>> import riverrun as rr
        >>> rr.read({"x": [-3, 2, 9]}).clip("x", 0, 5).collect()["x"].to_list()
        [0, 2, 5]
        """
        return self.with_columns(*cleaning_steps.clip(lower, upper, columns))

    # -- steps that remember rows before -------------------------------------------------------------

    def unique(self, keys: str | Sequence[str], *, within: Duration | None = None) -> Stream:
        """Let the first row of each key pass, and drop those that repeat it within some event time.

        A row is a repetition when a row of the same key that has passed lies at most `within` from it, before
        or after. The rows are taken in the order in which they arrive, and pass at once. Dropped ones are
        counted as `duplicate`. A row that comes more than `within` behind the watermark is late, since the
        rows that it might repeat have been forgotten: see `late`. Memory: one entry for each row that passed
        in the last two `within`.

        Parameters
        ----------
        keys : the columns that are equal in repetitions; a null is equal to a null.
        within : how far apart repetitions may be. Needed, so that keys can be forgotten.

        >>> import riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "id": pl.Int64}
        >>> rows = rr.read({"ts": [1, 2, 9], "id": [7, 7, 7]}, schema=schema, time="ts")
        >>> rows.unique("id", within="5s").collect()["ts"].dt.epoch("s").to_list()
        [1, 9]
        """
        return Stream(cleaning_steps.unique(self.node, keys, within))

    def forward_fill(
        self, columns: str | Sequence[str], *, by: str | Sequence[str] = (), max_age: Duration | None = None
    ) -> Stream:
        """Fill nulls with the last value that came before them, key by key, in the order of arrival.

        As `forward_fill` in Polars and `ffill` in pandas on the rows in the order in which they came: a row
        that comes out of order is filled with what came before it, which may be newer. For values by event
        time take `resample`. Filled values count as imputed (`quality=True` of windows). Memory: one row for
        each key, at most `Limits.max_keys`; rows of further keys are not filled.

        Parameters
        ----------
        columns : the columns to fill.
        by : the columns whose values make a key; without any, all rows belong together.
        max_age : how far apart in event time a value and the row that it fills may be; keys that have been
            silent for so long are forgotten.

        >>> import riverrun as rr
        >>> rows = rr.read({"sensor": ["a", "b", "a"], "x": [1.0, None, None]})
        >>> rows.forward_fill("x", by="sensor").collect()["x"].to_list()
        [1.0, None, 1.0]
        """
        return Stream(cleaning_steps.forward_fill(self.node, columns, by, max_age))

    def interpolate(
        self, columns: str | Sequence[str], *, by: str | Sequence[str] = (), within: Duration
    ) -> Stream:
        """Fill nulls on the line between the values before and behind, key by key, by event time.

        As `interpolate` with ``method="time"`` in pandas (``limit_area="inside"``) on the rows of a key in the
        order of event time. Rows come out in that order, once the watermark is `within` past them: until then
        the value behind may still come. Columns become Float64. Filled values count as imputed
        (`quality=True` of windows). A row behind the watermark of its partition is late, see `late`. Memory:
        the rows that wait, and one row of each key that had a value within the last `within`.

        Parameters
        ----------
        columns : the columns to fill; numbers.
        by : the columns whose values make a key; without any, all rows belong together.
        within : how far apart two values may be that are joined; nulls in a longer gap stay.

        >>> import riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "x": pl.Float64}
        >>> data = {"ts": [0, 1, 4, 90, 99], "x": [1.0, None, 3.0, None, 5.0]}
        >>> rows = rr.read(data, schema=schema, time="ts")
        >>> rows.interpolate("x", within="10s").collect()["x"].to_list()
        [1.0, 1.5, 3.0, None, 5.0]
        """
        return Stream(cleaning_steps.interpolate(self.node, columns, by, within))

    def resample(
        self,
        every: Duration,
        *,
        by: str | Sequence[str] = (),
        fill: Fill = "forward",
        columns: str | Sequence[str] | None = None,
        max_gap: Duration,
    ) -> Stream:
        """Values at regular instants of event time, key by key.

        Instants are multiples of `every` since 1970. A row comes out for each key and instant, ordered by
        instant, then key, once the watermark is past it: with the last values at or before the instant
        (``"forward"``), with nulls where none came since the instant before (``"null"``), or on the line
        between the rows before and behind (``"linear"``, numbers only; comes out `max_gap` later). Where
        there are several rows at one time the last that came counts. At the end of the input the grid ends
        with its newest row. To bring many rows down to few take a window and an aggregate.

        A row counts as late, see `late`, when its first instant was over for its own partition (with
        ``"linear"``: when its own time was). Memory: the rows since the watermark and one of each key.

        Parameters
        ----------
        by : the columns whose values make a key; without any, all rows belong together.
        columns : the columns that get values; all others, if none is named.
        max_gap : how far a value reaches. A key that has been silent for longer leaves the grid until it
            comes back.

        >>> import riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "x": pl.Float64}
        >>> rows = rr.read({"ts": [0, 4], "x": [1.0, 3.0]}, schema=schema, time="ts")
        >>> rows.resample("2s", fill="linear", max_gap="10s").collect()["x"].to_list()
        [1.0, 2.0, 3.0]
        """
        return Stream(cleaning_steps.resample(self.node, every, by, fill, columns, max_gap))

    def clip_outliers(
        self,
        columns: str | Sequence[str],
        *,
        by: str | Sequence[str] = (),
        method: Outliers = "sigma",
        k: float | None = None,
        min_rows: int = 10,
        last: int = 100,
    ) -> Stream:
        """Bring outliers back to the edge of what the rows of their key before were like.

        ``"sigma"``: to `k` standard deviations from the mean of all rows before; memory: 32 bytes for each
        key and column. ``"iqr"``: to `k` times the distance of the quartiles outside of them, of the `last`
        rows before (Tukey 1977), which follows drifts and is not moved by outliers; memory: so many values.
        ``"mad"``: to `k` times 1.4826 times the median absolute deviation from the median of the `last` rows
        before (Hampel 1974), which holds as long as fewer than half of them are outliers; memory: as ``"iqr"``.
        Where more than half of them are equal the deviation is 0, and every other value becomes that one.
        A row is judged by those that arrived before it, with their values as they came, never by later ones.
        Rows behind the watermark are treated as all others. NaN, null and the first rows of a key stay as
        they are; infinite values are clipped and tell nothing of others.

        Parameters
        ----------
        by : the columns whose values make a key; without any, all rows belong together.
        k : how far out a value may be; 3 for ``"sigma"`` and ``"mad"``, 1.5 for ``"iqr"``.
        min_rows : so many values must have come before a row is judged.
        last : for ``"iqr"`` and ``"mad"``: how many rows it looks back.

        >>> import riverrun as rr
        >>> rows = rr.read({"x": [1.0, 2.0, 3.0, 4.0, 500.0]})
        >>> rows.clip_outliers("x", method="iqr", min_rows=4).collect()["x"].to_list()
        [1.0, 2.0, 3.0, 4.0, 5.5]
        """
        return Stream(cleaning_steps.clip_outliers(self.node, columns, by, method, k, min_rows, last))

    def normalise(
        self, columns: str | Sequence[str], *, by: str | Sequence[str] = (), method: Normal = "zscore"
    ) -> Stream:
        """Make values comparable, by the rows of their key that came before.

        ``"zscore"``: (x − mean) / standard deviation (``ddof=0``), as `StandardScaler` of scikit-learn.
        ``"minmax"``: (x − min) / (max − min), as `MinMaxScaler`; below 0 or above 1 for what is new. Rows are
        judged by those that arrived before them, never by themselves, so that nothing of the future leaks
        into a model. Null until two different values have come. Rows behind the watermark are treated as all
        others. Values that are not finite tell nothing of others. Memory: 32 bytes for each key and column.

        Parameters
        ----------
        by : the columns whose values make a key; without any, all rows belong together.

        >>> import riverrun as rr
        >>> rr.read({"x": [0.0, 4.0, 5.0]}).normalise("x").collect()["x"].to_list()
        [None, None, 1.5]
        """
        return Stream(cleaning_steps.normalise(self.node, columns, by, method))

    def latest(self, by: str | Sequence[str]) -> Stream:
        """The newest row of each key, as a table that changes: a row comes out when it is the newest.

        The newest is the one with the largest event time; of several, the one that came last. A row that is
        older than what its key has is no news, however late it comes. `by` is the key for sinks with
        ``mode="upsert"`` and for live tables; `collect` returns the last row of each key, ordered
        by key. Of the rows of one
        batch only the newest of a key comes out, so that the table is right after every batch, and how many
        changes it saw depends on batches. Memory: one time for each key, at most `Limits.max_keys`; rows of
        further keys do not come out.

        >>> import riverrun as rr
        >>> rows = rr.read({"symbol": ["A", "B", "A"], "price": [1.0, 7.0, 2.0]})
        >>> rows.latest("symbol").select("symbol", "price").collect().rows()
        [('A', 2.0), ('B', 7.0)]
        """
        return Stream(cleaning_steps.latest(self.node, by))

    def stateful(
        self,
        fn: UserFunction,
        init: Any = None,
        *,
        by: str | Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
    ) -> Stream:
        """A function of yours with a memory: it gets the state of a key and rows, and returns both.

        ``fn(state, frame)`` is called for each key that a batch has rows of, in the order of arrival, and
        returns the new state and the rows that come out. Batches are cut anywhere, so a result that must not
        depend on it must satisfy ``fn(fn(s, a), b) == fn(s, a + b)`` for the state and for the rows. The
        state must be plain values or Polars frames, so that it can be written to a checkpoint, and `fn` must
        not look at clocks, chance or anything outside. Rows behind the watermark are handed over as all
        others. Python runs for each key and batch: thousands of keys a batch are slow.

        Parameters
        ----------
        fn : takes a state and a Polars frame of one key, and returns a tuple of both. It is tried on an empty
            frame first, to learn its columns.
        init : the state of a key before its first row.
        by : the columns whose values make a key; without any, all rows belong together.
        schema : the columns that come out, for functions that cannot work on an empty frame.

        Raises `PlanError` when it fails, returns other columns, keeps what is not plain, or has more keys
        than `Limits.max_keys`.

        >>> import riverrun as rr
        >>> def numbered(seen, rows):
        ...     return seen + rows.height, rows.with_columns(n=pl.int_range(seen, seen + rows.height))
        >>> rr.read({"key": ["a", "b", "a"]}).stateful(numbered, 0, by="key").collect()["n"].to_list()
        [0, 0, 1]
        """
        return Stream(cleaning_steps.stateful(self.node, fn, init, by, schema))

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
