"""The shape of every stateful step: ``step(state, frame)`` and ``advance(state, watermark)``.

A step with several inputs is told with each frame which input it is of; its watermark is one all the same:
the engine takes the least of its inputs, each put back by what the node says in `Stateful.lags_us`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import polars as pl

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Output:
    """What a step put out.

    Parameters
    ----------
    frames : results in order, with the columns of the step's schema.
    late : rows that came too late for a window, with that window's bounds.
    refused : the places (`ROW_ORDER`) of rows that were too late for all of their windows.
    duplicate : the places of rows that repeat another one.
    repeated : these rows themselves, as they came.
    beyond : how many rows had a key beyond `max_keys`.
    late_rows : how many rows are in `late`, where these stand in it once for each window; ``None``: each once.
    """

    frames: tuple[pl.DataFrame, ...] = ()
    late: tuple[pl.DataFrame, ...] = ()
    refused: tuple[pl.Series, ...] = field(default=())
    duplicate: tuple[pl.Series, ...] = field(default=())
    repeated: tuple[pl.DataFrame, ...] = field(default=())
    beyond: int = 0
    late_rows: int | None = None


NOTHING = Output()


class Advancing(Protocol, Generic[S]):
    """What operators with one input and with several have in common.

    States are values: the same state and input give the same output, always.
    """

    def empty(self) -> S:
        """The state before any row."""
        ...

    def advance(self, state: S, watermark_us: int) -> tuple[S, Output]:
        """Event time has come to `watermark_us`: close what ends by then."""
        ...

    def early(self, state: S) -> tuple[S, Output]:
        """Put out what has changed since the last results, although windows are still open."""
        ...

    def next_close_us(self, state: S) -> int | None:
        """The watermark at which `advance` has something to do; ``None`` when it has nothing."""
        ...

    def rows(self, state: S) -> int:
        """How many rows of partials the state holds."""
        ...


class Operator(Advancing[S], Protocol[S]):
    """A stateful step with one input."""

    def step(self, state: S, frame: pl.DataFrame) -> tuple[S, Output]:
        """Take in rows."""
        ...


class JoinOperator(Advancing[S], Protocol[S]):
    """A stateful step with several inputs."""

    def step_side(self, state: S, frame: pl.DataFrame, side: int) -> tuple[S, Output]:
        """Take in rows of an input; `side` is its position."""
        ...
