"""Makes the state folder that every later version must open: ``python -m tests.state.make_golden``.

Run once for each format version, never again for an old one: what is in tests/data/state is what users have.
"""

from __future__ import annotations

import random
import tarfile
import tempfile
from pathlib import Path

from riverrun.runtime.real_world import RealWorld
from riverrun.state.database import FORMAT_VERSION
from riverrun.state.store import Store
from tests.crash import model
from tests.crash.workload import recover, work

DATA = Path(__file__).parents[1] / "data" / "state"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"{folder}/state", RealWorld(1), settings=model.SETTINGS)
        work(store, recover(store, lambda kind, number: None), 100, random.Random(1), lambda kind, number: None)
        store.close()
        DATA.mkdir(exist_ok=True)
        with tarfile.open(DATA / f"format-{FORMAT_VERSION}.tar.xz", "x:xz") as archive:
            archive.add(f"{folder}/state", "state")


if __name__ == "__main__":
    main()
