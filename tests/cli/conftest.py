from __future__ import annotations

import pytest

from tests.cli.calling import Call


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return Call(capsys)
