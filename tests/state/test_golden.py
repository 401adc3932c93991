"""State folders of every format that was ever released open, and hold what they held."""

from __future__ import annotations

import tarfile

import pytest

from riverrun.runtime.real_world import RealWorld
from riverrun.state.store import Store
from tests.crash import model
from tests.state.make_golden import DATA


@pytest.mark.parametrize("archive", sorted(DATA.glob("*.tar.xz")), ids=lambda path: path.name)
def test_it_opens_for_ever(tmp_path, archive):
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    store = Store.open(str(tmp_path / "state"), RealWorld(1), create=False, settings=model.SETTINGS)
    model.check(store, frames=100, position=1)
    store.begin()
    store.append([model.body(101)])
    store.close()
    store = Store.open(str(tmp_path / "state"), RealWorld(1), create=False, settings=model.SETTINGS)
    model.check(store, frames=101, position=1)
    store.close()


def test_there_is_one_of_the_first_format():
    assert (DATA / "format-1.tar.xz").is_file()
