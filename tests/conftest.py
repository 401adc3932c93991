"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# No test is timed: how long an example takes is the machine's business.
settings.register_profile("riverrun", deadline=None)
settings.load_profile("riverrun")

_BESIDE = (folder / "shared" / "data" for folder in Path(__file__).parents[2:])
_SHARED = next((folder for folder in _BESIDE if folder.is_dir()), Path())


@pytest.fixture
def shared_data() -> Path:
    """The folder of reference data beside the repository; the test is skipped where it is missing."""
    if not _SHARED.name:
        pytest.skip("the reference data are missing: expected them in ../shared/data beside the repository")
    return _SHARED
