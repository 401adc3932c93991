"""Whatever is appended, synced, forgotten and cut: what is found is what was safe, and nothing else."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import StateError
from riverrun.state.commit import Commit
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from tests.state.stores import SMALL, power_cut

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 6000)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.just("checkpoint"), st.integers(0, 100)),
        st.tuples(st.just("fail"), st.integers(0, 3)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=60,
)


class Reference:
    """The slow, obvious version: all bodies that were ever appended, and how far they are safe."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self.bodies: list[bytes] = []
        self.safe = 0
        self.position = 0
        self.store = self.reopened()

    def reopened(self) -> Store:
        """Open, compare what is found, and go on."""
        store = Store.open("state", self.world, settings=SMALL)
        assert store.recovery.position >= self.position
        self.position = store.recovery.position
        found = {frame.sequence: frame.body for frame in store.frames(self.position)}
        last = max([self.position, *found])
        assert self.safe <= last <= len(self.bodies)
        assert found == {at: self.bodies[at - 1] for at in range(self.position + 1, last + 1)}
        del self.bodies[last:]
        self.safe = last
        try:
            store.checkpoint(Commit(self.position, values={("k", "position"): b"%d" % self.position}))
            store.begin()
        except StateError:
            store.close()
            raise
        return store

    def do(self, step: str, number: int) -> None:
        try:
            self.attempt(step, number)
        except StateError:
            # The disk failed, and that is final: another start, without a power cut between.
            self.store.close()
            self.store = self.restarted()

    def attempt(self, step: str, number: int) -> None:
        match step:
            case "append":
                self.bodies.append(random.Random(number).randbytes(number))
                assert self.store.append([self.bodies[-1]]) == len(self.bodies)
            case "sync":
                self.safe = self.store.sync()
            case "checkpoint":
                target = self.position + (len(self.bodies) - self.position) * number // 100
                self.store.checkpoint(Commit(target))
                self.position, self.safe = target, max(self.safe, target)
            case "fail":
                self.world.files.fail_sync(number)
            case "cut":
                power_cut(self.world)
                self.store = self.restarted()
            case "close":
                self.store.close()
                self.safe = len(self.bodies) if self.store.failed is None else self.safe
                self.store = self.restarted()

    def restarted(self) -> Store:
        """A start may meet the failing sync as well; the next one does not."""
        for _ in range(9):
            try:
                return self.reopened()
            except StateError as error:
                if "Input/output error" not in str(error):
                    raise
        raise AssertionError("it does not start any more")


@settings(max_examples=150)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_what_is_found_is_what_was_safe(steps, seed):
    reference = Reference(SimulatedWorld(seed=seed))
    for step, number in steps:
        reference.do(step, number)
    power_cut(reference.world)
    reference.restarted()
