"""One sync fails, the program ends, starts again, and then the power goes: the worst order of things.

After a sync that failed, Linux shows programs what it could not write, and never writes it. A program that
finds it there and says that it is safe loses it with the next power cut.
"""

from __future__ import annotations

import dataclasses
import random
import re
import shutil

import pytest

from tests.crash.cutting import FRAMES, bad_images
from tests.crash.power_cut import read_trace

POINTS = 10
IMAGES = 20


def history(traced, name, first, fail_sync, last_variant=""):
    """A life that ends in a failed sync, after the one of `first`, and another; where the last one begins."""
    program = traced(name)
    shutil.copytree(first.folder, program.folder)
    failed = program.run(FRAMES, 1, fail_sync=fail_sync)
    assert failed.returncode in (0, 3), failed.stderr
    before = sum(1 for _ in read_trace(program.trace))
    done = program.run(FRAMES // 4, 2, last_variant)
    assert done.returncode == 0, done.stderr
    return program.trace, before, failed


@pytest.fixture
def first(traced):
    """A life that ended without a word."""
    program = dataclasses.replace(traced("x"), folder=traced("x").folder)
    done = program.run(FRAMES // 2, 0, "unclean")
    assert done.returncode == 0, done.stderr
    return program


def syncs(traced, first):
    """How many syncs the second life makes."""
    program = traced("whole")
    shutil.copytree(first.folder, program.folder)
    before = sum(event.kind == "s" for event in read_trace(program.trace))
    assert program.run(FRAMES, 1).returncode == 0
    return sum(event.kind == "s" for event in read_trace(program.trace)) - before


@pytest.mark.timeout(3000)
def test_nothing_is_lost_when_a_sync_has_failed_before(traced, first, fast_folder, scale):
    number = syncs(traced, first)
    points = range(number) if scale > 1 else random.Random(1).sample(range(number), POINTS)
    bad, told = [], 0
    for point in points:
        trace, before, failed = history(traced, f"fail{point}", first, point)
        told += bool(re.search(r"(disk failed|cannot be used): (Input/output|disk I/O) error", failed.stderr))
        bad += bad_images(
            [trace], fast_folder, IMAGES, from_event=before, name=f"failed sync {point} of {number}"
        )
        shutil.rmtree(trace.parent)
    print(f"failed syncs: {len(points)} of {number}, {len(bad)} of {len(points) * IMAGES} images bad")
    assert not bad, f"{len(bad)} of {len(points) * IMAGES}:\n" + "\n".join(bad[:5])
    assert told >= 0.7 * len(points)  # SQLite goes on when a folder cannot be synced


def test_control_without_writing_anew_it_does_lose(traced, first, fast_folder):
    """A program that says that what it finds is safe, without `begin`; the power goes when it has said so."""
    bad = []
    for point in random.Random(2).sample(range(10, syncs(traced, first) - 10), 4):
        trace, _, _ = history(traced, f"fail{point}", first, point, last_variant="no-begin")
        bad += bad_images([trace], fast_folder, 20, from_event=sum(1 for _ in read_trace(trace)))
    assert bad, "no disk was bad: these tests would find nothing"
