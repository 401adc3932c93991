"""The newest points of one key, ordered by time: what a chart draws one line from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]


class Series:
    """Points as columns of numbers, at most `limit` of them; the oldest give way.

    Parameters
    ----------
    width : values in each point.
    limit : most points kept.

    >>> series = Series(width=1, limit=3)
    >>> series.upsert(np.array([10, 20, 20]), np.array([[1.0], [2.0], [9.0]]))
    >>> series.times.tolist(), series.values.tolist()
    ([10, 20], [[1.0], [9.0]])
    """

    __slots__ = ("_length", "_limit", "_times", "_values", "_width")

    def __init__(self, width: int, limit: int) -> None:
        self._width = width
        self._limit = limit
        self._length = 0
        self._times: Times = np.empty(16, np.int64)
        self._values: Values = np.empty((16, width), np.float64)

    def __len__(self) -> int:
        return self._length

    @property
    def times(self) -> Times:
        """Instants in microseconds, strictly increasing."""
        return self._times[: self._length]

    @property
    def values(self) -> Values:
        """One row per instant."""
        return self._values[: self._length]

    def upsert(self, times: Times, values: Values) -> None:
        """Put points in; one with the same instant as an older one replaces it."""
        if not len(times):
            return
        after_all = self._length == 0 or times[0] > self._times[self._length - 1]
        if after_all and (len(times) == 1 or bool(np.all(times[1:] > times[:-1]))):
            self._append(times, values)
        else:
            self._merge(times, values)

    def shrink(self, limit: int) -> None:
        """Lower the number of points kept."""
        self._limit = limit
        self._keep_newest()

    def _append(self, times: Times, values: Values) -> None:
        needed = self._length + len(times)
        if needed > len(self._times):
            self._resize(max(needed, min(2 * len(self._times), 2 * self._limit)))
        self._times[self._length : needed] = times
        self._values[self._length : needed] = values
        self._length = needed
        # Trimmed only now and then, so that appending stays cheap.
        if needed > self._limit + self._limit // 4:
            self._keep_newest()

    def _merge(self, times: Times, values: Values) -> None:
        all_times = np.concatenate([self.times, times])
        order = np.argsort(all_times, kind="stable")
        all_times = all_times[order]
        newest = np.append(all_times[1:] != all_times[:-1], True)
        self._times = all_times[newest]
        self._values = np.concatenate([self.values, values])[order][newest]
        self._length = len(self._times)
        self._keep_newest()

    def _keep_newest(self) -> None:
        extra = self._length - self._limit
        if extra <= 0:
            return
        self._times = self._times[extra : self._length].copy()
        self._values = self._values[extra : self._length].copy()
        self._length = self._limit

    def _resize(self, capacity: int) -> None:
        times = np.empty(capacity, np.int64)
        values = np.empty((capacity, self._width), np.float64)
        times[: self._length] = self.times
        values[: self._length] = self.values
        self._times, self._values = times, values
