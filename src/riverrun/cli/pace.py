"""What the first rows tell about time: how dense they are, how far out of order, and what windows fit."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.cli.scout import Sample
from riverrun.clock import DURATION_UNITS_US

SECOND, MINUTE, HOUR, DAY = (DURATION_UNITS_US[unit] for unit in ("s", "m", "h", "d"))

#: Windows that people think in.
NICE_US = (
    *(SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 30, 90, 365)),
)

#: So many rows of each key make a statistic worth looking at.
ROWS_PER_WINDOW = 20
#: Rows tell their pace when they came over so long, and not as a backlog all at once.
ARRIVAL_US_LEAST = 100_000
#: A live feed shows a window at least about so often.
LIVE_US_MOST = 10 * SECOND
#: More than this part of the span out of order is no order at all.
UNORDERED = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """How the rows of a sample lie in time.

    Parameters
    ----------
    span_us : from the oldest event time to the newest.
    newest_us : the newest event time.
    disorder_us : the furthest that a row lies behind an earlier one.
    keys : distinct keys.
    dated : event times are dates without a time of day.
    """

    rows: int
    span_us: int
    arrival_us: int
    newest_us: int | None
    disorder_us: int
    keys: int
    dated: bool = False

    @property
    def unordered(self) -> bool:
        """Whether the rows do not come in the order of their times at all."""
        return self.rows > 2 and self.disorder_us > UNORDERED * max(1, self.span_us)


def pace_of(sample: Sample, time: str | None, by: list[str]) -> Pace:
    """Look at the event times, or, without any, at the arrival."""
    frame = sample.frame
    keys = max(1, frame.select(by).n_unique()) if by and frame.height else 1
    if time is None or not frame.height:
        return Pace(frame.height, sample.arrival_us, sample.arrival_us, None, 0, keys)
    dtype = frame.schema[time]
    # Dates and coarser instants become microseconds, as everything inside is.
    times = frame[time].cast(pl.Datetime("us")).cast(pl.Int64).drop_nulls()
    newest, oldest = times.max(), times.min()
    if not isinstance(newest, int) or not isinstance(oldest, int):
        return Pace(frame.height, 0, sample.arrival_us, None, 0, keys)
    disorder = (times.cum_max() - times).max()
    return Pace(
        frame.height,
        newest - oldest,
        sample.arrival_us,
        newest,
        disorder if isinstance(disorder, int) else 0,
        keys,
        isinstance(dtype, pl.Date),
    )


def window_us(pace: Pace, *, live: bool) -> int:
    """A window that holds about twenty rows of each key; for live feeds also one that shows soon.

    >>> window_us(Pace(1001, 10_000_000, 300_000, 0, 0, 5), live=False) // SECOND
    1
    """
    if pace.rows < 2 or pace.span_us == 0:
        return 30 * DAY if pace.dated else 10 * SECOND
    wanted = ROWS_PER_WINDOW * pace.keys * pace.span_us / (pace.rows - 1)
    paced = pace.arrival_us >= ARRIVAL_US_LEAST
    speed = max(1.0, pace.span_us / pace.arrival_us) if paced else 1.0
    if live:
        wanted = max(wanted, SECOND * speed)
    if live and paced:
        wanted = min(wanted, LIVE_US_MOST * speed)
    if pace.dated:
        wanted = max(wanted, 2 * DAY)
    return nice_us(wanted)


def nice_us(wanted_us: float) -> int:
    """The first duration that people think in, from `wanted_us` on.

    >>> nice_us(7_200_000) // SECOND
    10
    """
    return next((nice for nice in NICE_US if nice >= wanted_us), NICE_US[-1])


def delay_us(pace: Pace) -> int | None:
    """Twice the disorder seen; ``None``, which is "wait for the end", when there is no order."""
    if pace.unordered:
        return None
    return nice_us(2 * pace.disorder_us) if pace.disorder_us else 0
