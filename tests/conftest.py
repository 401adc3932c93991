"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of reference data beside the repository; the test is skipped where it is missing."""
    if not _SHARED.is_dir():
        pytest.skip("the reference data are missing: expected them in ../shared/data beside the repository")
    return _SHARED
