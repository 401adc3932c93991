"""What a test lets happen to a stream, step by step.

>>> import riverrun as rr
>>> from riverrun.testing import Script, end, play, rows, watermark
>>> trades = rr.read(
...     "tcp://localhost:9999",
...     format="csv",
...     schema={"ts": rr.Timestamp("s"), "symbol": pl.String, "price": pl.Float64},
...     time="ts",
... )
>>> means = trades.group_by("symbol").window(rr.tumbling("10s")).agg(mean=rr.mean("price"))
>>> transcript = play(means, Script([
...     rows({"ts": 1, "symbol": "A", "price": 10.0}, {"ts": 4, "symbol": "A", "price": 12.0}),
...     watermark(10),
...     rows({"ts": 12, "symbol": "B", "price": 20.0}),
...     end(),
... ]))
>>> [transcript.after(i).select("symbol", "mean").rows() for i in range(4)]
[[], [('A', 11.0)], [], [('B', 20.0)]]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from riverrun.clock import Duration, parse_duration
from riverrun.errors import ConfigError

#: The partition of steps that name none.
PARTITION = "script"

Row = Mapping[str, object] | Sequence[object]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one partition arrive together."""

    items: tuple[Row, ...]
    partition: str = PARTITION
    source: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameRows:
    """The rows of a frame arrive together."""

    frame: pl.DataFrame
    partition: str = PARTITION
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """The stream's watermark is set."""

    at: int | datetime
    source: str | None = None


@dataclass(frozen=True, slots=True)
class AdvanceClock:
    """Time passes, and nothing arrives."""

    duration_us: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes arrive and go through the stream's decoder."""

    data: bytes
    partition: str = PARTITION
    source: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The input is over, or one source or partition of it."""

    partition: str | None = None
    source: str | None = None


Step = Rows | FrameRows | Watermark | AdvanceClock | Malformed | End


def rows(*items: Row | pl.DataFrame, partition: str = PARTITION, source: str | None = None) -> Rows | FrameRows:
    """Rows that arrive together, in one batch.

    Parameters
    ----------
    items : a dict for each row (a column that is left out is null), or a tuple in the order of the schema, or
        one frame. The event time may be an integer in the unit of the declared column (``rr.Timestamp("s")``:
        seconds), a datetime, or text.
    partition : the connection, file or topic partition that they come from.
    source : the name of the source, when the stream has several (``rr.read(name=)``).

    Raises
    ------
    ConfigError : when a frame is mixed with rows.

    >>> rows({"ts": 1, "x": 2.0}, (2, 3.0)).items
    ({'ts': 1, 'x': 2.0}, (2, 3.0))
    """
    frames = [item for item in items if isinstance(item, pl.DataFrame)]
    if frames and len(items) > 1:
        raise ConfigError(
            "rows takes one frame, or any number of dicts and tuples", where="rows", hint="two rows steps"
        )
    if frames:
        return FrameRows(frames[0], partition, source)
    return Rows(tuple(item for item in items if not isinstance(item, pl.DataFrame)), partition, source)


def watermark(at: int | datetime, source: str | None = None) -> Watermark:
    """Set the stream's watermark: no row before `at` is expected any more. It never goes back.

    Parameters
    ----------
    at : an integer in the unit of the declared event-time column (``rr.Timestamp("s")``: seconds;
        microseconds when the stream has none), or a datetime (UTC when it has no zone).
    source : whose watermark, when the stream has several sources; all, when left out.

    >>> watermark(25).at
    25
    """
    return Watermark(at, source)


def advance_clock(duration: Duration) -> AdvanceClock:
    """Let time pass: idle partitions fall silent, early results come when they are due.

    >>> advance_clock("10s")
    AdvanceClock(duration_us=10000000)
    """
    return AdvanceClock(parse_duration(duration, where="advance_clock"))


def malformed(data: bytes, partition: str = PARTITION, source: str | None = None) -> Malformed:
    """Bytes that arrive as they are and go through the stream's declared format; bad ones become dead letters.

    Good records among them become rows. A last record without a line end is given one.

    >>> malformed(b"not a row").data
    b'not a row'
    """
    return Malformed(data, partition, source)


def end(partition: str | None = None, source: str | None = None) -> End:
    """The input is over and every window closes; with a `source` or `partition`, only that one ends.

    >>> end("one of two connections").partition
    'one of two connections'
    """
    return End(partition, source)


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Script:
    """Steps that happen one after the other.

    Parameters
    ----------
    steps : what `rows`, `watermark`, `advance_clock`, `malformed` and `end` return.

    Raises
    ------
    ConfigError : for something that is no step, or a step after the end.

    >>> len(Script([rows({"x": 1}), end()]))
    2
    """

    steps: tuple[Step, ...]

    def __init__(self, steps: Sequence[Step]) -> None:
        object.__setattr__(self, "steps", tuple(steps))
        for number, step in enumerate(self.steps):
            if not isinstance(step, Step):
                raise ConfigError(
                    f"not a step: {step!r}",
                    where=f"Script, step {number}",
                    hint="rows(...), watermark(...), advance_clock(...), malformed(...) or end()",
                )
            if step == End() and number + 1 < len(self.steps):
                raise ConfigError(
                    "nothing can happen after the end of the input",
                    where=f"Script, step {number + 1}",
                    hint="let end() be the last step",
                )

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def partitions(self, source: str) -> tuple[str, ...]:
        """The partitions that rows or bytes of a source come from, by first appearance."""
        brought = (step for step in self.steps if isinstance(step, (Rows, FrameRows, Malformed)))
        return tuple(dict.fromkeys(step.partition for step in brought if step.source in (None, source)))
