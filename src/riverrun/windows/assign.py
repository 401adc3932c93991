"""Which windows an instant falls into, as column expressions. Windows are half open: ``[start, end)``."""

from __future__ import annotations

import polars as pl

from riverrun.windows.describe import Hopping

#: Int64 columns in microseconds that stand for the windows of rows and partials.
PANE = "__p_pane"
WINDOW = "__p_window"


def pane_start(time: pl.Expr, window: Hopping) -> pl.Expr:
    """The start of the pane that holds an instant, also before 1970."""
    return time - (time - window.offset_us) % window.pane_us


def pane_start_of(time_us: int, window: Hopping) -> int:
    """`pane_start` for one instant."""
    return time_us - (time_us - window.offset_us) % window.pane_us


def last_window_start(time: pl.Expr, window: Hopping) -> pl.Expr:
    """The start of the last window that begins at or before an instant."""
    return time - (time - window.offset_us) % window.every_us


def window_starts(time: pl.Expr, window: Hopping) -> pl.Expr:
    """The starts of all windows that hold an instant, as lists, earliest first; empty where none does."""
    last = last_window_start(time, window)
    count = ((last - (time - window.size_us) - 1) // window.every_us + 1).clip(0)
    first = last - (count - 1) * window.every_us
    return pl.int_ranges(first, last + 1, window.every_us)


def first_window_end(time: pl.Expr, window: Hopping) -> pl.Expr:
    """The end of the earliest window that holds an instant; before the instant where none does."""
    return window_starts(time, window).list.first() + window.size_us


def first_pane_needed(gone_by_us: int, window: Hopping) -> int:
    """The earliest start of a pane that belongs to a window which ends after `gone_by_us`."""
    last_gone = gone_by_us - window.size_us
    return last_gone - (last_gone - window.offset_us) % window.every_us + window.every_us
