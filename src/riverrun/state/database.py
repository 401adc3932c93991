"""The database of a state folder: one SQLite file, one connection, one transaction for each checkpoint.

The connection has the file for itself (``locking_mode=EXCLUSIVE``): there is no shared memory, and no second
connection that could reset the write-ahead log under it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

import orjson

from riverrun.errors import StateError
from riverrun.state.commit import Commit
from riverrun.state.damage import damaged
from riverrun.state.dead_letters import DEAD_LETTERS, cells_of, forget_oldest, letter_of, taken_bytes
from riverrun.state.settings import StoreSettings
from riverrun.state.tables import ChecksumError, Table, TableDescription, Tally
from riverrun.world import Files

#: Written into the header of the file, where `file` and we look for it.
APPLICATION_ID = 0x52697672  # "Rivr"
#: Goes up when an older riverrun could not read the folder any more.
FORMAT_VERSION = 1

DATABASE = "state.db"

VALUES = TableDescription("documents", (("kind", "TEXT"), ("key", "TEXT")), (("body", "BLOB"),))
BLOBS = TableDescription("blobs", (("id", "INTEGER"),), (("body", "BLOB"),))
OUTBOX = TableDescription(
    "outbox", (("output", "TEXT"), ("unit", "INTEGER"), ("part", "INTEGER")), (("body", "BLOB"),)
)
PROGRESS = TableDescription("progress", (("id", "INTEGER"),), (("body", "TEXT"),))
TABLES = (VALUES, BLOBS, OUTBOX, DEAD_LETTERS)

#: Each with its reason in docs/durability.md.
PRAGMAS = (
    "PRAGMA page_size = 32768",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA mmap_size = 0",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA temp_store = MEMORY",
)


#: Errors of SQLite that come from the disk or the system, and say nothing of what is in the file.
_NOT_DAMAGE = frozenset({
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the database is, in a row of its own.

    Parameters
    ----------
    store : id of the folder.
    checkpoint : running number of the last checkpoint.
    position : the last frame whose effects are in it.
    needed_from : the first frame that a start from it needs.
    synced : frames up to here were on the disk when it was made.
    tallies : of each table, see `riverrun.state.tables`.
    """

    store: str
    checkpoint: int = 0
    position: int = 0
    needed_from: int = 1
    synced: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)


def create(files: Files, folder: str, store: str) -> None:
    """Make the database of a new folder: under another name first, so that there is a whole one or none."""
    path, made = f"{folder}/{DATABASE}.new", f"{folder}/{DATABASE}"
    for name in (path, f"{path}-wal", f"{path}-journal"):
        if files.status(name) is not None:
            files.remove(name)
    connection = files.open_database(path)
    try:
        _configure(connection, folder)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        for table in (*TABLES, PROGRESS):
            connection.execute(table.definition)
        _write_progress(connection, Progress(store, tallies={table.name: Tally() for table in TABLES}))
        connection.execute("COMMIT")
        _settle(connection)
    finally:
        connection.close()
    files.replace(path, made)
    files.sync_folder(folder)


