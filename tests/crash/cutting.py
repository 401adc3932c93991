"""Cutting the power at random instants of a trace, and looking at what is there then."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from riverrun.errors import StateError
from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash import model
from tests.crash.power_cut import NAME_RULES, Disk, read_trace, write_image
from tests.crash.shim import TracedProgram
from tests.crash.workload import acknowledged

#: What one life of a program does.
FRAMES = 120


def bad_images(
    traces: Sequence[Path], folder: Path, images: int, *, from_event: int = 0, name: str = "power cuts"
) -> list[str]:
    """Cut the power at random instants of the traces; what is wrong with which disk."""
    found: list[str] = []
    world = RealWorld(seed=1)
    for number, trace in enumerate(traces):
        chance = random.Random(number)
        events = list(read_trace(trace))
        instants = sorted(chance.randint(from_event, len(events)) for _ in range(images // len(traces)))
        disk, at = Disk(), 0
        for done, instant in enumerate(instants):
            while at < instant:
                disk.play(events[at])
                at += 1
            rule = chance.choice(NAME_RULES)
            image = folder / "image"
            write_image(disk.after_power_cut(chance, rule), image)
            wrong = problem(image / "state", world, *acknowledged(bytes(disk.acks)))
            shutil.rmtree(image)
            if wrong is not None:
                found.append(f"{trace} event {instant}, names {rule}: {wrong}")
            if os.environ.get("RIVERRUN_SOAK") and done % 500 == 499:
                print(f"{name}: {number * len(instants) + done + 1} of {images}, {len(found)} bad", flush=True)
    return found


def problem(state: Path, world: RealWorld, frames: int, position: int) -> str | None:
    """What is wrong with a state folder, or ``None``."""
    try:
        store = Store.open(str(state), world, settings=model.SETTINGS)
    except StateError as error:
        return str(error)
    try:
        model.check(store, frames, position)
    except (model.LostError, StateError) as error:
        return str(error)
    finally:
        store.close()
    return None


def traces_of(
    traced: Callable[[str], TracedProgram], runs: int, variant: str = "", **settings: object
) -> list[Path]:
    """Traces of some programs, each of which stopped once and was started again."""
    found = []
    for seed in range(runs):
        program = traced(f"run{seed}")
        for life in range(2):
            done = program.run(
                FRAMES, 10 * seed + life, variant or ("unclean" if life == 0 else ""), **settings
            )
            assert done.returncode == 0, done.stderr
        found.append(program.trace)
    return found
