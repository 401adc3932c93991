"""First, last, open-high-low-close and collect: what depends on the order of event time.

Rows of equal event time count in the order in which they arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from riverrun.stats.aggregate import Aggregate, Finished, OfOne, label_of
from riverrun.stats.extremes import Extreme
from riverrun.stats.partials import (
    EVENT_TIME,
    ColumnLike,
    Input,
    LongOfOne,
    Nan,
    Partial,
    Rows,
    Side,
    WideOfOne,
    WidePartial,
)
from riverrun.stats.windowed import FIRST, LAST, Needs, picked

Edge = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class EdgeValue(WideOfOne):
    """The earliest or latest value that is not null, and its event time."""

    edge: Edge

    @property
    def by_time(self) -> bool:
        return True

    def _take(self, values: pl.Expr) -> pl.Expr:
        return values.first() if self.edge == "first" else values.last()

    def of_rows(self, rows: Rows) -> dict[str, pl.Expr]:
        x, time = rows.expr(self.x), pl.col(EVENT_TIME)
        if self.x not in rows.complete:
            x, time = x.drop_nulls(), time.filter(x.is_not_null())
        return {"value": self._take(x), "time": self._take(time)}

    def gather(self, common: bool) -> dict[str, pl.Expr]:
        del common
        value, time = self.col("value"), self.col("time")
        there = time.is_not_null()
        in_order = time.filter(there)
        return {
            "value": self._take(value.filter(there).sort_by(in_order, maintain_order=True)),
            "time": self._take(in_order.sort_by(in_order, maintain_order=True)),
        }

    def each(self, rows: Rows) -> dict[str, pl.Expr]:
        x = rows.expr(self.x)
        return {"value": x, "time": pl.when(x.is_not_null()).then(pl.col(EVENT_TIME))}

    def pair(self, earlier: Side, later: Side) -> dict[str, pl.Expr]:
        a, b = (side(self.column("time")) for side in (earlier, later))
        wins = (a <= b if self.edge == "first" else a > b).fill_null(b.is_null())
        return {
            part: pl.when(wins).then(earlier(self.column(part))).otherwise(later(self.column(part)))
            for part in ("value", "time")
        }

    def windowed(self, rows: Rows, period: str) -> Needs:
        del period
        x, first, last = rows.expr(self.x), pl.col(FIRST), pl.col(LAST)
        there = pl.when(x.is_not_null()).then(pl.int_range(pl.len(), dtype=pl.Int64))
        if self.x in rows.complete:
            at = first if self.edge == "first" else last
        elif self.edge == "first":
            near = there.backward_fill().gather(first)
            at = pl.when(near <= last).then(near)
        else:
            near = there.forward_fill().gather(last)
            at = pl.when(near >= first).then(near)
        names = {part: f"{self.name}_{part}" for part in ("value", "time")}
        found = {names["value"]: x.gather(at), names["time"]: pl.col(EVENT_TIME).gather(at)}
        return Needs(
            picked=found, parts=self.named({part: pl.col(picked(name)) for part, name in names.items()})
        )


def _edge(x: Input, edge: Edge) -> EdgeValue:
    return EdgeValue(x, f"{edge}_{x.short}", edge)


@dataclass(frozen=True, slots=True)
class Collected(LongOfOne):
    """All values that are not null, with their event times."""

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        table = frame.select(*by, pl.col(EVENT_TIME).alias("time"), rows.expr(self.x).alias("value"))
        return table.filter(pl.col("value").is_not_null())

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        del by
        return frame


def collected_of(x: Input) -> Collected:
    return Collected(x, f"collect_{x.short}")


@dataclass(frozen=True, slots=True)
class EdgeAggregate(OfOne):
    edge: Edge

    accepts = "anything"

    def partials(self) -> tuple[Partial, ...]:
        return (_edge(self.x, self.edge),)

    def value(self, at: Finished) -> pl.Expr:
        del at
        return _edge(self.x, self.edge).col("value")


@dataclass(frozen=True, slots=True)
class Ohlc(OfOne):
    def partials(self) -> tuple[Partial, ...]:
        low, high = (Extreme(self.x, f"{side}_{self.x.short}", side) for side in ("min", "max"))
        return (_edge(self.x, "first"), high, low, _edge(self.x, "last"))

    def value(self, at: Finished) -> pl.Expr:
        del at
        parts = zip(("open", "high", "low", "close"), self.partials(), strict=True)
        return pl.struct(part.col("value").alias(name) for name, part in parts if isinstance(part, WidePartial))


@dataclass(frozen=True, slots=True)
class Collect(OfOne):
    accepts = "anything"

    def partials(self) -> tuple[Partial, ...]:
        return (collected_of(self.x),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        table = tables[collected_of(self.x).name].sort("time", maintain_order=True)
        return table.group_by(by, maintain_order=True).agg(pl.col("value"))


def first(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The value with the earliest event time; of equal times the one that arrived first.

    Exact; memory: one value and its time a group.

    Parameters
    ----------
    x : a column name or Polars expression of any type. Nulls are left out.

    >>> import riverrun as rr
    >>> rows = {"ts": [20, 10, 30], "x": ["b", "a", "c"]}
    >>> feed = rr.read(rows, schema={"ts": rr.Timestamp("s"), "x": pl.String}, time="ts", delay=None)
    >>> feed.group_by().window(rr.tumbling("1h")).agg(x=rr.first("x")).collect()["x"].to_list()
    ['a']
    """
    return EdgeAggregate(Input.of(x, nan=nan), label_of("first", x), "first")


def last(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """The value with the latest event time; of equal times the one that arrived last.

    Exact; memory: one value and its time a group. Parameters as for `first`.

    >>> import riverrun as rr
    >>> rows = {"x": ["a", "b"]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(x=rr.last("x")).collect()["x"].to_list()
    ['b']
    """
    return EdgeAggregate(Input.of(x, nan=nan), label_of("last", x), "last")


def ohlc(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """Open, high, low and close: the first, largest, smallest and last value, as one struct.

    Exact; memory: four values and two times a group. First and last go by event time, as in `first`.

    Returns
    -------
    A struct with the fields ``open``, ``high``, ``low``, ``close``; all null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"price": [10.0, 12.0, 9.0, 11.0]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(bar=rr.ohlc("price")).collect()["bar"].to_list()
    [{'open': 10.0, 'high': 12.0, 'low': 9.0, 'close': 11.0}]
    """
    return Ohlc(Input.of(x, nan=nan), label_of("ohlc", x))


def collect(x: ColumnLike, *, nan: Nan = "propagate") -> Aggregate:
    """All values as a list, in the order of event time.

    Exact; memory: every value of the open windows, so use it for small groups.

    Returns
    -------
    A list; null when there are no values.

    >>> import riverrun as rr
    >>> rows = {"x": [1, 2, None]}
    >>> rr.read(rows).group_by().window(rr.tumbling("1h")).agg(xs=rr.collect("x")).collect()["xs"].to_list()
    [[1, 2]]
    """
    return Collect(Input.of(x, nan=nan), label_of("collect", x))
