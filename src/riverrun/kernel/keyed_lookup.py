"""Rows with what somebody says of their key. The answers are part of the state; somebody else asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.errors import SourceError
from riverrun.kernel.operator import NOTHING, Output
from riverrun.plan.lookup import KeyAnswer, OnFailure

#: Whether there is something of a key, why its last answer is missing, and when it was asked for.
FOUND, FAILURE, ASKED = "__p_found", "__p_failure", "__p_asked"

#: A key without an answer is asked for again when rows come so much later.
ASK_AGAIN_US = 10_000_000


@dataclass(frozen=True, slots=True)
class KeyedState:
    """What is remembered: a row for each key that was asked for, those asked last at the end."""

    answers: pl.DataFrame | None = None


class KeyedAnswers:
    """The operator for lookups key by key. Rows go through it as they come, with all that is hidden in them.

    Parameters
    ----------
    on : the column whose values are asked for.
    dtype : its type.
    columns : what an answer says.
    names : for each of them its name in the results.
    max_keys : so many keys are remembered; those of the rows at hand in any case.
    """

    def __init__(
        self,
        on: str,
        dtype: pl.DataType,
        columns: Mapping[str, pl.DataType],
        names: Mapping[str, str],
        *,
        outer: bool,
        ttl_us: int | None,
        on_failure: OnFailure,
        max_keys: int,
        name: str,
    ) -> None:
        self.on = on
        self.outer = outer
        self.ttl_us = ttl_us
        self.on_failure = on_failure
        self.max_keys = max_keys
        self._columns = dict(columns)
        self._names = dict(names)
        self._name = name
        self._schema = {on: dtype, **columns, FOUND: pl.Boolean(), FAILURE: pl.String(), ASKED: pl.Int64()}

    def empty(self) -> KeyedState:
        return KeyedState()

    @property
    def asks(self) -> bool:
        """Whether somebody is asked while rows come."""
        return True

    # -- who is asked for -----------------------------------------------------------------------------

    def keys(self, frames: Sequence[pl.DataFrame]) -> pl.Series:
        """The keys of some rows, each once."""
        return pl.concat([frame[self.on] for frame in frames]).unique(maintain_order=True).drop_nulls()

    def unknown(self, state: KeyedState, keys: pl.Series, now_us: int | None) -> pl.Series:
        """The keys that have to be asked for, old answers among them; without a time, no answer is old."""
        if state.answers is None:
            return keys
        good = state.answers
        if now_us is not None:
            age = pl.lit(now_us) - pl.col(ASKED)
            again = pl.col(FAILURE).is_not_null() & (age >= ASK_AGAIN_US)
            good = good.filter(~(again if self.ttl_us is None else again | (age >= self.ttl_us)))
        return keys.filter(~keys.is_in(good[self.on].implode()))

    def answered(self, keys: pl.Series, answers: Sequence[KeyAnswer], now_us: int) -> pl.DataFrame:
        """Answers as rows of the state. Raises `SourceError` for a missing one, if that shall stop a run."""
        pieces = [self._row(key, answer, now_us) for key, answer in zip(keys, answers, strict=True)]
        return pl.concat(pieces) if pieces else pl.DataFrame(schema=self._schema)

    def with_answers(self, state: KeyedState, keys: pl.Series, said: pl.DataFrame) -> KeyedState:
        """The state with what was said, for rows with these keys. Keys asked long ago are forgotten."""
        if state.answers is None:
            return KeyedState(said)
        if self.on_failure == "stale":
            said = self._stale(state.answers, said)
        kept = state.answers.filter(~pl.col(self.on).is_in(said[self.on].implode()))
        if kept.height + said.height > self.max_keys:
            needed = pl.col(self.on).is_in(keys.implode())
            needed_ones = kept.filter(needed)
            room = max(0, self.max_keys - said.height - needed_ones.height)
            kept = pl.concat([kept.filter(~needed).tail(room), needed_ones])
        return KeyedState(pl.concat([kept, said]))

    def _row(self, key: object, answer: KeyAnswer, now_us: int) -> pl.DataFrame:
        """An answer as a row; one whose values are of other types is a failure."""
        failure, row = answer.failure, answer.row
        values: dict[str, pl.Series] = {}
        for name, dtype in self._columns.items():
            value = None if row is None else row.get(name)
            try:
                values[name] = pl.Series(name, [value]).cast(dtype)
            except (pl.exceptions.PolarsError, TypeError) as error:
                failure = failure or f"{name!r} is no {dtype}: {str(error).splitlines()[0]}"
        if failure:
            if self.on_failure == "stop":
                raise SourceError(
                    f"nothing is known of {key!r}: {failure}",
                    where=self._name,
                    hint='on_failure="stale" or "null" goes on without an answer',
                )
            values = {name: pl.Series(name, [None], dtype=dtype) for name, dtype in self._columns.items()}
        return pl.DataFrame(
            [
                pl.Series(self.on, [key], dtype=self._schema[self.on]),
                *values.values(),
                pl.Series(FOUND, [row is not None and not failure]),
                pl.Series(FAILURE, [failure or None], dtype=pl.String),
                pl.Series(ASKED, [now_us]),
            ]
        )

    def _stale(self, before: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
        """What was said, with what was known before in the place of failures."""
        failed = said.filter(pl.col(FAILURE).is_not_null())
        if not failed.height:
            return said
        known = failed.select(self.on, FAILURE, ASKED).join(
            before.drop(FAILURE, ASKED), on=self.on, how="inner", maintain_order="left"
        )
        rest = said.filter(~pl.col(self.on).is_in(known[self.on].implode()))
        return pl.concat([rest, known.select(rest.columns)])

    # -- rows -----------------------------------------------------------------------------------------

    def step(self, state: KeyedState, frame: pl.DataFrame) -> tuple[KeyedState, Output]:
        answers = state.answers if state.answers is not None else pl.DataFrame(schema=self._schema)
        named = [pl.col(name).alias(called) for name, called in self._names.items()]
        table = answers.filter(FOUND).select(self.on, *named)
        found = frame.join(table, on=self.on, how="left" if self.outer else "inner", maintain_order="left")
        return state, Output(frames=(found,))

    def advance(self, state: KeyedState, watermark_us: int) -> tuple[KeyedState, Output]:
        del watermark_us
        return state, NOTHING

    def early(self, state: KeyedState) -> tuple[KeyedState, Output]:
        return state, NOTHING

    def next_close_us(self, state: KeyedState) -> int | None:
        del state
        return None

    def rows(self, state: KeyedState) -> int:
        return 0 if state.answers is None else state.answers.height