class Database:
    """The open database. For one thread at a time; the store has a lock."""

    def __init__(self, files: Files, folder: str, settings: StoreSettings) -> None:
        self._files = files
        self._folder = folder
        self._settings = settings
        with self.telling_damage():
            self._connection = files.open_database(f"{folder}/{DATABASE}")
            try:
                _configure(self._connection, folder)
                _settle(self._connection)
                self.progress = _read_progress(self._connection)
                self._tables = self._open_tables()
                self._letters_bytes = taken_bytes(self.dead_letters)
            except BaseException:
                self._connection.close()
                raise

    @property
    def dead_letters(self) -> Table:
        return self._tables[DEAD_LETTERS.name]

    def check(self) -> None:
        """Raises `StateError` when the file is damaged in any way that matters, but inside a blob.

        Blobs are large: each is checked when it is read.
        """
        with self.telling_damage():
            ((found, *_), *_) = self._connection.execute("PRAGMA quick_check(1)")
            if found != "ok":
                raise ChecksumError(f"SQLite says: {found}")
            for table in self._tables.values():
                table.check()

    def values(self, kind: str) -> dict[str, bytes]:
        """The small documents of one kind, by key."""
        with self.telling_damage():
            rows = self._tables[VALUES.name].rows("kind = ?", (kind,))
            return {str(key): _bytes(body) for _, key, body in rows}

    def blob(self, id: int) -> bytes:
        """One blob. Raises ``KeyError`` when there is none of this number."""
        with self.telling_damage():
            for _, body in self._tables[BLOBS.name].rows("id = ?", (id,)):
                return _bytes(body)
        raise KeyError(id)

    def blob_sizes(self) -> dict[int, int]:
        """The bytes of every blob, by number; none of them is read for it."""
        with self.telling_damage():
            return dict(self._tables[BLOBS.name].query(f"SELECT id, length(body) FROM {BLOBS.name}"))  # noqa: S608

    def outbox(self) -> Iterator[tuple[tuple[str, int, int], bytes]]:
        """What was not delivered, by output, unit and part."""
        with self.telling_damage():
            for output, unit, part, body in self._tables[OUTBOX.name].rows():
                assert isinstance(unit, int)
                assert isinstance(part, int)
                yield (str(output), unit, part), _bytes(body)

    def commit(self, commit: Commit, *, synced: int, forget_before_us: int | None) -> None:
        """Store all of it in one transaction, or nothing: then ``sqlite3.Error`` is raised."""
        self._transact(
            lambda: self._apply(commit, forget_before_us),
            replace(
                self.progress,
                checkpoint=self.progress.checkpoint + 1,
                position=commit.position,
                needed_from=commit.needed_from,
                synced=synced,
            ),
        )

    def note_synced(self, synced: int) -> None:
        """Remember how far the journal is on the disk."""
        self._transact(lambda: None, replace(self.progress, synced=synced))

    def settle(self) -> None:
        """Put the write-ahead log into the main file, and empty it."""
        _settle(self._connection)

    def copy_to(self, path: str) -> None:
        """Write a copy of the whole database, compact, as one file."""
        self._connection.execute("VACUUM INTO ?", (path,))

    def close(self) -> None:
        self._connection.close()

    def _transact(self, change: Callable[[], None], progress: Progress) -> None:
        before = {name: table.tally for name, table in self._tables.items()}
        letters_bytes = self._letters_bytes
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            change()
            tallies = {name: table.tally for name, table in self._tables.items()}
            progress = replace(progress, tallies=tallies)
            _write_progress(self._connection, progress)
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            for name, tally in before.items():
                self._tables[name].tally = tally
            self._letters_bytes = letters_bytes
            raise
        self.progress = progress

    def _apply(self, commit: Commit, forget_before_us: int | None) -> None:
        values, blobs, outbox = (self._tables[table.name] for table in (VALUES, BLOBS, OUTBOX))
        for key, body in commit.values.items():
            if body is None:
                values.delete(key)
            else:
                values.put((*key, body))
        for id in commit.drop_blobs:
            blobs.delete((id,))
        for id, body in commit.put_blobs.items():
            blobs.put((id, body))
        for place, body in commit.put_outbox.items():
            outbox.put((*place, body))
        for output, unit in commit.drop_outbox.items():
            outbox.delete_where("output = ? AND unit <= ?", (output, unit))
        self._apply_letters(commit, forget_before_us)

    def _apply_letters(self, commit: Commit, forget_before_us: int | None) -> None:
        for id in (*commit.dropped_letters, *(letter.id for letter in commit.dead_letters)):
            for cells in list(self.dead_letters.rows("id = ?", (id,))):
                self._letters_bytes -= letter_of(cells).stored_bytes
                self.dead_letters.delete((id,))
        for letter in commit.dead_letters:
            self.dead_letters.put(cells_of(letter))
            self._letters_bytes += letter.stored_bytes
        self._letters_bytes = forget_oldest(
            self.dead_letters, self._letters_bytes, self._settings.dead_letter_bytes, forget_before_us
        )

    def _open_tables(self) -> dict[str, Table]:
        tallies = self.progress.tallies
        return {table.name: Table(self._connection, table, tallies[table.name]) for table in TABLES}

    @contextlib.contextmanager
    def telling_damage(self) -> Iterator[None]:
        """What SQLite or a checksum finds wrong becomes an error that says where, and what to do."""
        try:
            yield
        except ChecksumError as error:
            raise damaged(self._folder, DATABASE, None, str(error)) from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_DAMAGE:
                raise
            raise damaged(self._folder, DATABASE, None, f"SQLite says: {error}") from error


def _configure(connection: sqlite3.Connection, folder: str) -> None:
    for pragma in PRAGMAS:
        answer = connection.execute(pragma).fetchone()
        if pragma.endswith("WAL") and answer != ("wal",):
            raise StateError(
                f"the file system gives no write-ahead log, SQLite answers {answer[0]!r}",
                where=folder,
                hint="a folder on a local disk",
            )


def _settle(connection: sqlite3.Connection) -> None:
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("the write-ahead log could not be put into the main file")


def _write_progress(connection: sqlite3.Connection, progress: Progress) -> None:
    Table(connection, PROGRESS, Tally()).put((1, orjson.dumps(asdict(progress)).decode()))


def _read_progress(connection: sqlite3.Connection) -> Progress:
    rows = list(Table(connection, PROGRESS, Tally()).rows())
    if len(rows) != 1:
        raise ChecksumError("the row that says how far it is, is missing")
    read = orjson.loads(str(rows[0][1]))
    tallies = {name: Tally(**tally) for name, tally in read.pop("tallies").items()}
    return Progress(**read, tallies=tallies)


def _bytes(cell: object) -> bytes:
    assert isinstance(cell, bytes)
    return cell
