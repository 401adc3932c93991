"""An SQLite database in memory, of which a power cut leaves what was committed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

#: What a database in memory does not know, and what a file would answer.
_ANSWERS = {
    "PRAGMA journal_mode = WAL": "SELECT 'wal'",
    "PRAGMA wal_checkpoint(TRUNCATE)": "SELECT 0, 0, 0",
}


class SimulatedDatabase(sqlite3.Connection):
    """A connection that behaves like one to a file with a write-ahead log.

    Parameters
    ----------
    committed : is given what was committed when the connection ends.
    copy : is given a path and a whole database.
    is_full : whether the disk is; then nothing can be committed.
    """

    def __init__(
        self,
        committed: Callable[[bytes], None],
        copy: Callable[[str, bytes], None],
        is_full: Callable[[], bool],
    ) -> None:
        super().__init__(":memory:", isolation_level=None, check_same_thread=False)
        self._committed = committed
        self._copy = copy
        self._is_full = is_full
        self._open = True

    def load(self, committed: bytes) -> None:
        """Begin with what was committed before."""
        if committed:
            self.deserialize(committed)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "VACUUM INTO ?":
            self._copy(parameters[0], self.serialize())
            return super().execute("SELECT 1")
        if sql == "COMMIT" and self._is_full():
            raise _full()
        return super().execute(_ANSWERS.get(sql, sql), parameters)

    def lose_power(self) -> None:
        """What was not committed is gone, and so is the connection."""
        if self._open:
            if self.in_transaction:
                self.rollback()
            self.close()

    def close(self) -> None:
        """Keep what was committed, as a file would."""
        if self._open:
            self._open = False
            self._committed(self.serialize())
        super().close()


def _full() -> sqlite3.OperationalError:
    """What SQLite says when the disk is full."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    error.sqlite_errorname = "SQLITE_FULL"
    return error
