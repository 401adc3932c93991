"""State of windows: immutable runs of partials, merged as they grow, as in a log-structured store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.partial_frames import Partials
from riverrun.stats.program import Program

#: So many runs of one level make one run of the next; more of them while they hold few rows together, since
#: merging has a cost of its own.
FANOUT, FANOUT_SMALL, SMALL_ROWS = 8, 64, 100_000

#: After every instant.
END = 2**63 - 1

#: What keys beyond the limit are folded into, when they are text; others become null.
OTHER = "__other__"


@dataclass(frozen=True, slots=True)
class Run:
    """Partials of some batches; a run of `level` n was made of several of level n − 1."""

    partials: Partials
    level: int = 0


@dataclass(frozen=True, slots=True)
class Runs:
    """All partials of one operator, oldest first. The same group may stand in several runs."""

    items: tuple[Run, ...] = ()

    @property
    def rows(self) -> int:
        return sum(run.partials.rows for run in self.items)

    def added(self, partials: Partials, program: Program, by: Sequence[str]) -> Runs:
        """With one run more; small runs are merged into larger ones on the way."""
        if not partials.rows and not any(table.height for table in partials.long.values()):
            return self
        items = [*self.items, Run(partials)]
        while (count := _mergeable(items)) > 1:
            merged = program.merge([run.partials for run in items[-count:]], by)
            items[-count:] = [Run(merged, items[-1].level + 1)]
        return Runs(tuple(items))

    def within(self, column: str, low: int, high: int) -> list[Partials]:
        """The rows of every run with ``low <= column < high``; empty runs are left out."""
        kept = (run.partials.map(lambda frame: within(frame, column, low, high)) for run in self.items)
        return [partials for partials in kept if partials.rows]

    def semi_join(self, keys: pl.DataFrame, on: Sequence[str]) -> list[Partials]:
        """The rows of every run whose `on` columns stand in `keys`."""
        kept = (
            run.partials.map(lambda frame: frame.join(keys, on=on, how="semi", nulls_equal=True))
            for run in self.items
        )
        return [partials for partials in kept if partials.rows]

    def since(self, column: str, low: int) -> Runs:
        """Only the rows with ``column >= low``."""
        kept = (
            Run(run.partials.map(lambda frame: within(frame, column, low, END)), run.level)
            for run in self.items
        )
        return Runs(tuple(run for run in kept if run.partials.rows))

    def bounded(
        self, program: Program, period: str, keys: Sequence[str], max_keys: int, count: str
    ) -> tuple[Runs, int]:
        """With at most `max_keys` keys a period; later ones are folded into one key, so that totals stay exact.

        Returns how many rows were folded just now; `count` is the column that holds those of a group.
        """
        if not keys or self.rows <= max_keys:
            return self, 0
        by = [period, *keys]
        merged = program.merge([run.partials for run in self.items], by)
        too_many = merged.wide.select(pl.int_range(pl.len()).over(period) >= max_keys).to_series()
        level = max(run.level for run in self.items)
        if not too_many.any():
            return Runs((Run(merged, level),)), 0
        other = {name: other_key(merged.wide.schema[name]) for name in keys}
        is_other = pl.all_horizontal(pl.col(name).eq_missing(value) for name, value in other.items())
        folded = merged.wide.filter(too_many).filter(~is_other)
        if not folded.height:
            return Runs((Run(merged, level),)), 0
        marker = folded.select(*by).with_columns(pl.lit(value=True).alias("__p_folded"))

        def fold(frame: pl.DataFrame) -> pl.DataFrame:
            marked = frame.join(marker, on=by, how="left", nulls_equal=True, maintain_order="left")
            over = pl.col("__p_folded").is_not_null()
            replaced = [pl.when(over).then(v).otherwise(pl.col(k)).alias(k) for k, v in other.items()]
            return marked.with_columns(replaced).select(frame.columns)

        bounded = program.merge([merged.map(fold)], by)
        return Runs((Run(bounded, level),)), int(folded[count].sum())


def other_key(dtype: pl.DataType) -> pl.Expr:
    """What keys beyond the limit are folded into."""
    return pl.lit(OTHER) if dtype == pl.String else pl.lit(None, dtype=dtype)


def _mergeable(items: Sequence[Run]) -> int:
    """How many of the last runs are to be merged now: those of one level, once they are many or large."""
    level = items[-1].level
    count = next((n for n, run in enumerate(reversed(items)) if run.level != level), len(items))
    rows = sum(run.partials.rows for run in items[-count:])
    return count if count >= FANOUT_SMALL or (count >= FANOUT and rows >= SMALL_ROWS) else 0


def within(frame: pl.DataFrame, column: str, low: int, high: int) -> pl.DataFrame:
    """The rows with ``low <= column < high``. All or none of them is the common case, and costs nothing."""
    first, last = frame[column].min(), frame[column].max()
    if not isinstance(first, int) or not isinstance(last, int):
        return frame
    if low <= first and last < high:
        return frame
    if last < low or first >= high:
        return frame[:0]
    return frame.filter((pl.col(column) >= low) & (pl.col(column) < high))


def concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame | None:
    """Frames of one schema one under the other; ``None`` when there is none."""
    present = [frame for frame in frames if frame.height]
    if not present:
        return None
    # In one piece: grouping goes over it several times, and pieces of a hundred rows cost more than the copy.
    return present[0] if len(present) == 1 else pl.concat(present, rechunk=True)
