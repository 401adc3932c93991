"""Standard input: waits, ends cleanly, and says so when it is closed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from riverrun.errors import SourceError
from riverrun.limits import Limits
from riverrun.runtime.real_world import PipedInput
from riverrun.sources.stdin import Stdin, StdinReader
from riverrun.testing.simulated_world import SimulatedWorld
from tests.sources.pumping import ends, pump, texts


def test_it_reads_to_the_end():
    world = SimulatedWorld()
    reader = Stdin().open(world, Limits())
    assert reader.status == "waiting for standard input"
    world.stdin.feed(b"a\n")
    world.after("1s", lambda: world.stdin.feed(b"b"))
    world.after("2s", world.stdin.end)
    chunks = pump(world, reader)
    assert texts(chunks) == {"stdin": b"a\nb"}
    assert ends(chunks) == {"stdin": False}
    assert reader.finished


def test_nothing_piped_in_is_an_empty_partition():
    world = SimulatedWorld()
    world.stdin.end()
    assert texts(pump(world, Stdin().open(world, Limits()))) == {"stdin": b""}


def test_a_closed_standard_input_is_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    world = SimulatedWorld()
    world.stdin = PipedInput(reading)  # type: ignore[assignment]
    with pytest.raises(SourceError) as raised:
        StdinReader(world).poll(1_000)
    assert str(raised.value) == (
        "stdin:: cannot read: standard input is closed\n"
        "  try: pipe something in: producer | riverrun watch stdin:"
    )


PROGRAM = """
from riverrun.limits import Limits
from riverrun.runtime.real_world import RealWorld
from riverrun.sources.stdin import Stdin
world = RealWorld()
reader = Stdin().open(world, Limits())
total = 0
while not reader.finished:
    chunks = reader.poll(1 << 20)
    total += sum(len(chunk.data) for chunk in chunks)
    if not chunks:
        world.wait(reader.wait().ready, None)
print(total)
"""


@pytest.mark.parametrize("data", [b"", b"one line", b"x,1\n" * 500_000])
def test_a_real_pipe(data):
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=data, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"%d\n" % len(data), b"")
