"""A run that keeps its state, in a world in memory, driven step by step: the same seed, the same run.

Everything that threads do in a real run is a *turn* here, and chance says whose turn it is: a source receives,
the engine applies what was received, the journal is synced, results are handed over, a checkpoint is taken or
written, time passes. Between any two turns the power may go, and any sync may fail.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from riverrun.errors import RiverrunError, StateFullError
from riverrun.limits import KIB
from riverrun.plan.nodes import Output, sources_of
from riverrun.runtime.budget import Budget
from riverrun.runtime.checkpoint import Checkpoint
from riverrun.runtime.dead_letters import DeadLetters
from riverrun.runtime.durable import Durable
from riverrun.runtime.ends import Page
from riverrun.runtime.health import Health
from riverrun.runtime.keeping import Promises, ends_of
from riverrun.runtime.metering import AnyChunk, Metered
from riverrun.runtime.opening import OpenState, recovered
from riverrun.runtime.pump import Pump
from riverrun.runtime.queue import Item
from riverrun.runtime.receiving import Gathered, origin_of_gathered
from riverrun.state.describe import State
from riverrun.state.settings import StoreSettings
from riverrun.testing.simulated_world import SimulatedWorld

#: Bytes that a source is asked for at a time, at most.
RECEIVE_BYTES = 4_096
#: Items that may wait for the engine.
WAITING = 3

#: Sizes that a world in memory can copy often.
SMALL = StoreSettings(segment_bytes=32 * KIB, spare_segments=2, ballast_bytes=4 * KIB, settle_every=3)


@dataclass(slots=True)
class _Life:
    """What one process holds in memory; all of it is lost in a crash."""

    durable: Durable
    budget: Budget
    metered: list[Metered]
    waiting: list[deque[Gathered]]
    decoded: deque[Item]
    promises: list[Promises]
    ended: set[int] = field(default_factory=set)
    checkpoint: Checkpoint | None = None


class SimulatedRun:
    """One pipeline over many lives.

    Parameters
    ----------
    outputs : makes the outputs of the pipeline; called for every life.
    chance : whose turn it is, and what goes wrong.
    kind : the class of the record of a run, for tests that plant a mistake in it.
    """

    def __init__(
        self,
        outputs: Callable[[], Sequence[Output]],
        world: SimulatedWorld,
        chance: random.Random,
        *,
        state: State | str = "state",
        kind: type[Durable] = Durable,
    ) -> None:
        self.world = world
        self.lives = 0
        self._outputs = outputs
        self._chance = chance
        self._state = State(state) if isinstance(state, str) else state
        self._kind = kind
        self._stack = ExitStack()
        self._life: _Life | None = None

    @property
    def alive(self) -> bool:
        return self._life is not None

    @property
    def finished(self) -> bool:
        """Whether all inputs have ended, and everything of them is in the sinks."""
        life = self._life
        return life is not None and len(life.ended) == len(life.durable.job.pumps) and not life.decoded

    def health(self) -> Health:
        assert self._life is not None
        return self._life.durable.job.health()

    def start(self) -> None:
        """A new process: open the state, and stand where the last life stood.

        Raises what a real start raises.
        """
        assert self._life is None
        self.lives += 1
        outputs = self._outputs()
        try:
            opened = OpenState.open(self._state, self.world, SMALL)
            self._stack.callback(opened.close)
            pumps = self._pumps(outputs, opened)
            letters = DeadLetters(self.world)
            durable, left = recovered(
                outputs, "simulated", pumps, self.world, letters, Page(), opened, self._kind
            )
        except BaseException:
            self._give_back()
            raise
        waiting: list[deque[Gathered]] = []
        for pump, rest in zip(pumps, left, strict=True):
            chunks = Gathered(tuple(rest.chunks), rest.upto, pump.reader.bookmark())
            waiting.append(deque([chunks] if rest.chunks else []))
        budget = Budget(min(pump.read.limits.budget_bytes for pump in pumps))
        metered = [Metered(pump, at, budget) for at, pump in enumerate(pumps)]
        promises = [Promises(pump.reader) for pump in pumps]
        self._life = _Life(durable, budget, metered, waiting, deque(), promises)

    def turn(self) -> str:
        """Somebody's turn, by chance; returns whose it was. Rows are conserved afterwards, or it fails.

        Raises what ends a real run: a failed disk, a sink that cannot go on.
        """
        assert self._life is not None
        turns = (self._receive, self._decode, self._apply, self._sync, self._deliver, self._keep, self._wait)
        chosen = self._chance.choice(turns)
        chosen()
        for source in self.health().sources:
            assert source.conserved, f"rows are not conserved after {chosen.__name__}: {source}"
        return chosen.__name__.strip("_")

    def crash(self) -> None:
        """The power goes: what was not synced may be lost, in part and in any order."""
        self._life = None
        self.world.files.crash(self._chance)
        self._give_back()
        self.world.network.break_all()

    def stop(self) -> None:
        """SIGTERM: what was received is worked through, a last checkpoint is written."""
        self.settle()
        assert self._life is not None
        self._life.durable.write(self._life.durable.take())
        self._life = None
        self._give_back()

    def settle(self) -> None:
        """Work through all that has arrived by now."""
        life = self._life
        assert life is not None
        while self._busy(life):
            for action in (self._receive_all, self._decode_all, self._apply, self._sync, self._deliver):
                action()

    # -- turns ----------------------------------------------------------------------------------------

    def _receive(self) -> None:
        at = self._chance.randrange(len(self._alive.durable.job.pumps))
        self._receive_from(at)

    def _receive_all(self) -> None:
        for at in range(len(self._alive.durable.job.pumps)):
            self._receive_from(at)

    def _receive_from(self, at: int) -> None:
        life = self._alive
        pump = life.durable.job.pumps[at]
        store = life.durable.store
        if pump.finished or len(life.waiting[at]) >= WAITING or store.full or store.crowded:
            return
        self._take_in(at, life.metered[at].receive(self._chance.randint(1, RECEIVE_BYTES)))

    def _take_in(self, at: int, chunks: Sequence[AnyChunk]) -> None:
        life = self._alive
        charged = life.metered[at].charge(chunks)
        if not chunks:
            return
        record = life.durable.received(at, chunks)
        if record is not None:
            life.promises[at].promise(record, ends_of(chunks))
        bookmark = life.durable.job.pumps[at].reader.bookmark()
        life.waiting[at].append(Gathered(tuple(chunks), record, bookmark, charged))

    def _decode(self) -> None:
        self._decode_from(self._chance.randrange(len(self._alive.waiting)))

    def _decode_all(self) -> None:
        for at in range(len(self._alive.waiting)):
            self._decode_from(at)

    def _decode_from(self, at: int) -> None:
        life = self._alive
        job = life.durable.job
        waiting = life.waiting[at]
        if waiting:
            # Some of what waits goes in one go, as it does when the engine is busy.
            parts = [waiting.popleft() for _ in range(self._chance.randint(1, len(waiting)))]
            together = Gathered(
                tuple(chunk for part in parts for chunk in part.chunks),
                parts[-1].upto,
                parts[-1].bookmark,
                sum(part.charged for part in parts),
            )
            arrivals = job.pumps[at].decode(together.chunks)
            job.received(at, arrivals)
            if arrivals:
                origin = origin_of_gathered(job.pumps[at], together, arrivals)
                life.decoded.append(Item(at, tuple(arrivals), origin=origin, charged=together.charged))
            else:
                life.budget.release(together.charged)
        elif job.pumps[at].finished and at not in life.ended:
            life.ended.add(at)
            life.decoded.append(Item(at, end=True, finished=True))

    def _apply(self) -> None:
        life = self._alive
        if not life.decoded:
            return
        item = life.decoded.popleft()
        if item.arrivals:
            life.durable.apply(item)
        life.budget.release(item.charged)
        if item.end:
            life.durable.end(item.source)

    def _sync(self) -> None:
        life = self._alive
        synced = life.durable.store.sync()
        for promises in life.promises:
            promises.keep(synced)

    def _deliver(self) -> None:
        durable = self._alive.durable
        durable.delivery.step(durable.store.synced, force=self._chance.random() < 0.5)

    def _keep(self) -> None:
        """A checkpoint is taken, or the one that was taken is written."""
        life = self._alive
        if life.checkpoint is None:
            life.checkpoint = life.durable.take()
            return
        self._sync()
        if life.durable.store.synced < life.checkpoint.run.position:
            return
        with suppress(StateFullError):  # the same one again, when there is space
            life.durable.write(life.checkpoint)
            life.checkpoint = None

    def _wait(self) -> None:
        self.world.advance(f"{self._chance.randint(1, 300)}ms")
        self._alive.durable.tick()

    # -- inside ---------------------------------------------------------------------------------------

    @property
    def _alive(self) -> _Life:
        assert self._life is not None
        return self._life

    def _busy(self, life: _Life) -> bool:
        job = life.durable.job
        before = [pump.finished for pump in job.pumps]
        self._receive_all()
        open_ones = {at for at, finished in enumerate(before) if finished} - life.ended
        unsynced = life.durable.store.synced < life.durable.unit
        return bool(any(life.waiting) or life.decoded or open_ones or unsynced)

    def _pumps(self, outputs: Sequence[Output], opened: OpenState) -> list[Pump]:
        reads = sources_of(*(output.node for output in outputs))
        pumps = []
        for read, memory in zip(reads, opened.memories(reads), strict=True):
            pump = Pump(read, self.world, memory)
            self._stack.callback(pump.close)
            pumps.append(pump)
        opened.resume(pumps)
        for pump in pumps:
            assert pump.ready, f"{pump.read.label}: a simulated run needs a declared schema and format"
        return pumps

    def _give_back(self) -> None:
        stack, self._stack = self._stack, ExitStack()
        # Who has lost the disk cannot close its files in an orderly way.
        with suppress(RiverrunError, OSError):
            stack.close()
