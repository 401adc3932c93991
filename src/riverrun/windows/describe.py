"""The kinds of windows, as users write them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from riverrun.clock import Duration, format_duration, parse_duration
from riverrun.errors import PlanError


@dataclass(frozen=True, slots=True)
class Hopping:
    """Windows of `size_us` that begin every `every_us`, aligned to `offset_us` from the epoch.

    A tumbling window is one with ``size_us == every_us``.
    """

    size_us: int
    every_us: int
    offset_us: int = 0

    @property
    def pane_us(self) -> int:
        """The longest stretches that are never cut by a window: windows are made of whole panes."""
        return math.gcd(self.size_us, self.every_us)

    @property
    def tumbling(self) -> bool:
        return self.size_us == self.every_us

    @property
    def words(self) -> str:
        """For people: headings of the dashboard and the terminal."""
        size = f"windows of {format_duration(self.size_us)}"
        return size if self.tumbling else f"{size} every {format_duration(self.every_us)}"

    @property
    def short(self) -> str:
        """For people, where there is little room."""
        size, every = format_duration(self.size_us), format_duration(self.every_us)
        return f"tumbling {size}" if self.tumbling else f"hopping {size} every {every}"

    def __str__(self) -> str:
        size, every = format_duration(self.size_us), format_duration(self.every_us)
        offset = f", offset={format_duration(self.offset_us)!r}" if self.offset_us else ""
        return f"tumbling({size!r}{offset})" if self.tumbling else f"hopping({size!r}, {every!r}{offset})"


@dataclass(frozen=True, slots=True)
class Cumulating:
    """Windows that begin together every `size_us` and end one `step_us` after the other."""

    size_us: int
    step_us: int
    offset_us: int = 0

    @property
    def pane_us(self) -> int:
        return self.step_us

    @property
    def every_us(self) -> int:
        """The distance from one end to the next."""
        return self.step_us

    @property
    def tumbling(self) -> bool:
        return self.size_us == self.step_us

    @property
    def words(self) -> str:
        """For people: headings of the dashboard and the terminal."""
        size, step = format_duration(self.size_us), format_duration(self.step_us)
        return f"windows that grow by {step} up to {size}"

    @property
    def short(self) -> str:
        """For people, where there is little room."""
        return f"cumulating {format_duration(self.size_us)} by {format_duration(self.step_us)}"

    def __str__(self) -> str:
        offset = f", offset={format_duration(self.offset_us)!r}" if self.offset_us else ""
        return f"cumulating({format_duration(self.size_us)!r}, {format_duration(self.step_us)!r}{offset})"


#: So many windows may hold a row.
WINDOWS_MOST = 100_000
#: So many rows may be in a window of `counting`.
ROWS_MOST = 1_000_000_000

#: Windows whose bounds are known without any row.
Fixed = Hopping | Cumulating


@dataclass(frozen=True, slots=True)
class Session:
    """Rows of one key that are less than `gap_us` apart from the next, cut every `maximum_us`."""

    gap_us: int
    maximum_us: int | None = None

    @property
    def words(self) -> str:
        """For people: headings of the dashboard and the terminal."""
        longest = "" if self.maximum_us is None else f", {format_duration(self.maximum_us)} at most"
        return f"sessions with gaps under {format_duration(self.gap_us)}{longest}"

    @property
    def short(self) -> str:
        """For people, where there is little room."""
        longest = "" if self.maximum_us is None else f" up to {format_duration(self.maximum_us)}"
        return f"session {format_duration(self.gap_us)}{longest}"

    def __str__(self) -> str:
        longest = "" if self.maximum_us is None else f", maximum={format_duration(self.maximum_us)!r}"
        return f"session({format_duration(self.gap_us)!r}{longest})"


@dataclass(frozen=True, slots=True)
class Counting:
    """Windows of `size` rows of one key, one beginning every `every` rows."""

    size: int
    every: int

    @property
    def words(self) -> str:
        """For people: headings of the dashboard and the terminal."""
        size = f"windows of {self.size} rows"
        return size if self.size == self.every else f"{size} every {self.every}"

    @property
    def short(self) -> str:
        """For people, where there is little room."""
        return f"counting {self.size}" + ("" if self.size == self.every else f" every {self.every}")

    def __str__(self) -> str:
        return f"counting({self.size})" if self.size == self.every else f"counting({self.size}, {self.every})"


@dataclass(frozen=True, slots=True)
class Trailing:
    """For each row the rows of its key in the last `period_us`; ``None``: since the start."""

    period_us: int | None

    @property
    def words(self) -> str:
        """For people: headings of the dashboard and the terminal."""
        if self.period_us is None:
            return "running since the start"
        return f"rolling over the last {format_duration(self.period_us)}"

    @property
    def short(self) -> str:
        """For people, where there is little room."""
        return "running" if self.period_us is None else f"rolling {format_duration(self.period_us)}"

    def __str__(self) -> str:
        return "running()" if self.period_us is None else f"rolling({format_duration(self.period_us)!r})"


Window = Hopping | Cumulating | Session | Counting | Trailing


def takes_rows_in_order(window: Window) -> bool:
    """Whether what a window holds depends on the order of rows, so that they are taken when they are final."""
    return isinstance(window, (Counting, Trailing)) or (
        isinstance(window, Session) and window.maximum_us is not None
    )


def tumbling(size: Duration, offset: Duration = "0s") -> Window:
    """Windows side by side: ``[start, start + size)``, aligned to `offset` from 1970-01-01 UTC.

    Every row belongs to exactly one.

    Parameters
    ----------
    size : how long, such as ``"10s"`` or ``"1d"``.
    offset : shifts all windows; days in Vienna's winter begin at ``offset="23h"``.

    Raises
    ------
    PlanError : when `size` is zero.

    >>> print(tumbling("10s"))
    tumbling('10s')
    """
    return _hopping("tumbling", size, size, offset)


def hopping(size: Duration, every: Duration, offset: Duration = "0s") -> Window:
    """Windows of `size` that begin every `every`: overlapping, or with gaps when `every` is longer.

    However much they overlap, every row is touched once: windows are put together from panes of
    gcd(size, every).

    Parameters
    ----------
    size : how long.
    every : the distance from one start to the next.
    offset : shifts all windows.

    Raises
    ------
    PlanError : when `size` or `every` is zero, or a row would be in more than 100,000 windows.

    >>> print(hopping("1m", "1s"))
    hopping('1m', '1s')
    """
    return _hopping("hopping", size, every, offset)


def cumulating(size: Duration, step: Duration, offset: Duration = "0s") -> Window:
    """Windows that begin together every `size` and grow by `step`.

    They are ``[start, start + step)``, ``[start, start + 2·step)``, and so on up to ``[start, start + size)``:
    the totals of a day so far, each hour, with ``rr.cumulating("1d", "1h")``. However many windows hold a
    row, it is touched once: they are put together from panes of `step`.

    Parameters
    ----------
    size : how long the longest window is.
    step : the distance from one end to the next; `size` must be a multiple of it.
    offset : shifts all windows.

    Raises
    ------
    PlanError : when `size` or `step` is zero, or `step` does not divide `size`, or a row would be in more
        than 100,000 windows.

    >>> print(cumulating("1d", "1h"))
    cumulating('1d', '1h')
    """
    size_us = parse_duration(size, where="cumulating(size=)")
    step_us = parse_duration(step, where="cumulating(step=)")
    if size_us == 0 or step_us == 0:
        raise PlanError(
            "a window must be longer than zero", where="cumulating", hint='rr.cumulating("1d", "1h")'
        )
    if size_us % step_us:
        fitting = format_duration(max(1, size_us // step_us) * step_us)
        raise PlanError(
            f"windows cannot grow by {format_duration(step_us)} up to {format_duration(size_us)}, "
            "which is no multiple of it",
            where="cumulating",
            hint=f'rr.cumulating("{fitting}", "{format_duration(step_us)}")',
        )
    _check_overlap(size_us // step_us, "cumulating")
    return Cumulating(size_us, step_us, parse_duration(offset, where="cumulating(offset=)") % size_us)


def session(gap: Duration, maximum: Duration | None = None) -> Window:
    """Rows of one key up to a silence of `gap`.

    Two rows belong together when they are **less** than `gap` apart; the window is
    ``[first event, last event + gap)``. A row between two sessions joins them into one.

    With `maximum` a session that goes on is cut every `maximum` from its first row on: rows less than `maximum`
    after it are the first session, the next ones up to twice as long after it the second, and so on. No window
    is longer than `maximum`, and none reaches into the next. Which rows that are depends on all rows before, so
    rows are taken in the order of event time, when the watermark has passed them; one that comes when
    the watermark has passed it is late.

    Parameters
    ----------
    gap : the silence that ends a session.
    maximum : how long a session may get.

    Raises
    ------
    PlanError : when `gap` is zero, or `maximum` is shorter than `gap`.

    >>> print(session("30m"))
    session('30m')
    >>> print(session("30m", maximum="4h"))
    session('30m', maximum='4h')
    """
    gap_us = parse_duration(gap, where="session(gap=)")
    if gap_us == 0:
        raise PlanError("the gap must be longer than zero", where="session", hint='session("30m")')
    if maximum is None:
        return Session(gap_us)
    maximum_us = parse_duration(maximum, where="session(maximum=)")
    if maximum_us < gap_us:
        raise PlanError(
            f"a session is at least as long as its gap, {format_duration(gap_us)}; it cannot be held to "
            f"{format_duration(maximum_us)}",
            where="session(maximum=)",
            hint=f'rr.session("{format_duration(gap_us)}", maximum="{format_duration(8 * gap_us)}")',
        )
    return Session(gap_us, maximum_us)


def counting(n: int, every: int | None = None) -> Window:
    """Windows of `n` rows of one key; with `every`, one begins every so many rows, and they overlap.

    Rows are counted for each key in the order of event time, and of arrival within one instant, when the
    watermark has passed them; so neither batches nor the turns of partitions change what a window holds. A
    row that comes when the watermark has passed it is late and is not counted. The window is ``[first event,
    last event + 1 µs)``. At the end of the input, windows that are not full are put out with the
    rows that they have; ``rr.count()`` tells them apart.

    Parameters
    ----------
    n : how many rows.
    every : how many rows there are from one start to the next; `n` when left out.

    Raises
    ------
    PlanError : when `n` or `every` is less than 1, `every` is more than `n`, or a row would be in more than
        100,000 windows.

    >>> print(counting(100), counting(100, every=10))
    counting(100) counting(100, 10)
    """
    step = n if every is None else every
    for name, value in (("n", n), ("every", step)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= ROWS_MOST:
            raise PlanError(
                f"a whole number of rows from 1 to {ROWS_MOST:,} is needed, got {value!r}",
                where=f"counting({name}=)",
                hint="rr.counting(100)",
            )
    if step > n:
        raise PlanError(
            f"rows between windows of {n} that begin every {step} would fall into none",
            where="counting(every=)",
            hint=f"rr.counting({n}, every={n})",
        )
    _check_overlap(n // step, "counting")
    return Counting(n, step)


def rolling(period: Duration) -> Trailing:
    """The last `period` before each row, for ``group_by(...).rolling(period)``."""
    period_us = parse_duration(period, where="rolling(period=)")
    if period_us == 0:
        raise PlanError("the period must be longer than zero", where="rolling", hint='.rolling("5m")')
    return Trailing(period_us)


def _check_overlap(windows: int, where: str) -> None:
    """Raise `PlanError` for a slip of a unit: results of so many windows would not fit into the memory."""
    if windows > WINDOWS_MOST:
        raise PlanError(
            f"each row would be in {windows:,} windows, and {WINDOWS_MOST:,} are the most",
            where=where,
            hint="longer steps; .rolling(...) has a result for every row",
        )


def _hopping(name: str, size: Duration, every: Duration, offset: Duration) -> Hopping:
    size_us = parse_duration(size, where=f"{name}(size=)")
    every_us = parse_duration(every, where=f"{name}(every=)")
    if size_us == 0 or every_us == 0:
        raise PlanError("a window must be longer than zero", where=name, hint=f'{name}("10s", ...)')
    _check_overlap(size_us // every_us, name)
    return Hopping(size_us, every_us, parse_duration(offset, where=f"{name}(offset=)") % every_us)
