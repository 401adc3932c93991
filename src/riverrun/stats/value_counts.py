"""Values and how often they occurred, with buckets of a known relative width once they are many.

Each value of a small group is kept. Once a group holds more than `EXACT_VALUES`, values are counted by bucket:
those of DDSketch (Masson, Rim and Lee, 2019, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees"), with zero and either sign apart. Which of both it is depends only on how many
values a group holds, never on how they arrived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from riverrun.stats.lists import GROUP, Grouped, group_in, grouped, number_in, packed
from riverrun.stats.partials import LongOfOne, Rows

#: Up to so many values in a group the result is exact.
EXACT_VALUES = 1_000

SMALLEST_DOUBLE, LARGEST_DOUBLE = 5e-324, 1.7976931348623157e308

#: Buckets of positive values have numbers about this one, those of negative values about its negation.
_ONE = 1 << 24
_INFINITE, _NAN = 1 << 29, 1 << 30


def buckets(values: pl.Series, error: float) -> pl.Series:
    """The number of the bucket that each value falls into; numbers rise with values."""
    per_bucket = math.log((1 + error) / (1 - error))
    value = pl.col("value")
    place = ((value.abs().log() / per_bucket).ceil() + _ONE) * value.sign()
    # What has no logarithm that is a number becomes null, and is looked at only where there is any.
    table = values.to_frame("value").select("value", place.cast(pl.Int32, strict=False).alias("code"))
    if table["code"].null_count():
        odd = pl.when(value.is_nan()).then(_NAN).when(value == 0).then(0).otherwise(_INFINITE * value.sign())
        table = table.with_columns(pl.col("code").fill_null(odd.cast(pl.Int32)))
    return table["code"]


def representative(code: pl.Expr, error: float) -> pl.Expr:
    """The middle of a bucket: within `error` of its values, relative, and in the same bucket."""
    gamma = (1 + error) / (1 - error)
    middle = ((code.abs() - _ONE) * math.log(gamma) + math.log(2 / (gamma + 1))).exp()
    finite = middle.clip(SMALLEST_DOUBLE, LARGEST_DOUBLE) * code.sign()
    odd = pl.when(code == _NAN).then(math.nan).when(code > 0).then(math.inf).otherwise(-math.inf)
    return pl.when(code.abs() >= _INFINITE).then(odd).when(code == 0).then(0.0).otherwise(finite)


@dataclass(frozen=True, slots=True)
class ValueCounts(LongOfOne):
    """For each group either a list of its values, or two of its buckets and their counts."""

    error: float

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        value = rows.expr(self.x).alias("values")
        table = frame.select(*by, value)
        if self.x not in rows.complete:
            table = table.filter(pl.col("values").is_not_null())
        lists = table.group_by(by, maintain_order=True).agg(pl.col("values"))
        nothing = [
            pl.lit(None, pl.List(dtype)).alias(n) for n, dtype in (("codes", pl.Int32), ("counts", pl.Int64))
        ]
        lists = lists.with_columns(nothing)
        longest = lists["values"].list.len().max()
        return self.merge(lists, by) if isinstance(longest, int) and longest > EXACT_VALUES else lists

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        known = pl.col("values").list.len().fill_null(0) + pl.col("counts").list.sum().fill_null(0)
        found = grouped(frame.with_columns(known.cast(pl.Int64).alias("n")), by)
        sizes = found.rows.group_by(GROUP, maintain_order=True).agg(pl.col("n").sum().alias("size"))
        large = sizes["size"] > EXACT_VALUES
        if found.merged and not frame["values"].filter(large).is_not_null().any():
            return frame
        rows = found.rows.join(sizes, on=GROUP, how="left", maintain_order="left")
        small = rows.filter(pl.col("size") <= EXACT_VALUES).group_by(GROUP, maintain_order=True)
        parts = [
            small.agg(pl.col("values").explode()),
            self._counted(rows.filter(pl.col("size") > EXACT_VALUES)),
        ]
        return found.keyed(pl.concat(parts, how="diagonal"), by).select(frame.columns)

    def _counted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Groups of many values: the number of each bucket that occurs, and how often it does."""
        key = "key"
        values = rows.filter(pl.col("values").is_not_null()).select(GROUP, "values").explode("values")
        coded = values.select(GROUP, buckets(values["values"], self.error).alias("codes"))
        fresh = coded.select(packed(pl.col("codes")).alias(key))
        counted = [fresh.group_by(key).agg(pl.len().cast(pl.Int64).alias("counts"))]
        before = rows.filter(pl.col("codes").is_not_null()).select(GROUP, "codes", "counts")
        if before.height:
            counted.append(
                before.explode("codes", "counts").select(packed(pl.col("codes")).alias(key), "counts")
            )
        together = pl.concat(counted).group_by(key).agg(pl.col("counts").sum()).sort(key)
        code = number_in(pl.col(key)).cast(pl.Int32)
        apart = together.select(group_in(pl.col(key)).alias(GROUP), code.alias("codes"), "counts")
        return apart.group_by(GROUP, maintain_order=True).agg("codes", "counts")

    def told_apart(self, table: pl.DataFrame, by: Sequence[str]) -> tuple[Grouped, list[pl.DataFrame]]:
        """The groups, and tables of `GROUP`, ``value``, ``count``: kept values apart from those of buckets."""
        found = grouped(table, by)
        exact = found.rows.filter(pl.col("values").is_not_null()).select(GROUP, "values").explode("values")
        coded = found.rows.filter(pl.col("codes").is_not_null()).select(GROUP, "codes", "counts")
        middles = coded.explode("codes", "counts").select(
            GROUP, representative(pl.col("codes"), self.error).alias("value"), pl.col("counts").alias("count")
        )
        alone = exact.select(GROUP, pl.col("values").alias("value"), pl.lit(1, pl.Int64).alias("count"))
        return found, [part for part in (alone, middles) if part.height] or [alone]
