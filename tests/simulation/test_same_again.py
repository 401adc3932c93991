"""The same journal gives the same, to the last byte, whatever crashed and whenever; and what would break that.

Each seed is a history: a run with faults that loses power at some instant. What it left is recovered once, and
again after more crashes, each of them somewhere between recovery, syncs, deliveries and checkpoints. State and
outputs must be equal to the byte. That other cuts of the same input give the same results is in
`test_whole_runs`.
"""

from __future__ import annotations

import copy
import itertools
import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing.simulated_run import SimulatedRun
from riverrun.testing.simulated_world import SimulatedWorld
from tests.crash.engine_run import digest_of
from tests.simulation.pipelines import PIPELINES, Results, outputs, sources
from tests.simulation.test_whole_runs import Play

SEEDS = 200 if "RIVERRUN_SOAK" in os.environ else 20
CHUNK = 5

Pipeline = Callable[[], Results]


def left_behind(seed: int, pipeline: Pipeline) -> SimulatedWorld:
    """The world after some steps of a run, just when the power has gone."""
    played = Play(seed, pipeline, faults=True)
    for _ in range(random.Random(seed).randint(4, 28)):
        played.step()
    played.run.crash()
    played.world.files.space_bytes = None
    for _ in range(8):
        # A sync that is still to fail would end a life of which nothing is said here.
        with suppress(OSError):
            played.world.files.sync_folder("in")
    return played.world


def recovered(left: SimulatedWorld, pipeline: Pipeline, crashes: random.Random | None) -> tuple[str, Mapping]:
    """A digest of the state after recovery, and the outputs once the rest has been worked through.

    Parameters
    ----------
    crashes : when given, there are more of them before, at instants that it decides.
    """
    world = copy.deepcopy(left)
    chance = random.Random(0)
    run = SimulatedRun(lambda: outputs(pipeline), world, chance, state=rr.State("state", every="200ms"))
    for _ in range(crashes.randint(1, 4) if crashes is not None else 0):
        assert crashes is not None
        run.start()
        for _ in range(crashes.randint(0, 8)):
            crashes.choice((run._sync, run._deliver, run._keep))()
        run.crash()
    chance.seed(1)
    run.start()
    digest = digest_of(run._alive.durable)
    run.stop()
    return digest, {name: world.files.content(f"out/{name}.jsonl") for name in pipeline()}


def check(seed: int, pipeline: Pipeline) -> None:
    left = left_behind(seed, pipeline)
    once = recovered(left, pipeline, None)
    again = recovered(left, pipeline, random.Random(seed))
    assert once[0] == again[0], f"seed {seed}: the state is another one after more crashes"
    assert once[1] == again[1], f"seed {seed}: the outputs are other ones after more crashes"


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_crashes_state_and_outputs_are_the_same_bytes(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check(seed, PIPELINES[seed % len(PIPELINES)])


_TICKS = itertools.count()


def _by_the_clock(state: dict[str, int], rows: pl.DataFrame) -> tuple[dict[str, int], pl.DataFrame]:
    """What a look at the clock of the machine comes to: another number each time."""
    return {"seen": next(_TICKS)}, rows.with_columns(place=pl.lit(state["seen"]))


class _Thing:
    """Something whose hash is where it lies in memory, as that of most objects is."""

    def __init__(self, value: float) -> None:
        self.value = value


_KEPT: list[_Thing] = []


def _by_a_set(state: dict[str, float], rows: pl.DataFrame) -> tuple[dict[str, float], pl.DataFrame]:
    """The first of a set of things, which is any of them."""
    things = {_Thing(value) for value in [state["seen"], *rows["x"].to_list(), *range(20)] if value is not None}
    # So that the next ones lie elsewhere.
    _KEPT.extend(things)
    return {"seen": float(next(iter(things)).value)}, rows.with_columns(place=pl.lit(state["seen"]))


@pytest.mark.parametrize(("step", "init"), [(_by_the_clock, 0), (_by_a_set, 0.0)], ids=["clock", "set"])
def test_a_step_that_is_not_the_same_again_is_found(step, init) -> None:
    """The negative control."""

    def pipeline() -> Results:
        files, _ = sources()
        return {"odd": files.stateful(step, init={"seen": init}, by="key")}

    for seed in range(10):
        try:
            check(seed, pipeline)
        except AssertionError:
            return
    raise AssertionError("no seed of 10 has found it")
