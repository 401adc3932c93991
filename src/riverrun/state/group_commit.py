"""The thread that syncs the journal: what came while one sync ran is put on the disk by the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from riverrun.errors import StateError
from riverrun.state.store import Store

#: How often a full disk is asked for space.
RETRY_SECONDS = 0.5


class GroupCommit:
    """Calls `Store.sync` whenever something was appended, and tells who waits for it.

    The more senders there are, the more frames share one sync; a single one waits for its own only.

    Parameters
    ----------
    listeners : called with the last frame that is on the disk, whenever it has grown; by one thread at a time.
    on_failure : called with the failure that ends it, by each thread that meets it.
    """

    def __init__(
        self,
        store: Store,
        listeners: Sequence[Callable[[int], None]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._listeners = tuple(listeners)
        self._on_failure = on_failure
        self._arrived = threading.Event()
        self._stopping = False
        self._told = store.synced
        self._round = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="riverrun-sync", daemon=True)

    def start(self) -> None:
        """Begin. The store must have begun."""
        self._store.notify = self._arrived.set
        self._thread.start()

    def stop(self) -> None:
        """Put what was appended on the disk, tell it, and end."""
        self._stopping = True
        self._arrived.set()
        self._thread.join()
        self._store.notify = None

    def sync(self) -> None:
        """Put everything that was appended so far on the disk and tell it, in the thread of the caller.

        It need not wait for another thread to wake up, and to be woken by it.
        """
        try:
            self._sync()
        except (StateError, OSError) as error:
            self._on_failure(error)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._arrived.wait(RETRY_SECONDS if self._store.full else None)
                self._arrived.clear()
                self._sync()
            self._sync()
        except (StateError, OSError) as error:
            self._on_failure(error)

    def _sync(self) -> None:
        with self._round:
            synced = self._store.sync()
            if synced > self._told:
                self._told = synced
                for listener in self._listeners:
                    listener(synced)
