"""Groups and their windows: what stands between a stream and its aggregates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from riverrun.clock import Duration, parse_duration
from riverrun.errors import PlanError
from riverrun.plan.arguments import one_line
from riverrun.plan.window_aggregate import Key, WindowAggregate
from riverrun.stats.aggregate import Aggregate
from riverrun.windows.describe import Trailing, Window, rolling, takes_rows_in_order
from riverrun.words import shown

if TYPE_CHECKING:
    from riverrun.plan.stream import Stream


#: What groups of a whole table have in Polars.
_WHOLE_GROUPS = frozenset(
    [
        "agg",
        "all",
        "count",
        "first",
        "head",
        "last",
        "len",
        "max",
        "mean",
        "median",
        "min",
        "n_unique",
        "quantile",
        "sum",
        "tail",
    ]
)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Rows with a grouping; a window makes it ready for aggregates."""

    stream: Stream
    keys: tuple[Key, ...]

    def window(
        self,
        window: Window,
        lateness: Duration = "0s",
        emit: Literal["final", "batch"] | Duration = "final",
        *,
        quality: bool = False,
    ) -> Windowed:
        """Cut event time into windows.

        Parameters
        ----------
        window : such as ``rr.tumbling("10s")``.
        lateness : how long after its end a window still takes rows; each makes a new revision of its result.
        emit : ``"final"``: results when a window closes; ``"batch"`` or a duration such as ``"1s"``: also
            early results of open windows that have changed, after every batch or so often by the clock.
        quality : whether each result also tells of its rows: ``rows``, how many they are; ``late_rows``, how
            many of them came behind the watermark, but in time for this window or its `lateness`;
            ``rejected_rows``, how many records were refused meanwhile, for every key the same;
            ``duplicate_rows``, how many rows of this key and window `unique` removed; ``imputed_values``, how
            many values of the rows `fill_null`, `forward_fill` or `resample` filled in.
        """
        if not isinstance(quality, bool):
            raise PlanError(f"needs True or False, got {quality!r}", where="window(quality=)")
        if not isinstance(window, Window):
            raise PlanError(f"not a window: {one_line(window)}", where="window", hint='rr.tumbling("10s")')
        lateness_us = parse_duration(lateness, where="window(lateness=)")
        made = Windowed(self.stream, self.keys, window, lateness_us, _emit(emit), quality)
        _final_only(made)
        return made

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
        """A newcomer's `.group_by(...).agg(...)` or `.mean()` gets an answer that helps."""
        if name in _WHOLE_GROUPS:
            raise PlanError(
                "a stream has no end at which a whole group could be aggregated",
                where="group_by",
                hint='.window(rr.tumbling("10s")).agg(mean=rr.mean("price"))',
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
    quality: bool = False

    def agg(self, *unnamed: Aggregate, **aggregates: Aggregate) -> Stream:
        """Named aggregates of every group and window: ``.agg(n=rr.count(), mean=rr.mean("price"))``.

        Result columns, in this order: the keys, ``window_start``, ``window_end``, the aggregates; with
        `lateness` or an early `emit` also ``revision`` (0 is the first) and ``final`` (false for the early
        result of a window that is still open); with `quality` also ``rows``, ``late_rows``,
        ``rejected_rows``, ``duplicate_rows`` and ``imputed_values``. After `rolling` and `running`: the keys,
        the event time, the other columns of the row, the aggregates.
        """
        if unnamed or not aggregates:
            problem = f"{_written(unnamed[0])} needs a name" if unnamed else "no aggregate is named"
            raise PlanError(problem, where="agg", hint='.agg(n=rr.count(), mean=rr.mean("price"))')
        for name, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                raise PlanError(
                    f"{name}= must be an aggregate, got {one_line(aggregate)}",
                    where="agg",
                    hint=f'{name}=rr.mean("price")',
                )
        node = WindowAggregate(
            (self.stream.node,),
            self.keys,
            self.window,
            self.lateness_us,
            self.emit,
            dict(aggregates),
            self.quality,
        )
        return type(self.stream)(node)


def _written(aggregate: object) -> str:
    return aggregate.label if isinstance(aggregate, Aggregate) else one_line(aggregate)


def _final_only(made: Windowed) -> None:
    """Raise `PlanError` for results that cannot be revised, or come early."""
    if not takes_rows_in_order(made.window) or (made.lateness_us == 0 and made.emit == "final"):
        return
    if made.lateness_us:
        raise PlanError(
            f"{made.window} takes rows in the order of event time, so a late row would change every window "
            "after it",
            where="window(lateness=)",
            hint='leave it out, and let rows wait for each other: rr.read(..., delay="10s")',
        )
    raise PlanError(
        f"{made.window} takes rows in the order of event time, when they are final, so nothing can come early",
        where="window(emit=)",
        hint="leave it out; .running() has a result for every row",
    )


def _emit(emit: Literal["final", "batch"] | Duration) -> Literal["final", "batch"] | int:
    if emit == "final":
        return "final"
    if emit == "batch":
        return "batch"
    emit_us = parse_duration(emit, where="window(emit=)")
    if emit_us == 0:
        raise PlanError("early results need some time between them", where="window(emit=)", hint='emit="1s"')
    return emit_us


def key_of(key: object) -> Key:
    """A column name or an expression as a key. Raises `PlanError` for anything else."""
    if isinstance(key, str):
        return Key(key, pl.col(key))
    if isinstance(key, pl.Expr):
        name = key.meta.output_name(raise_if_undetermined=False)
        if name is None:
            raise PlanError(
                f"{shown(key)} is several columns, and each key is one",
                where="group_by",
                hint='.group_by("symbol", "venue")',
            )
        return Key(name, key)
    raise PlanError(
        f"a key is a column name or an expression, got {one_line(key)}",
        where="group_by",
        hint='.group_by("symbol")',
    )
