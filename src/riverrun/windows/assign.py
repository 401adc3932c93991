"""Which windows an instant falls into, as column expressions. Windows are half open: ``[start, end)``.

Tumbling, hopping and cumulating windows are told apart by their ends, since several of the last kind begin
together.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from riverrun.windows.describe import Cumulating, Fixed

#: Int64 columns in microseconds that stand for the windows of rows and partials: the start of a pane or
#: session, the end of a fixed window.
PANE = "__p_pane"
WINDOW = "__p_window"


def pane_start(time: pl.Expr, window: Fixed) -> pl.Expr:
    """The start of the pane that holds an instant, also before 1970."""
    return time - (time - window.offset_us) % window.pane_us


def pane_start_of(time_us: int, window: Fixed) -> int:
    """`pane_start` for one instant."""
    return time_us - (time_us - window.offset_us) % window.pane_us


Column = TypeVar("Column", pl.Expr, pl.Series)


def window_start(end: Column, window: Fixed) -> Column:
    """The start of the window that ends at `end`."""
    if isinstance(window, Cumulating):
        return end - 1 - (end - 1 - window.offset_us) % window.size_us
    return end - window.size_us


def window_ends(
    time: pl.Expr, window: Fixed, after_us: int | None = None, upto_us: int | None = None
) -> pl.Expr:
    """The ends of all windows that hold an instant, as lists, earliest first; empty where none does.

    With bounds only those with ``after < end <= upto``.
    """
    first, last = _first_and_last_end(time, window)
    every, phase = window.every_us, (window.offset_us + window.size_us) % window.every_us
    if after_us is not None:
        first = pl.max_horizontal(first, pl.lit(after_us - (after_us - phase) % every + every))
    if upto_us is not None:
        last = pl.min_horizontal(last, pl.lit(upto_us - (upto_us - phase) % every))
    return pl.int_ranges(first, pl.max_horizontal(last + 1, first), every)


def first_window_end(time: pl.Expr, window: Fixed) -> pl.Expr:
    """The end of the earliest window that holds an instant; null where none does."""
    first, last = _first_and_last_end(time, window)
    return pl.when(first <= last).then(first)


def first_end_after_pane(pane_us: int, window: Fixed) -> int:
    """The end of the earliest window that may hold rows of a pane."""
    if isinstance(window, Cumulating):
        return pane_us + window.step_us
    last_start = pane_us - (pane_us - window.offset_us) % window.every_us
    return last_start - (window.size_us - 1) // window.every_us * window.every_us + window.size_us


def first_pane_needed(gone_by_us: int, window: Fixed) -> int:
    """The earliest start of a pane that belongs to a window which ends after `gone_by_us`."""
    if isinstance(window, Cumulating):
        return gone_by_us - (gone_by_us - window.offset_us) % window.size_us
    last_gone = gone_by_us - window.size_us
    return last_gone - (last_gone - window.offset_us) % window.every_us + window.every_us


def _first_and_last_end(time: pl.Expr, window: Fixed) -> tuple[pl.Expr, pl.Expr]:
    """Of the windows that hold an instant; the first after the last where there is none."""
    if isinstance(window, Cumulating):
        start = time - (time - window.offset_us) % window.size_us
        return pane_start(time, window) + window.step_us, start + window.size_us
    last = time - (time - window.offset_us) % window.every_us + window.size_us
    count = (last - time - 1) // window.every_us + 1
    return last - (count - 1) * window.every_us, last
