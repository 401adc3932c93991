"""Reference data that is too large for this repository: the folder ``shared/data`` beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data(name: str) -> Path:
    """A folder or file in it; skips the test where there is none.

    The environment variable `RIVERRUN_SHARED_DATA` names another place.
    """
    told = os.environ.get("RIVERRUN_SHARED_DATA")
    places = [Path(told)] if told else [parent / "shared" / "data" for parent in Path(__file__).parents]
    found = next((place / name for place in places if (place / name).exists()), None)
    if found is None:
        pytest.skip(f"shared/data/{name} is not on this machine")
    return found
