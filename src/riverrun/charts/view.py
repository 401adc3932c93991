"""What the dashboard shows, as data: views taken from the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Correlation:
    """A statistic that is one cell of a correlation heatmap."""

    statistic: str
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class View:
    """One stream of results and how to draw it.

    Parameters
    ----------
    id : stable within a pipeline; what `Dashboard.publish` refers to.
    title : for people.
    time : the column of instants to draw along (``window_end``, or a row's event time).
    keys : the columns that tell one line from another; none: one line.
    statistics : the numeric columns to chart, one panel each.
    correlations : statistics that make up a heatmap instead of panels.
    windowed : whether rows are results of windows, which may come again with a higher `revision`.
    every_us : distance from one window's end to the next, when it is the same for all.
    """

    id: str
    title: str
    time: str
    keys: tuple[str, ...]
    statistics: tuple[str, ...]
    correlations: tuple[Correlation, ...] = ()
    windowed: bool = True
    every_us: int | None = None
