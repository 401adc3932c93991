"""Steps that measure values by what came before them: outliers cut off, values made comparable."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from riverrun.plan.cleaning import by_text, check_apart, check_numbers
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed


@dataclass(frozen=True, slots=True)
class Zscore:
    """Distance to the mean in standard deviations."""

    name = "zscore"
    by_moments = True


@dataclass(frozen=True, slots=True)
class MinMax:
    """0 for the least, 1 for the largest."""

    name = "minmax"
    by_moments = False


@dataclass(frozen=True, slots=True)
class Clipped:
    """No further than k standard deviations from the mean, once there are enough rows."""

    k: float
    min_rows: int
    name = "sigma"
    by_moments = True


@dataclass(frozen=True, slots=True)
class Fenced:
    """No further than k times the distance of the quartiles outside of them, of the last rows."""

    k: float
    min_rows: int
    rows: int
    name = "iqr"


@dataclass(frozen=True, slots=True)
class Deviating:
    """No further than k times the median absolute deviation from the median, of the last rows.

    The deviation is taken times 1.4826, which makes it the standard deviation of values that are normally
    distributed.
    """

    k: float
    min_rows: int
    rows: int
    name = "mad"


Fence = Fenced | Deviating
Scaling = Zscore | MinMax | Clipped


@dataclass(frozen=True, eq=False, slots=True)
class Scale(Stateful):
    """Columns measured by the rows of their key before."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    scaling: Scaling | Fence

    passes_rows = True

    @property
    def step(self) -> str:
        return "normalise" if isinstance(self.scaling, (Zscore, MinMax)) else "clip_outliers"

    @property
    def label(self) -> str:
        return f"{self.step} {', '.join(self.columns)}{by_text(self.by)} ({self.scaling.name})"

    @property
    def beyond_keys(self) -> str:
        if isinstance(self.scaling, (Fenced, Deviating)):
            return "rows of further ones are left as they are"
        return "each row of further ones is taken for the first of its key"

    def typed(self, *before: Typed) -> Typed:
        (rows,) = before
        rows.final_rows(self.step, against="and would be measured twice")
        check_apart(self.columns, self.by, rows, self.step)
        check_numbers(
            self.columns, rows, self.step, hint='.cast({"x": pl.Float64}) or .repair_types(...) first'
        )
        columns = {**rows.columns, **{name: pl.Float64() for name in self.columns}}
        return Typed(columns, rows.time, rows.time_shift_us, rows.keys)
