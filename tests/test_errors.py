"""Errors are shown on terminals and in logs: what is secret in a URL is not in them."""

from __future__ import annotations

import pytest

import riverrun as rr
from riverrun.cli.toml_pipeline import pipeline_from_toml
from riverrun.errors import RiverrunError, SinkUnavailable
from riverrun.runtime.health import StateHealth

CANARY = "canary-7f3a"

TARGETS = [
    f"stdout://me:{CANARY}@host/x",
    f"postgres://me:{CANARY}@host/x",
    f"//me:{CANARY}@host/x.unknown",
    f"csv://me:{CANARY}@host/x.csv",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_password_in_a_target_is_in_no_error(target: str) -> None:
    rows = rr.read({"x": [1.0]})
    with pytest.raises(RiverrunError) as caught:
        rows.write(target, mode="nonsense")
    assert CANARY not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("target", TARGETS)
def test_nor_in_one_of_a_toml_file(target: str) -> None:
    source = '[source]\nurl = "tcp://h:1"\nformat = "csv"\n'
    with pytest.raises(RiverrunError) as caught:
        pipeline_from_toml(f'{source}[[outputs]]\nto = "{target}"\nmode = "nonsense"\n', name="p.toml")
    assert CANARY not in f"{caught.value} {caught.value!r}"


def test_nor_in_what_a_run_says_of_a_sink_that_is_away() -> None:
    url = f"postgres://me:{CANARY}@host/x"
    error = SinkUnavailable(f"cannot connect to {url}", where=url, hint=f"look at {url}")
    assert str(error) == (
        "postgres://***@host/x: cannot connect to postgres://***@host/x\n  try: look at postgres://***@host/x"
    )
    health = StateHealth("state", troubles={url: error.problem})
    assert CANARY not in " ".join(health.warnings)
