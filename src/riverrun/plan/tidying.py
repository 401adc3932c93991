"""The fluent front of steps that clean rows: types, repetitions, gaps, outliers, scales, what a key is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from riverrun.clock import Duration
from riverrun.plan import cleaning_steps
from riverrun.plan.chained import Chained
from riverrun.plan.cleaning import Fill
from riverrun.plan.cleaning_steps import Normal, Outliers
from riverrun.plan.remembering import UserFunction
from riverrun.plan.repair import Decimal

if TYPE_CHECKING:
    from riverrun.plan.stream import Stream


class Tidying(Chained):
    """Methods of `Stream` that clean; most of them remember rows that came before."""

    __slots__ = ()

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

        >>> import polars as pl, riverrun as rr
        >>> rows = rr.read({"price": ["€ 1,234.50", "n/a", "cheap"]})
        >>> rows.repair_types({"price": pl.Float64}, count="lost").select("price", "lost").collect().rows()
        [(1234.5, 0), (None, 0), (None, 1)]
        """
        return self._with(cleaning_steps.repair_types(self.node, types, decimal, formats, true, false, count))

    def clip(self, columns: str | Sequence[str], lower: Any = None, upper: Any = None) -> Stream:
        """Set values below `lower` or above `upper` to that bound; null and NaN stay.

        Bounds are numbers, of columns of dates and times such as those; a bound of whole numbers is one.

        >>> import riverrun as rr
        >>> rr.read({"x": [-3, 2, 9]}).clip("x", 0, 5).collect()["x"].to_list()
        [0, 2, 5]
        """
        return self._with(cleaning_steps.clip(self.node, columns, lower, upper))

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

        >>> import polars as pl, riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "id": pl.Int64}
        >>> rows = rr.read({"ts": [1, 2, 9], "id": [7, 7, 7]}, schema=schema, time="ts")
        >>> rows.unique("id", within="5s").collect()["ts"].dt.epoch("s").to_list()
        [1, 9]
        """
        return self._with(cleaning_steps.unique(self.node, keys, within))

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
        return self._with(cleaning_steps.forward_fill(self.node, columns, by, max_age))

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

        >>> import polars as pl, riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "x": pl.Float64}
        >>> data = {"ts": [0, 1, 4, 90, 99], "x": [1.0, None, 3.0, None, 5.0]}
        >>> rows = rr.read(data, schema=schema, time="ts")
        >>> rows.interpolate("x", within="10s").collect()["x"].to_list()
        [1.0, 1.5, 3.0, None, 5.0]
        """
        return self._with(cleaning_steps.interpolate(self.node, columns, by, within))

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

        >>> import polars as pl, riverrun as rr
        >>> schema = {"ts": rr.Timestamp("s"), "x": pl.Float64}
        >>> rows = rr.read({"ts": [0, 4], "x": [1.0, 3.0]}, schema=schema, time="ts")
        >>> rows.resample("2s", fill="linear", max_gap="10s").collect()["x"].to_list()
        [1.0, 2.0, 3.0]
        """
        return self._with(cleaning_steps.resample(self.node, every, by, fill, columns, max_gap))

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
        return self._with(cleaning_steps.clip_outliers(self.node, columns, by, method, k, min_rows, last))

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
        return self._with(cleaning_steps.normalise(self.node, columns, by, method))

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
        return self._with(cleaning_steps.latest(self.node, by))

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

        >>> import polars as pl, riverrun as rr
        >>> def numbered(seen, rows):
        ...     return seen + rows.height, rows.with_columns(n=pl.int_range(seen, seen + rows.height))
        >>> rr.read({"key": ["a", "b", "a"]}).stateful(numbered, 0, by="key").collect()["n"].to_list()
        [0, 0, 1]
        """
        return self._with(cleaning_steps.stateful(self.node, fn, init, by, schema))
