"""What a lookup table said, as the journal keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Said:
    """What a table said while a record was applied.

    Parameters
    ----------
    step : the id of its step.
    turn : the how manieth time rows came to that step.
    table : the whole table, or a row for each key that was asked for; ``None``: it is as it was.
    """

    step: str
    turn: int
    now_us: int
    tag: str
    table: pl.DataFrame | None
