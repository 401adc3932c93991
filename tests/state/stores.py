"""Small stores for tests."""

from __future__ import annotations

from riverrun.state.dead_letters import DeadLetterRow
from riverrun.state.settings import StoreSettings
from riverrun.state.store import Store
from riverrun.testing.simulated_world import SimulatedWorld
from riverrun.world import World

#: Segments that hold a few frames, so that tests go through many of them.
SMALL = StoreSettings(segment_bytes=4096, ballast_bytes=1024, spare_segments=2)


def opened(world: World, path: str = "state", settings: StoreSettings = SMALL) -> Store:
    """A store that takes frames; what it found is left as it is."""
    store = Store.open(path, world, settings=settings)
    store.begin()
    return store


def filled(world: World, bodies: list[bytes], path: str = "state") -> Store:
    """A store with these frames, all of them safe."""
    store = opened(world, path)
    for body in bodies:
        store.append([body])
        store.sync()
    return store


def bodies(store: Store, after: int = 0) -> list[bytes]:
    """The frames that are found behind `after`."""
    return [bytes(frame.body) for frame in store.frames(after)]


def power_cut(world: SimulatedWorld) -> None:
    """The power goes; chance says what of the rest is on the disk."""
    world.files.crash(world.random)


def letter(id: int, **other: object) -> DeadLetterRow:
    """A dead letter."""
    given: dict[str, object] = {
        "source": "tcp://x", "partition": "p", "reason": "json", "detail": "not JSON", "position": 10 * id,
        "length": 3, "received_us": 1_000 * id, "head": b"{x}", "form": "record", "sha256": "00",
        "record": b"{x}", "header": None, **other,
    }  # fmt: skip
    return DeadLetterRow(id=id, **given)
