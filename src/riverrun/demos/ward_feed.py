"""The feed of the demo ``ward``: two real pulse recordings at their true rate, as if they were taken now."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.clock import Clock
from riverrun.demos.data_files import lines_of
from riverrun.demos.feeder import Line


def samples(clock: Clock) -> tuple[bytes, Iterator[Line]]:
    """The header and the lines; their times count from the first line that is taken."""
    header, _ = lines_of("ward.csv.gz")
    return header + b"\n", _lines(clock)


def _lines(clock: Clock) -> Iterator[Line]:
    parsed = [(int(t), rest) for t, _, rest in (line.partition(b",") for line in lines_of("ward.csv.gz")[1])]
    turn_ms = parsed[-1][0] + 10
    began_ms = clock.now_us() // 1_000
    turn = 0
    while True:
        for t_ms, rest in parsed:
            at_ms = turn * turn_ms + t_ms
            yield Line(at_ms * 1_000, b"%d,%b\n" % (began_ms + at_ms, rest))
        turn += 1
