"""Frames of a state, read in other threads: meanwhile the journal is looked through, and modules are loaded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping

import polars as pl

from riverrun.limits import MIB
from riverrun.state.snapshot import frame_from_bytes

#: Less than this is read faster than threads are started.
WORTH_BYTES = 4 * MIB
_THREADS = 2


class FramesAhead:
    """The frames of an open state folder, which are on their way.

    Parameters
    ----------
    read : the checked bytes of a frame; may be called by several threads.
    sizes : bytes of each frame; the largest are read first.
    """

    def __init__(self, read: Callable[[int], bytes], sizes: Mapping[int, int]) -> None:
        self._read = read
        self._known = frozenset(sizes)
        self._left = deque(sorted(sizes, key=sizes.__getitem__, reverse=True))
        self._found: dict[int, pl.DataFrame | Exception] = {}
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name="riverrun-reading", daemon=True) for _ in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def frame(self, id: int) -> pl.DataFrame:
        """One frame, as soon as it is there. Raises what went wrong with it; ``KeyError``: there is none."""
        if id not in self._known:
            raise KeyError(id)
        with self._changed:
            while id not in self._found:
                self._changed.wait()
            found = self._found[id]
        if isinstance(found, Exception):
            raise found
        return found

    def stop(self) -> None:
        """Read no more, and forget what was read; `frame` is not asked any more."""
        self._left.clear()
        for thread in self._threads:
            thread.join()
        self._found.clear()

    def _work(self) -> None:
        while True:
            try:
                id = self._left.popleft()
            except IndexError:
                return
            found = self._made(id)
            with self._changed:
                self._found[id] = found
                self._changed.notify_all()

    def _made(self, id: int) -> pl.DataFrame | Exception:
        try:
            return frame_from_bytes(self._read(id))
        except Exception as error:
            return error
