"""Covariance and correlation matrices of many columns.

Fifty columns have 1,275 pairs. As so many expressions they cost three times what one matrix product does, so
this family alone uses NumPy (the extra ``numpy``), which hands the product to the machine's linear algebra. A
partial holds for each group n, a reference r near the data, the mean of x − r, and the matrix of central
co-moments C = Σ(x − x̄)(x − x̄)ᵀ, merged after Pébay (2008) about the merged mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from riverrun.errors import MissingExtraError, PlanError
from riverrun.stats.aggregate import Aggregate, BuiltIn, label_of
from riverrun.stats.moments import LARGEST_SQUARES, SMALLEST_SQUARES, unless_zero
from riverrun.stats.partials import PARTIAL_PREFIX, ColumnLike, Input, LongPartial, Nan, Partial, Rows
from riverrun.stats.references import LARGEST

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

#: As many columns as a matrix may have: it has their square of values for each group.
MOST_COLUMNS = 500

#: So many rows, evenly chosen, tell a reference near the data.
SAMPLE_ROWS = 64
#: Where n·mean² is at most this part of the sum of squares about the reference, it can be subtracted from it.
NEAR = 0.25

_GROUP = f"{PARTIAL_PREFIX}group"


@dataclass(frozen=True, slots=True)
class CoMomentMatrix(LongPartial):
    """One row a group: n, r, the mean of x − r, and C, over the rows in which nothing is null."""

    columns: tuple[Input, ...]
    name: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.columns

    def of_rows(self, frame: pl.DataFrame, rows: Rows, by: Sequence[str]) -> pl.DataFrame:
        names = [f"{PARTIAL_PREFIX}c{at}" for at in range(len(self.columns))]
        values = [rows.expr(item).alias(name) for item, name in zip(self.columns, names, strict=True)]
        table = frame.select(*by, *values)
        if not rows.complete.issuperset(self.columns):
            table = table.drop_nulls(names)
        groups, bounds, table = _by_group(table, by)
        data = table.select(names).to_numpy(order="fortran", writable=True)
        made = [_moments(data[start:stop]) for start, stop in pairwise(bounds)]
        return self._table(groups, made)

    def merge(self, frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        groups, bounds, table = _by_group(frame, by)
        if groups.height == table.height:
            return frame
        n, ref, mean, c = (table[part].to_numpy() for part in ("n", "ref", "mean", "c"))
        made = [
            _merged(n[start:stop], ref[start:stop], mean[start:stop], c[start:stop])
            for start, stop in pairwise(bounds)
        ]
        return self._table(groups, made)

    def _table(self, groups: pl.DataFrame, made: Sequence[tuple[float, Array, Array, Array]]) -> pl.DataFrame:
        import numpy as np

        k = len(self.columns)
        shapes = {"n": (), "ref": (k,), "mean": (k,), "c": (k * k,)}
        types = {"n": pl.Float64(), "ref": pl.Array(pl.Float64, k), "mean": pl.Array(pl.Float64, k)}
        types["c"] = pl.Array(pl.Float64, k * k)
        parts = []
        for at, (part, shape) in enumerate(shapes.items()):
            stacked = np.array([row[at] for row in made], dtype=np.float64).reshape(len(made), *shape)
            parts.append(pl.Series(part, stacked, dtype=types[part]))
        return groups.with_columns(parts)


def _by_group(table: pl.DataFrame, by: Sequence[str]) -> tuple[pl.DataFrame, list[int], pl.DataFrame]:
    """The groups in the order of their appearance, the bounds of their rows, and the rows in that order."""
    if table.height and all(_is_constant(table[name]) for name in by):
        return table[:1].select(by), [0, table.height], table
    groups = table.lazy().group_by(by, maintain_order=True).agg(pl.len().alias(_GROUP)).collect()
    bounds = [0, *groups[_GROUP].cum_sum()]
    groups = groups.drop(_GROUP)
    if groups.height > 1:
        table = table.join(
            groups.with_row_index(_GROUP), on=by, how="left", nulls_equal=True, maintain_order="left"
        )
        table = table.sort(_GROUP, maintain_order=True)
    return groups, bounds, table


def _is_constant(values: pl.Series) -> bool:
    return bool(values[0] == values[-1]) and values.min() == values.max() and not values.null_count()


def _moments(data: Array) -> tuple[float, Array, Array, Array]:
    """n, r, the mean of x − r, and C of some rows, which are used up: r is subtracted in their place."""
    import numpy as np

    with np.errstate(all="ignore"):
        # The square of a number that is too large is infinite: one pass finds out whether there may be any.
        # Not by `vdot`: the threads of BLAS wait in a loop between two calls, and took twice the time in all.
        if not np.isfinite(np.einsum("ij,ij->", data, data)):
            data = np.where(np.abs(data) <= LARGEST, data, data * np.inf)
        n, first = len(data), data[0].copy()
        ref = data[:: max(1, n // SAMPLE_ROWS)].mean(axis=0)
        ref[~np.isfinite(ref)] = 0.0
        data -= ref
        mean = data.mean(axis=0)
        c = data.T @ data
        if (n * mean * mean < NEAR * np.diagonal(c)).all():
            c -= n * np.outer(mean, mean)
        else:
            # So far off, digits would be lost: as of values that differ in their last digits only.
            data -= mean
            c = data.T @ data
        # What rounding leaves of a constant must not pass for a spread.
        small = np.flatnonzero(np.diagonal(c) <= n * (1e-14 * ref) ** 2)
        for at in small[(data[:, small] == data[0, small]).all(axis=0)]:
            ref[at], mean[at] = first[at], 0.0
            # NaN, of infinite values in the other column, stays.
            c[at, :] = c[:, at] = np.where(np.isfinite(c[at, :]), 0.0, np.nan)
    return float(n), ref, mean, c.ravel()


def _merged(n: Array, ref: Array, mean: Array, c: Array) -> tuple[float, Array, Array, Array]:
    """The partials of one group, merged about their common mean."""
    import numpy as np

    with np.errstate(all="ignore"):
        off = (ref - ref[0]) + mean
        total = n.sum()
        middle = (n @ off) / total
        apart = off - middle
        # From the middle, rather than from the first: of partials that lie far apart, digits would be lost.
        middle = middle + (n @ apart) / total
        apart = off - middle
        apart[:, (off == off[0]).all(axis=0)] = 0.0
        middle = np.where((off == off[0]).all(axis=0), off[0], middle)
        moved = apart.T @ (apart * n[:, None])
    return float(total), ref[0], middle, c.sum(axis=0) + moved.ravel()


@dataclass(frozen=True, slots=True)
class Matrix(BuiltIn):
    """An aggregate of the co-moments of several columns."""

    columns: tuple[Input, ...]
    written: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.columns

    def _partial(self) -> CoMomentMatrix:
        joined = Input("|".join(item.key for item in self.columns), pl.lit(0))
        return CoMomentMatrix(self.columns, f"matrix_{joined.short}")

    def partials(self) -> tuple[Partial, ...]:
        return (self._partial(),)

    def long_result(self, tables: Mapping[str, pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
        table, k = tables[self._partial().name], len(self.columns)
        n, c = table["n"].to_numpy(), table["c"].to_numpy().reshape(-1, k, k)
        values, defined = self.of_comoments(n, c)
        cells = pl.Series(values.reshape(-1))
        if not defined.all():
            nothing = pl.repeat(None, len(cells), dtype=pl.Float64, eager=True)
            cells = cells.zip_with(pl.Series(defined.reshape(-1)), nothing)
        matrices = cells.reshape((len(n), k, k)).arr.to_list().cast(pl.List(pl.List(pl.Float64)))
        return table.select(by).with_columns(matrices.alias("value"))

    def of_comoments(self, n: Array, c: Array) -> tuple[Array, Array]:
        """The matrices of all groups, and where they have a value."""
        del n, c
        raise AssertionError("a matrix is made of its co-moments")


@dataclass(frozen=True, slots=True)
class CovarianceMatrix(Matrix):
    ddof: int

    def of_comoments(self, n: Array, c: Array) -> tuple[Array, Array]:
        import numpy as np

        freedom = (n - self.ddof)[:, None, None]
        with np.errstate(all="ignore"):
            return np.where(np.isinf(c), np.nan, c) / freedom, np.broadcast_to(freedom > 0, c.shape)


@dataclass(frozen=True, slots=True)
class CorrelationMatrix(Matrix):
    def of_comoments(self, n: Array, c: Array) -> tuple[Array, Array]:
        import numpy as np

        del n
        with np.errstate(all="ignore"):
            squares = np.diagonal(c, axis1=1, axis2=2)
            usable = (squares == 0) | ((squares >= SMALLEST_SQUARES) & (squares <= LARGEST_SQUARES))
            root = np.sqrt(np.where(usable, squares, np.nan))
            r = np.clip(c / root[:, :, None] / root[:, None, :], -1.0, 1.0)
        # Rounding leaves the diagonal next to 1; what is undefined stays so.
        same = np.arange(r.shape[1])
        r[:, same, same] = np.where(np.isfinite(r[:, same, same]), 1.0, np.nan)
        varies = root != 0
        return r, varies[:, :, None] & varies[:, None, :]


def _columns(function: str, columns: Sequence[ColumnLike], nan: Nan) -> tuple[Input, ...]:
    if find_spec("numpy") is None:
        raise MissingExtraError(f"rr.{function}", "numpy", "numpy")
    if isinstance(columns, (str, pl.Expr)) or not isinstance(columns, Sequence):
        raise PlanError(
            f"columns must be a list, got {columns!r}", where=function, hint=f'rr.{function}(["x", "y", "z"])'
        )
    if not 2 <= len(columns) <= MOST_COLUMNS:
        raise PlanError(
            f"columns must be from 2 to {MOST_COLUMNS}, got {len(columns)}",
            where=function,
            hint="rr.var(x) and rr.cov(x, y) are for one and two",
        )
    return tuple(Input.of(column, nan=nan, read="number") for column in columns)


def cov_matrix(columns: Sequence[ColumnLike], ddof: int = 0, *, nan: Nan = "propagate") -> Aggregate:
    """The covariance matrix of several columns, Σ(x − x̄)(x − x̄)ᵀ/(n − ddof), over the rows without a null.

    Rows with a null in any of the columns are left out of the whole matrix, so that it is always positive
    semidefinite; `cov` leaves out only what one pair lacks. Needs NumPy: ``pip install 'riverrun[numpy]'``.
    Accuracy: 1e-13 of σᵢσⱼ; memory: 8 · k² bytes a group for k columns (20 kB for 50). Time: one matrix product
    a batch and group, made for few groups with many columns.

    Parameters
    ----------
    columns : from 2 to 500 numeric column names or Polars expressions.
    ddof : what is taken from n in the divisor.
    nan : as for `mean`; NaN stays in its own row and column of the matrix.

    Returns
    -------
    A list of lists of Float64, rows and columns in the order of `columns` (lists, as a result of any size must
    be of one type); null when there are no rows, its values null when there are not more than `ddof`.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 9.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(c=rr.cov_matrix(["x", "y"], ddof=1)).collect()["c"].to_list()
    [[[1.0, 3.5], [3.5, 13.0]]]
    """
    items = _columns("cov_matrix", columns, nan)
    label = label_of("cov_matrix", list(columns), **unless_zero(ddof))
    return CovarianceMatrix(items, label, ddof)


def corr_matrix(columns: Sequence[ColumnLike], *, nan: Nan = "propagate") -> Aggregate:
    """The correlation matrix of several columns, over the rows without a null.

    Accuracy, memory, nulls and parameters as for `cov_matrix`, whose partial it shares. Needs NumPy.

    Returns
    -------
    A list of lists of Float64 within [-1, 1], 1 on the diagonal; null in the row and column of a constant.

    >>> import riverrun as rr
    >>> rows = {"x": [1.0, 1.0, 3.0, 3.0], "y": [4.0, 4.0, 2.0, 2.0]}
    >>> hourly = rr.read(rows).group_by().window(rr.tumbling("1h"))
    >>> hourly.agg(r=rr.corr_matrix(["x", "y"])).collect()["r"].to_list()
    [[[1.0, -1.0], [-1.0, 1.0]]]
    """
    return CorrelationMatrix(_columns("corr_matrix", columns, nan), label_of("corr_matrix", list(columns)))
