"""Watermarks: how far event time has come, for each partition and for a whole source.

The watermark of a partition is the largest event time seen minus the delay; it never goes back. That of
the source is the minimum over its live partitions. A partition that is silent for `idle_us` is left out;
when all are, the watermark follows the clock, so that windows close without new data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import polars as pl

from riverrun.batch import ROW_WATERMARK

#: Before every instant: the watermark of a partition that has seen nothing.
BEFORE_TIME = -(2**62)
#: After every instant: the watermark at the end of a bounded input.
AFTER_TIME = 2**62


@dataclass(slots=True)
class Partition:
    """One connection, file or topic partition.

    Parameters
    ----------
    newest_us : the largest event time seen.
    seen_us : when the last of its rows that were looked at arrived, by the clock.
    heard_us : when its last rows arrived, those that wait to be looked at included. It depends on how busy we
        are, so it decides nothing but whether to wait.
    """

    newest_us: int = BEFORE_TIME
    seen_us: int = 0
    rows: int = 0
    heard_us: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many rows of one partition, among those of others.

    Parameters
    ----------
    now_us : when they arrived, by the clock.
    """

    partition: str
    rows: int
    now_us: int


@dataclass(slots=True)
class WatermarkTracker:
    """Follows the partitions of one source.

    Parameters
    ----------
    delay_us : bounded out-of-orderness; ``None``: no watermark before the end of the input.
    idle_us : silence after which a partition is left out; ``None``: never.
    """

    delay_us: int | None
    idle_us: int | None
    partitions: dict[str, Partition] = field(default_factory=dict)
    watermark_us: int = BEFORE_TIME

    def observe(self, name: str, times: pl.Series, now_us: int) -> pl.Series | None:
        """Take note of event times (Int64 microseconds, in row order).

        Returns the watermark before each row that is behind it (null for all other rows), or ``None`` when
        no row is behind.
        """
        if not len(times):
            self._seen(name, now_us)
            return None
        low, high = times.min(), times.max()
        assert isinstance(low, int)
        assert isinstance(high, int)
        return self._judged(self._seen(name, now_us), times, low, high)

    def observe_all(self, stretches: Sequence[Stretch], times: pl.Series) -> pl.Series | None:
        """As `observe`, for rows of several partitions that stand one behind the other, each partition once.

        What it costs beside `observe` of one is a look at two values of each partition whose rows are in order.
        """
        if len(stretches) == 1:
            return self.observe(stretches[0].partition, times, stretches[0].now_us)
        taken = [stretch for stretch in stretches if stretch.rows]
        for stretch in stretches:
            self._seen(stretch.partition, stretch.now_us)
        if not taken:
            return None
        ends = list(accumulate(stretch.rows for stretch in taken))
        starts = [end - stretch.rows for end, stretch in zip(ends, taken, strict=True)]
        lows, highs = times.gather(starts), times.gather([end - 1 for end in ends])
        unordered = _unordered(times, starts)
        marks: list[pl.Series | None] = []
        for at, (stretch, low, high) in enumerate(zip(taken, lows, highs, strict=True)):
            if at in unordered:
                own = times.slice(starts[at], stretch.rows)
                marks.append(self.observe(stretch.partition, own, stretch.now_us))
            else:
                marks.append(self._ascending(stretch, times, starts[at], low, high))
        if all(mark is None for mark in marks):
            return None
        whole = [
            pl.Series(ROW_WATERMARK, [None], dtype=pl.Int64).new_from_index(0, stretch.rows)
            if mark is None
            else mark
            for mark, stretch in zip(marks, taken, strict=True)
        ]
        return pl.concat(whole)

    def _ascending(
        self, stretch: Stretch, times: pl.Series, start: int, low: int, high: int
    ) -> pl.Series | None:
        """As `observe`, for rows whose times are in order."""
        partition = self.partitions[stretch.partition]
        floor_us = self.watermark_us
        if self.delay_us is not None:
            floor_us = max(floor_us, partition.newest_us - self.delay_us)
        if low < floor_us:
            return self._judged(partition, times.slice(start, stretch.rows), low, high)
        partition.rows += stretch.rows
        partition.newest_us = max(partition.newest_us, high)
        return None

    def _seen(self, name: str, now_us: int) -> Partition:
        partition = self.partitions.setdefault(name, Partition())
        partition.seen_us = max(partition.seen_us, now_us)
        return partition

    def _judged(self, partition: Partition, times: pl.Series, low: int, high: int) -> pl.Series | None:
        """What `observe` returns, when the least and the largest of the times are known."""
        partition.rows += len(times)
        before = partition.newest_us
        partition.newest_us = max(before, high)
        if self.delay_us is None:
            # Nothing is behind its own partition, but somebody may have set the watermark of the source.
            return None if low >= self.watermark_us else self._behind_source(times)
        if low >= max(partition.newest_us - self.delay_us, self.watermark_us):
            return None
        if low >= max(before - self.delay_us, self.watermark_us) and times.is_sorted():
            return None
        return self._behind(times, before)

    def _behind(self, times: pl.Series, before: int) -> pl.Series | None:
        assert self.delay_us is not None
        time = pl.col("time")
        own = (time.cum_max().shift(1, fill_value=before).clip(before) - self.delay_us).clip(BEFORE_TIME)
        behind = (time < own) | (time < self.watermark_us)
        marks = times.to_frame("time").select(pl.when(behind).then(own).alias(ROW_WATERMARK)).to_series()
        return None if marks.null_count() == len(marks) else marks

    def _behind_source(self, times: pl.Series) -> pl.Series:
        marks = pl.when(pl.col("time") < self.watermark_us).then(BEFORE_TIME).alias(ROW_WATERMARK)
        return times.to_frame("time").select(marks.cast(pl.Int64)).to_series()

    def raise_to(self, watermark_us: int) -> int:
        """Set the watermark of the source; it never goes back. Returns what it is now."""
        self.watermark_us = max(self.watermark_us, watermark_us)
        return self.watermark_us

    def arrives(self, name: str, at_us: int) -> None:
        """Rows of a partition are among those that are looked at next."""
        partition = self.partitions.get(name)
        if partition is not None:
            partition.seen_us = max(partition.seen_us, at_us)

    def heard(self, name: str, at_us: int) -> None:
        """A partition is not silent, though its rows have not been looked at yet."""
        partition = self.partitions.get(name)
        if partition is not None:
            partition.heard_us = max(partition.heard_us, at_us)

    def end_partition(self, name: str) -> None:
        """The partition is over; it holds nothing back any more."""
        self.partitions.pop(name, None)

    def advance(self, now_us: int) -> int:
        """The watermark of the source once rows that arrived at `now_us` were looked at; never goes back."""
        return self.raise_to(self._reached(now_us, {n: p.seen_us for n, p in self.partitions.items()}))

    def by_silence(self, now_us: int) -> int:
        """What the watermark would be at `now_us` if nothing comes, for `raise_to`."""
        heard = {name: max(p.seen_us, p.heard_us) for name, p in self.partitions.items()}
        return max(self.watermark_us, self._reached(now_us, heard))

    def _reached(self, now_us: int, heard_us: Mapping[str, int]) -> int:
        if self.delay_us is None:
            return BEFORE_TIME
        live = [p for name, p in self.partitions.items() if not self._idle(heard_us[name], now_us)]
        if live:
            return min(p.newest_us for p in live) - self.delay_us
        if self.partitions and self.idle_us is not None:
            return self._by_clock(now_us, heard_us.values())
        return BEFORE_TIME

    def next_idle_us(self, now_us: int) -> int | None:
        """When the next partition will fall idle, if nothing comes; ``None`` when none can, or all are."""
        if self.idle_us is None:
            return None
        live = [heard_us for heard_us in self._heard() if not self._idle(heard_us, now_us)]
        return min(live) + self.idle_us if live else None

    def reaches_us(self, watermark_us: int, now_us: int) -> int | None:
        """When the watermark comes to `watermark_us` by the clock alone; ``None`` while rows lead it."""
        if self.idle_us is None or not self.partitions or self.next_idle_us(now_us) is not None:
            return None
        reached_us = self._by_clock(now_us, self._heard())
        return None if reached_us == BEFORE_TIME else now_us + max(0, watermark_us - reached_us)

    def _heard(self) -> list[int]:
        return [max(p.seen_us, p.heard_us) for p in self.partitions.values()]

    def _idle(self, heard_us: int, now_us: int) -> bool:
        return self.idle_us is not None and now_us - heard_us >= self.idle_us

    def _by_clock(self, now_us: int, heard_us: Iterable[int]) -> int:
        """Event time goes on with the clock from where the newest row left it."""
        assert self.delay_us is not None
        assert self.idle_us is not None
        newest = max(p.newest_us for p in self.partitions.values())
        if newest == BEFORE_TIME:
            return BEFORE_TIME
        silent = now_us - max(heard_us)
        return newest - self.delay_us + silent


def _unordered(times: pl.Series, starts: Sequence[int]) -> set[int]:
    """Which stretches are not in order, given where each begins."""
    begins = pl.Series(starts)
    # The first row of all has none before it, so it is no descent.
    descents = (times < times.shift(1)).arg_true()
    inside = descents.filter(~descents.is_in(begins.implode())) if len(descents) else descents
    return set((begins.search_sorted(inside, side="right") - 1).to_list()) if len(inside) else set()
