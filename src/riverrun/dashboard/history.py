"""What the dashboard remembers of one view: a bounded history for a bounded number of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from riverrun.charts.view import View
from riverrun.dashboard.series import Series, Times, Values

Key = tuple[str | None, ...]

_KEY = "__key__"
_TIME = "__time__"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one view may keep.

    Parameters
    ----------
    points : most points of one key.
    values : most numbers of the whole view; with many keys or statistics each key keeps fewer points.
    keys : keys that are shown; later ones are only counted.
    rows_per_tick : most rows of a view without windows taken in one update; above, each key keeps evenly
        spread rows and its last. Results of windows are never thinned.
    """

    points: int = 6_000
    values: int = 400_000
    keys: int = 200
    rows_per_tick: int = 4_000


@dataclass(frozen=True, slots=True)
class Change:
    """What one update changes: points to put in, column by column, and keys seen for the first time."""

    view: str
    first_key: int
    new_keys: tuple[Key, ...]
    keys: NDArray[np.int32]
    times: Times
    values: Values
    hidden_keys: int


class History:
    """The history of one view.

    >>> view = View("v", "V", time="at", keys=("symbol",), statistics=("mean",))
    >>> history = History(view)
    >>> change = history.absorb(pl.DataFrame({"symbol": ["A", "B"], "at": [1, 1], "mean": [2.0, 3.0]}))
    >>> change.new_keys, change.values[:, 0].tolist()
    ((('A',), ('B',)), [2.0, 3.0])
    """

    def __init__(self, view: View, bounds: Bounds | None = None) -> None:
        self.view = view
        self.columns = value_columns(view)
        self.keys: list[Key] = []
        self.series: list[Series] = []
        self._bounds = bounds or Bounds()
        self._codes: dict[Key, int] = {}
        self._hidden: set[int] = set()
        self.thinned_rows = 0

    @property
    def hidden_keys(self) -> int:
        """Keys that came after the list was full."""
        return len(self._hidden)

    @property
    def width(self) -> int:
        """Numbers in one point: the statistics, then the revision, then 1 for final."""
        return len(self.columns) + 2

    def absorb(self, frame: pl.DataFrame) -> Change | None:
        """Take results in, and say what they changed; ``None`` when nothing that is shown."""
        first_key = len(self.keys)
        hidden_before = len(self._hidden)
        rows = self._coded(frame)
        rows = self._thin(rows.unique([_KEY, _TIME], keep="last", maintain_order=True))
        if rows.is_empty() and len(self._hidden) == hidden_before:
            return None
        codes = rows[_KEY].to_numpy()
        times = rows[_TIME].to_numpy()
        values = rows.drop(_KEY, _TIME).to_numpy()
        self._store(codes, times, values)
        return Change(
            self.view.id, first_key, tuple(self.keys[first_key:]), codes, times, values, len(self._hidden)
        )

    def _coded(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Numbers only: the place of the key, the instant, the values; rows that cannot be drawn left out."""
        key_columns = [pl.col(name).cast(pl.String).alias(f"__key{i}") for i, name in enumerate(self.view.keys)]
        time = _microseconds(frame, self.view.time)
        rows = frame.select(*key_columns, time.alias(_TIME), *_values(frame, self.columns))
        names = [f"__key{i}" for i in range(len(self.view.keys))]
        if not names:
            self._code(())
            rows = rows.with_columns(pl.lit(0, pl.Int32).alias(_KEY))
        else:
            distinct = rows.select(names).unique(maintain_order=True)
            codes = pl.Series(_KEY, [self._code(key) for key in distinct.rows()], pl.Int32)
            rows = rows.join(
                distinct.with_columns(codes), on=names, how="left", nulls_equal=True, maintain_order="left"
            )
        return rows.drop(names).filter(pl.col(_KEY) >= 0, pl.col(_TIME).is_not_null())

    def _code(self, key: Key) -> int:
        code = self._codes.get(key)
        if code is not None:
            return code
        if len(self.keys) >= self._bounds.keys:
            if len(self._hidden) < 1_000_000:
                self._hidden.add(hash(key))
            return -1
        self._codes[key] = code = len(self.keys)
        self.keys.append(key)
        limit = self._limit()
        for series in self.series:
            series.shrink(limit)
        self.series.append(Series(self.width, limit))
        return code

    def _limit(self) -> int:
        fair = self._bounds.values // (max(1, len(self.keys)) * self.width)
        return max(50, min(self._bounds.points, fair))

    def _thin(self, rows: pl.DataFrame) -> pl.DataFrame:
        most = self._bounds.rows_per_tick
        if self.view.windowed or rows.height <= most:
            return rows
        every = -(-rows.height // most)
        place = pl.int_range(pl.len()).over(_KEY)
        kept = rows.filter((place % every == 0) | (place == pl.len().over(_KEY) - 1))
        self.thinned_rows += rows.height - kept.height
        return kept

    def _store(self, codes: NDArray[np.int32], times: Times, values: Values) -> None:
        order = np.argsort(codes, kind="stable")
        codes, times, values = codes[order], times[order], values[order]
        starts = (
            np.flatnonzero(np.append(True, codes[1:] != codes[:-1])) if len(codes) else np.empty(0, np.int64)
        )
        for start, end in zip(starts, np.append(starts[1:], len(codes)), strict=False):
            self.series[codes[start]].upsert(times[start:end], values[start:end])


def value_columns(view: View) -> tuple[str, ...]:
    """The columns that a view shows: its statistics, then those that only the heatmap needs."""
    return tuple(dict.fromkeys([*view.statistics, *(item.statistic for item in view.correlations)]))


def _microseconds(frame: pl.DataFrame, name: str) -> pl.Expr:
    kind = frame.schema[name]
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.dt.timestamp("us")
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.timestamp("us")
    return column.cast(pl.Int64, strict=False)


def _values(frame: pl.DataFrame, columns: tuple[str, ...]) -> list[pl.Expr]:
    numbers = [_number(frame, name).alias(f"__value{i}") for i, name in enumerate(columns)]
    revision = pl.col("revision").cast(pl.Float64) if "revision" in frame.columns else pl.lit(0.0)
    final = pl.col("final").cast(pl.Float64) if "final" in frame.columns else pl.lit(1.0)
    return [*numbers, revision.alias("__revision"), final.alias("__final")]


def _number(frame: pl.DataFrame, name: str) -> pl.Expr:
    kind: Any = frame.schema.get(name)
    if kind is None or kind.is_nested():
        return pl.lit(None, pl.Float64)
    return pl.col(name).cast(pl.Float64, strict=False)
