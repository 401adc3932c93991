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
    listeners : called in this thread with the last frame that is on the disk, whenever it has grown.
    on_failure : called once, with the failure that ends the thread.
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

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._arrived.wait(RETRY_SECONDS if self._store.full else None)
                self._round()
            self._round()
        except (StateError, OSError) as error:
            self._on_failure(error)

    def _round(self) -> None:
        self._arrived.clear()
        synced = self._store.sync()
        if synced > self._told:
            self._told = synced
            for listener in self._listeners:
                listener(synced)
