"""The feeds of the demo ``market``: real daily prices, over and over, with dates that go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from riverrun.demos.data_files import lines_of
from riverrun.demos.feeder import Line

#: So many trading days a second.
DAYS_PER_S = 8.0
#: One in so many price lines is broken on purpose.
BROKEN_EVERY = 300
BROKEN = (
    b"2004-02-30,AAPL,1,1,1,1,1,1\n",
    b"2004-03-01,IBM,n/a,91.2,90.1,oops,90.9,5000\n",
    b"2004-03-01,MSFT,27.1\n",
    b"\xff\xfe broken line \x00\n",
)


def prices() -> tuple[bytes, Iterator[Line]]:
    """The header and the lines of the long feed, with some that are broken."""
    header, _ = lines_of("stocks.csv.gz")
    return header + b"\n", _with_broken(_paced("stocks.csv.gz"))


def returns() -> tuple[bytes, Iterator[Line]]:
    """The header and the lines of the wide feed, at the dates of the long one."""
    header, _ = lines_of("returns.csv.gz")
    return header + b"\n", _paced("returns.csv.gz")


def _paced(name: str) -> Iterator[Line]:
    """The lines of a file at the pace of the trading days, from the first day on which all stocks are there."""
    first, last = _bounds()
    calendar = _trading_days(first)
    again = (last - first).days + 3
    turn = 0
    while True:
        shift = timedelta(days=turn * again)
        for line in lines_of(name)[1]:
            day, comma, rest = line.partition(b",")
            place = calendar.get(day)
            if place is None:
                continue
            due_us = int((turn * len(calendar) + place) / DAYS_PER_S * 1e6)
            if turn:
                day = (date.fromisoformat(day.decode()) + shift).isoformat().encode()
            yield Line(due_us, day + comma + rest + b"\n")
        turn += 1


def _bounds() -> tuple[date, date]:
    days = [line.partition(b",")[0].decode() for line in lines_of("returns.csv.gz")[1]]
    return date.fromisoformat(days[0]), date.fromisoformat(days[-1])


def _trading_days(first: date) -> dict[bytes, int]:
    """The place of each day from `first` on."""
    days = dict.fromkeys(line.partition(b",")[0] for line in lines_of("stocks.csv.gz")[1])
    wanted = [day for day in days if day.decode() >= first.isoformat()]
    return {day: place for place, day in enumerate(wanted)}


def _with_broken(lines: Iterator[Line]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        yield line
        if number % BROKEN_EVERY == BROKEN_EVERY // 4:
            yield Line(line.due_us, BROKEN[number // BROKEN_EVERY % len(BROKEN)])
