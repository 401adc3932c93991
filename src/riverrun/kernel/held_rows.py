"""Rows of the last period that are held, and the windows that end with each, as stretches of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from riverrun.kernel.in_order import KEY
from riverrun.kernel.window_sums import with_stretches
from riverrun.stats.partials import EVENT_TIME
from riverrun.stats.windowed import INDEX

#: Times of different keys are put one behind the other up to here.
LARGEST_INDEX = 2**62
#: Frames of held rows are put together up to so many rows.
FRAME_ROWS = 100_000


def series_of(
    held: Sequence[pl.DataFrame], fresh: pl.DataFrame, period_us: int, *, keyed: bool
) -> pl.DataFrame | None:
    """Old and new rows by key and time with their stretches; ``None``: `INDEX` would be too large."""
    rows = pl.concat([*held, fresh], how="diagonal").select(fresh.columns) if held else fresh
    if keyed:
        first, last, keys = rows.select(
            pl.col(EVENT_TIME).min().alias("first"),
            pl.col(EVENT_TIME).max().alias("last"),
            pl.col(KEY).max().alias("keys"),
        ).row(0)
        apart = last - first + period_us + 1
        if (keys + 1) * apart > LARGEST_INDEX:
            return None
        index = (pl.col(EVENT_TIME) - first) + pl.col(KEY) * apart
        rows = rows.with_columns(index.alias(INDEX)).sort(INDEX, maintain_order=True)
    else:
        rows = rows.with_columns(pl.col(EVENT_TIME).set_sorted().alias(INDEX))
    return with_stretches(rows, f"{period_us}i")


def cut(frames: Sequence[pl.DataFrame], upto_us: int) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Frames in the order of time, up to an instant, and after it."""
    before, after = [], []
    for frame in frames:
        at = int(frame[EVENT_TIME].search_sorted(upto_us, side="right"))
        before += [frame[:at] if at < frame.height else frame] if at else []
        after += [frame[at:] if at else frame] if at < frame.height else []
    return before, after


def appended(frames: Sequence[pl.DataFrame], more: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, ...]:
    """Small frames are put together, so that there are few of them, and each is copied a few times only."""
    items = [*frames, *more]
    while len(items) > 1 and items[-2].height < min(2 * items[-1].height, FRAME_ROWS):
        items[-2:] = [pl.concat(items[-2:], rechunk=True)]
    return tuple(items)
