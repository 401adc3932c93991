"""The durable store of one pipeline: what was acknowledged survives, whatever happens to the process.

A store has two halves. The *journal* takes raw input and makes it safe quickly; the *database* takes what
became of it, at every checkpoint, in one transaction. After a crash the last checkpoint is loaded and the
journal behind it is read again.

    store = Store.open("state", world)      # checks and repairs
    ... load values, blobs, outbox; replay store.frames(after=position) ...
    store.checkpoint(...)                   # everything replayed is in the database now
    store.begin()                           # from here on frames are taken
    store.append([data]); store.sync()      # now it may be acknowledged

`Store.append` and `Store.sync` may run in other threads than `Store.checkpoint`; no method waits for anything
but the disk. docs/durability.md has the rules and what each one guards against.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from riverrun.errors import StateError, StateFullError
from riverrun.state.ahead import WORTH_BYTES, FramesAhead
from riverrun.state.ballast import Ballast
from riverrun.state.commit import Commit
from riverrun.state.database import DATABASE, Database, create
from riverrun.state.dead_letters import DeadLetterBox
from riverrun.state.describe import State
from riverrun.state.folder import Folder, take_folder
from riverrun.state.frame import Frame
from riverrun.state.journal import Journal
from riverrun.state.recovery import RecoveryReport
from riverrun.state.refusal import NO_SPACE, is_full, unusable
from riverrun.state.requests import Answer, answer, requests
from riverrun.state.savepoint import Manifest, restore_savepoint, write_savepoint
from riverrun.state.settings import LEAST_BYTES, StoreSettings
from riverrun.state.snapshot import frame_from_bytes
from riverrun.state.tables import Table
from riverrun.world import World

_ID_BITS = 128


class Store:
    """An open state folder. Made by `Store.open`.

    Parameters
    ----------
    id : of the folder, made when it was: 32 hexadecimal digits.
    recovery : what was found when it was opened.
    dead_letters : the records that were not accepted, to be looked at.
    notify : called after an `append`, for whoever syncs.
    full : the disk is; nothing is stored, and nothing is acknowledged, until there is space.
    """

    @staticmethod
    def open(
        path: str,
        world: World,
        *,
        create: bool = True,
        settings: StoreSettings | None = None,
        history: bool = False,
        ahead: bool = False,
    ) -> Store:
        """Open a state folder, or make one.

        Parameters
        ----------
        history : read all of the journal that is kept, not just what a start needs.
        ahead : begin at once to read all frames, which a start needs; see `frame`.

        Raises `StateError` when the folder cannot be used, belongs to a newer riverrun, is in use by another
        process, or is damaged so that something would be lost.
        """
        began_us = world.clock.monotonic_us()
        folder = take_folder(world.files, world.files.absolute(path), create=create)
        store = Store(world, folder, settings or StoreSettings())
        try:
            store._recover(began_us, history=history, ahead=ahead)
        except BaseException:
            store._abandon()
            raise
        return store

    @staticmethod
    def open_for_run(state: State, world: World, settings: StoreSettings | None = None) -> Store:
        """Open or make the folder of a run, and begin at once to read what a start needs."""
        settings = replace(settings or StoreSettings(), history_bytes=state.history_bytes)
        return Store.open(state.path, world, settings=settings, ahead=True)

    @staticmethod
    def restore(savepoint: str, path: str, world: World) -> None:
        """Make a state folder of a savepoint. Raises `StateError` when either is not as it should be."""
        restore_savepoint(world.files, world.files.absolute(savepoint), world.files.absolute(path))
        Store.open(path, world, create=False).close()

    def __init__(self, world: World, folder: Folder, settings: StoreSettings) -> None:
        self._world = world
        self._files = world.files
        self._folder = folder
        self._settings = settings
        self._ballast = Ballast(world.files, folder.path, settings)
        self._database_lock = threading.Lock()
        self._full_lock = threading.Lock()
        self._database: Database
        self._journal: Journal
        self._ahead: FramesAhead | None = None
        self._trim_to = 0
        self._looked_at = self._kept_bytes = self._free_bytes = 0
        self._journal_begun = False
        self._begun = False
        self._closed = False
        self.full = False
        self.failed: Exception | None = None
        self.recovery: RecoveryReport
        self.id = ""
        self.notify: Callable[[], None] | None = None
        self.dead_letters = DeadLetterBox(self._reading_letters)

    @property
    def path(self) -> str:
        """Where the folder is."""
        return self._folder.path

    # What was stored, between `open` and `begin`

    def values(self, kind: str) -> dict[str, bytes]:
        """The small documents of one kind, by key."""
        with self._database_lock:
            return self._database.values(kind)

    def blob(self, id: int) -> bytes:
        """One blob. Raises ``KeyError`` when there is none of this number."""
        with self._database_lock:
            return self._database.blob(id)

    def frame(self, id: int) -> pl.DataFrame:
        """The frame that a blob holds, which may have been read ahead. Raises as `blob` does."""
        return self._ahead.frame(id) if self._ahead is not None else frame_from_bytes(self.blob(id))

    def outbox(self) -> Iterator[tuple[tuple[str, int, int], bytes]]:
        """What was not delivered yet: ((output, unit, part), body), in this order."""
        with self._database_lock:
            return iter(list(self._database.outbox()))

    def frames(self, after: int) -> Iterator[Frame]:
        """The frames of the journal behind `after`, in order; those before `recovery.needed_from` are gone."""
        return self._journal.frames(after)

    def begin(self) -> None:
        """Recovery is over: go on in a new segment of the journal. From here on frames are taken.

        A checkpoint with everything that was replayed should come first, so that the next start need not do it
        again. What a failed sync may have left in the memory of the system only is on the disk when this
        returns.
        """
        assert not self._begun, "begin() is called once"
        self._forget_ahead()
        with self._finality():
            self._ballast.ensure()
            self._begin_journal()
            with self._database_lock:
                self._database.settle()
            self._trim_to = self._database.progress.needed_from
        self._journal.forget_found()
        self._look_around(always=True)
        self._begun = True

    # The journal

    @property
    def synced(self) -> int:
        """Everything up to this frame is on the disk."""
        return self._journal.synced

    @property
    def appended(self) -> int:
        """The last frame that was appended."""
        return self._journal.last

    @property
    def crowded(self) -> bool:
        """Whether the journal takes more of the disk than it leaves free, or will with what waits for a sync.

        Two checkpoints let go of it. Nobody should append much until then, or the disk becomes full of it.
        """
        return self._kept_bytes + 2 * self._journal.waiting_bytes > self._free_bytes

    def append(self, parts: Sequence[bytes | memoryview], *, notify: bool = True) -> int:
        """Add a frame to the journal, given in parts; its sequence. It is not safe before a `sync`.

        The parts are not copied, so they must not change until then. May be called from any thread.

        Parameters
        ----------
        notify : whether to wake whoever syncs; not needed when the caller does so itself right away.
        """
        self._check_usable()
        assert self._begun, "begin() comes first"
        sequence = self._journal.append(parts)
        if notify and self.notify is not None:
            self.notify()
        return sequence

    def sync(self) -> int:
        """Put everything that was appended so far on the disk; the last frame that is there for certain.

        While the disk is full (`full`), it puts nothing there and returns what it did before; call it again.
        Raises `StateError` after any other failure, then and for ever.
        """
        self._check_usable()
        if self.full and not self._regain():
            return self.synced
        with self._finality():
            try:
                synced = self._journal.sync()
                self._look_around()
                return synced
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                self._become_full()
                return self.synced

    # The database

    def checkpoint(self, commit: Commit) -> None:
        """Store a checkpoint: all of it or nothing. May run in a thread of its own, one at a time.

        Raises `StateFullError` when the disk is full: nothing was stored, try again later with a newer one.
        Raises `StateError` after any other failure, then and for ever.
        """
        self._check_usable()
        if self._begun and self.synced < commit.position:
            # A state must never be ahead of the journal that it came of.
            self.sync()
        if (self.full and not self._regain()) or self.synced < commit.position:
            raise self._full_error()
        with self._finality():
            try:
                self._begin_journal()
                self._commit(commit)
            except (sqlite3.Error, OSError) as error:
                if not is_full(error):
                    raise
                self._become_full()
                raise self._full_error() from error
            try:
                self._tidy()
            except (sqlite3.Error, OSError) as error:
                if not is_full(error):
                    raise
                self._become_full()  # what was to be stored is

    def savepoint(self, target: str) -> Manifest:
        """Write a copy of everything into a new folder: the only way to make a backup.

        It holds the last checkpoint and the journal behind it. Frames are taken and synced meanwhile;
        checkpoints wait. Raises `StateError` when it cannot be written, which changes nothing here.
        """
        self._check_usable()
        path = self._files.absolute(target)
        try:
            with self._database_lock, self._database.telling_damage():
                segments, last = self._journal.written(self._database.progress.needed_from)
                return write_savepoint(self._world, path, self._database, segments, last)
        except (OSError, sqlite3.Error) as error:
            raise unusable(path, error) from error

    def answer_requests(self) -> None:
        """Make the savepoints that other processes have asked for. Called between two checkpoints.

        What goes wrong is told to who asked, and changes nothing here.
        """
        # Whoever cannot be told runs into the end of his patience.
        with contextlib.suppress(OSError):
            for request in requests(self._files, self.path, self._world.clock.now_us()):
                try:
                    said = Answer(made=self.savepoint(request.target).text)
                except StateError as error:
                    said = Answer.of_error(error)
                answer(self._files, self.path, request, said)

    def close(self) -> None:
        """Sync, remember cleanly where the journal ends, and give everything back; may be called twice."""
        if self._closed:
            return
        try:
            if self.failed is None and self._begun:
                self._close_cleanly()
        finally:
            self._abandon()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside

    def _recover(self, began_us: int, *, history: bool, ahead: bool) -> None:
        path, files = self._folder.path, self._files
        try:
            if self._folder.is_new:
                create(files, path, f"{self._world.random.getrandbits(_ID_BITS):032x}")
            self._database = Database(files, path, self._settings)
            self._database.check()
            progress = self._database.progress
            self.id = progress.store
            if ahead and sum((sizes := self._database.blob_sizes()).values()) >= WORTH_BYTES:
                self._ahead = FramesAhead(self.blob, sizes)
            self._journal = Journal(files, path, self.id, self._world.random, self._settings)
            safe_to = max(progress.synced, progress.position)
            found = self._journal.recover(progress.needed_from, safe_to, history=history)
        except (OSError, sqlite3.Error) as error:
            raise unusable(path, error) from error
        self.recovery = RecoveryReport(
            is_new=self._folder.is_new,
            checkpoint=progress.checkpoint,
            position=progress.position,
            needed_from=progress.needed_from,
            frames=len(found.places),
            frame_bytes=sum(place.length for place in found.places),
            last=self._journal.last,
            segments=self._journal.segments,
            dropped=tuple(found.dropped),
            stepped_over=tuple(found.stepped_over),
            filesystem=self._folder.filesystem,
            seconds=(self._world.clock.monotonic_us() - began_us) / 1e6,
        )

    def _forget_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None

    def _begin_journal(self) -> None:
        """Before anything on the disk follows from the frames that were found, they must be safe themselves."""
        if not self._journal_begun:
            self._journal.begin()
            self._journal_begun = True

    def _commit(self, commit: Commit) -> None:
        forget_us = self._settings.dead_letter_age_us
        before_us = None if forget_us is None else self._world.clock.now_us() - forget_us
        with self._database_lock:
            self._database.commit(commit, synced=self.synced, forget_before_us=before_us)

    def _tidy(self) -> None:
        """Now and then, empty the write-ahead log and forget the journal that nobody needs any more."""
        with self._database_lock:
            progress = self._database.progress
            if self.crowded or progress.checkpoint % self._settings.settle_every == 0:
                self._database.settle()
                # One settlement behind: should the newest be lost, the one before can still be started from.
                trim_to, self._trim_to = self._trim_to, progress.needed_from
                self._journal.trim(trim_to)
        if self._begun:
            self._journal.prepare()
            with self._full_lock:
                if not self.full:
                    self._ballast.grow()
        self._look_around(always=True)

    def _look_around(self, *, always: bool = False) -> None:
        """See what the journal takes of the disk, when it has gone on to another segment."""
        if always or self._looked_at != self._journal.segments:
            self._looked_at = self._journal.segments
            self._kept_bytes = max(0, self._journal.kept_bytes - self._settings.history_bytes)
            self._free_bytes = self._files.free_bytes(self._folder.path)

    def _close_cleanly(self) -> None:
        self.sync()
        if self.full:
            return
        with self._finality(), self._database_lock:
            try:
                self._database.note_synced(self.synced)
                self._database.settle()
            except (sqlite3.Error, OSError) as error:
                if not is_full(error):
                    raise

    def _abandon(self) -> None:
        """Give everything back, whatever state it is in."""
        self._closed = True
        self._forget_ahead()
        if hasattr(self, "_journal"):
            self._journal.close()
        if hasattr(self, "_database"):
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._folder.lock.release()

    def _become_full(self) -> None:
        """Give up the ballast, so that whatever is under way can end."""
        with self._full_lock:
            self.full = True
            self._ballast.drop()

    def _regain(self) -> bool:
        """Whether the disk has space again; then the database is opened anew, as after a crash."""
        with self._full_lock, self._finality():
            if not self.full:
                return True
            with self._database_lock:
                needed_bytes = self._needed_bytes()
                if not self._ballast.regain(needed_bytes):
                    return False
                try:
                    self._database.close()
                    self._database = Database(self._files, self._folder.path, self._settings)
                except (sqlite3.Error, OSError) as error:
                    if not is_full(error):
                        raise
                    self._ballast.drop()
                    return False
            self.full = False
            return True

    def _needed_bytes(self) -> int:
        """What is written at once when there is space again: a segment with the next frame, and what SQLite has
        in its write-ahead log.
        """
        log = self._files.status(f"{self._folder.path}/{DATABASE}-wal")
        least_bytes = min(LEAST_BYTES, self._settings.segment_bytes)
        return max(self._journal.next_bytes, least_bytes) + (0 if log is None else log.size)

    def _full_error(self) -> StateFullError:
        if not self._begun:
            return StateFullError(
                "the disk is full, so the run cannot begin; what was acknowledged is safe",
                where=self._folder.path,
                hint="remove something from this disk, then start again",
            )
        return StateFullError(
            "the disk is full; nothing was stored, and nothing is acknowledged until there is space",
            where=self._folder.path,
            hint="remove something from this disk; it goes on by itself",
        )

    def _check_usable(self) -> None:
        if self.failed is not None:
            raise _failed(self._folder.path, self.failed)
        if self._closed:
            raise StateError("the store is closed", where=self._folder.path)

    @contextlib.contextmanager
    def _finality(self) -> Iterator[None]:
        """A failure is final: after one nobody knows what is on the disk. Only a new start finds out."""
        try:
            yield
        except StateFullError:
            raise
        except StateError as error:
            self.failed = error
            raise
        except (OSError, sqlite3.Error) as error:
            self.failed = error
            raise _failed(self._folder.path, error) from error

    @contextlib.contextmanager
    def _reading_letters(self) -> Iterator[Table]:
        self._check_usable()
        with self._database_lock, self._database.telling_damage():
            yield self._database.dead_letters


def _failed(path: str, error: Exception) -> StateError:
    """The error for a disk that failed, which is final."""
    if isinstance(error, StateError):
        return StateError(error.problem, where=error.where, hint=error.hint)
    if isinstance(error, (OSError, sqlite3.Error)) and is_full(error):
        return unusable(path, error)
    said = (error.strerror or error) if isinstance(error, OSError) else error
    return StateError(
        f"the disk failed: {said}; what is on it is not certain any more, so nothing more is taken",
        where=path,
        hint="start again: what was acknowledged is found on the disk",
    )
