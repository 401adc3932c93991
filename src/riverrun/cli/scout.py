"""Opening a source before there is a plan, and waiting until its first rows have told what it is."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from riverrun.ports import Chunk, FrameChunk
from riverrun.runtime.pump import HEAD_US, Pump
from riverrun.world import World

#: How often the status of the source is looked at while nothing comes.
LOOK_US = 200_000
RECEIVE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows, and what their arrival tells.

    Parameters
    ----------
    frame : rows of the first partition that has some; those that could not be read are left out.
    rejected : how many of its records could not be read.
    arrival_us : from the first bytes to the last ones.
    complete : whether this is all there is.
    """

    frame: pl.DataFrame
    rejected: int
    arrival_us: int
    complete: bool


def wait_for_rows(pump: Pump, world: World, say: Callable[[str], None], deadline_us: int | None) -> bool:
    """Receive until format and schema are known. Returns false when `deadline_us` (monotonic) came first.

    Parameters
    ----------
    say : told what is being waited for, whenever it changes.
    """
    while not (pump.look(pump.receive(RECEIVE_BYTES)) and _paced(pump, world)):
        now_us = world.clock.monotonic_us()
        if deadline_us is not None and now_us >= deadline_us:
            return False
        say(_status(pump))
        wait = pump.wait()
        latest_us = now_us + LOOK_US if deadline_us is None else min(now_us + LOOK_US, deadline_us)
        world.wait(wait.ready, latest_us if wait.until_us is None else min(wait.until_us, latest_us))
    return True


def _paced(pump: Pump, world: World) -> bool:
    """Whether enough has come to tell the pace, too; of rows without bytes the first one tells the columns."""
    held = pump.held
    if pump.read.source.bounded or not held or not isinstance(held[0], FrameChunk):
        return True
    return world.clock.now_us() - held[0].received_us >= HEAD_US


def _status(pump: Pump) -> str:
    status = pump.reader.status
    if pump.held:
        return f"{status}; looking at the first rows"
    waiting = "" if "no data" in status else "; no data yet"
    return f"{status}{waiting} (Ctrl-C to stop waiting)"


def sample_of(pump: Pump) -> Sample:
    """The rows that the pump holds, decoded for looking at; they stay held."""
    held = pump.held
    if not held:
        assert pump.schema is not None
        return Sample(pump.schema.empty(), 0, 0, pump.reader.finished)
    own = [chunk for chunk in held if chunk.partition == held[0].partition]
    arrival_us = own[-1].received_us - own[0].received_us
    frames = [chunk.frame for chunk in own if isinstance(chunk, FrameChunk)]
    if frames:
        return Sample(pl.concat(frames), 0, arrival_us, own[-1].end)
    assert pump.format is not None
    assert pump.schema is not None
    decoder = pump.format.open(pump.schema, pump.read.limits)
    data = b"".join(chunk.data for chunk in own if isinstance(chunk, Chunk))
    decoded = decoder.feed(data, own[0].received_us)
    return Sample(decoded.frame, len(decoded.rejected), arrival_us, own[-1].end)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends what is within as Ctrl-C does: a service manager stops a waiting command cleanly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
