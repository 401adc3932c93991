"""The real outside: the machine's clock, sockets, files and chance."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import threading
import weakref
from collections.abc import Sequence

from riverrun.clock import Clock, SystemClock
from riverrun.runtime.real_files import RealFiles
from riverrun.runtime.real_network import PendingConnection, RealNetwork
from riverrun.world import Files, Network, StandardInput, Waitable, Web

#: What we ask the kernel to keep in a pipe into us: sixteen times the default means fewer switches.
PIPE_BYTES = 1024 * 1024


#: So many watches are kept for each thread: a source waits for some descriptors, and looks at others.
WATCHES = 2


class RealWorld:
    """All that is outside, for real. May be used from several threads.

    Parameters
    ----------
    seed : of `random`; chosen by the system when left out.
    clock : what tells the time; the machine's clock when left out.
    """

    def __init__(self, seed: int | None = None, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._network = RealNetwork()
        self._web: Web | None = None
        self._files = RealFiles()
        self._random = random.Random(seed)  # noqa: S311 - spreads retries, guards no secret
        self._stdin = PipedInput(0)
        self._bells: weakref.WeakSet[_Bell] = weakref.WeakSet()
        self._bells_lock = threading.Lock()
        self._local = threading.local()

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def network(self) -> Network:
        return self._network

    @property
    def web(self) -> Web:
        if self._web is None:
            from riverrun.runtime.real_web import RealWeb  # TLS and HTTP are loaded by who asks over them

            self._web = RealWeb(self._clock)
        return self._web

    @property
    def files(self) -> Files:
        return self._files

    @property
    def random(self) -> random.Random:
        return self._random

    @property
    def stdin(self) -> StandardInput:
        return self._stdin

    def wait(self, ready: Sequence[Waitable], until_us: int | None) -> None:
        """Return when one of `ready` can be read, at `until_us` (monotonic), or when somebody calls `wake`."""
        bell = self._own_bell()
        self._watch(ready, bell).poller.poll(self._timeout_ms(until_us))
        bell.silence()

    def readable(self, among: Sequence[Waitable]) -> list[int]:
        """The places of those that can be read at this moment, or are broken: one question for all of them."""
        watch = self._watch(among, self._own_bell())
        places = watch.places
        return sorted([places[descriptor] for descriptor, _ in watch.poller.poll(0) if descriptor in places])

    def wake(self) -> None:
        """End every `wait` that is under way, from any thread."""
        with self._bells_lock:
            bells = list(self._bells)
        for bell in bells:
            bell.ring()

    def _watch(self, waitables: Sequence[Waitable], bell: _Bell) -> _Watch:
        """What watches them. Whoever hands in the same tuple again means the same descriptors."""
        watches: list[_Watch] = getattr(self._local, "watches", [])
        for watch in watches:
            if watch.waitables is waitables:
                return watch
        made = _Watch(waitables, bell)
        if isinstance(waitables, tuple) and not any(isinstance(one, PendingConnection) for one in waitables):
            self._local.watches = [made, *watches][:WATCHES]
        return made

    def _own_bell(self) -> _Bell:
        bell: _Bell | None = getattr(self._local, "bell", None)
        if bell is None:
            bell = _Bell()
            # It cannot know what was rung before it was hung; so the first wait of a thread returns at once.
            bell.ring()
            self._local.bell = bell
            with self._bells_lock:
                self._bells.add(bell)
        return bell

    def _timeout_ms(self, until_us: int | None) -> int | None:
        if until_us is None:
            return None
        # Rounded up: a wait that ends too early would be begun again, and again.
        return max(0, -(-(until_us - self._clock.monotonic_us()) // 1_000))


class PipedInput:
    """What is piped into the process.

    The descriptor is shared with other processes (the shell), so it is not made non-blocking: it is asked
    whether it has something before each read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._widened = False

    def fileno(self) -> int:
        return self._descriptor

    def receive(self, size: int) -> bytes | None:
        if not self._widened:
            self._widen()
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        events = poller.poll(0)
        if not events:
            return None
        if events[0][1] & select.POLLNVAL:
            raise OSError("standard input is closed")
        return os.read(self._descriptor, size)

    def _widen(self) -> None:
        self._widened = True
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class _Watch:
    """Descriptors made known to the system, which takes a while for many of them."""

    def __init__(self, waitables: Sequence[Waitable], bell: _Bell) -> None:
        self.waitables = waitables
        self.places: dict[int, int] = {}
        self.poller = select.poll()
        self.poller.register(bell.fileno(), select.POLLIN)
        for place, waitable in enumerate(waitables):
            _register(self.poller, waitable)
            self.places[waitable.fileno()] = place


class _Bell:
    """A pipe that ends a wait. One for each thread, so that a wake reaches all of them."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._rung = False
        self._gone = False
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self._reading

    def ring(self) -> None:
        with self._lock:
            if not self._rung and not self._gone:
                self._rung = True
                os.write(self._writing, b"!")

    def silence(self) -> None:
        with self._lock:
            if self._rung:
                self._rung = False
                os.read(self._reading, 16)

    def __del__(self) -> None:
        # A bell can still be found, and rung, by another thread while this runs: a weak reference ends later.
        with self._lock:
            self._gone = True
            os.close(self._reading)
            os.close(self._writing)


def _register(poller: select.poll, waitable: Waitable) -> None:
    descriptor = waitable.fileno()
    if descriptor < 0:
        return
    connecting = isinstance(waitable, PendingConnection) and waitable.waits_to_write
    poller.register(descriptor, select.POLLIN | select.POLLOUT if connecting else select.POLLIN)
