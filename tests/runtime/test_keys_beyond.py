"""Rows of keys beyond `max_keys` are told of wherever a run is looked at, and across a stop."""

from __future__ import annotations

from pathlib import Path

import polars as pl

import riverrun as rr
from riverrun.runtime.inspection import inspect_state
from riverrun.runtime.real_world import RealWorld

SCHEMA = {"t": rr.Timestamp("s"), "key": pl.String}


def test_the_summary_and_the_state_folder_tell_of_them(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("1,a\n2,b\n3,c\n4,b\n")
    folder = str(tmp_path / "state")

    def run() -> str:
        form = rr.Csv(header=False)
        limits = rr.Limits(max_keys=1)
        feed = rr.read(f"file:{tmp_path}/in.csv", format=form, schema=SCHEMA, time="t", limits=limits)
        counted = feed.group_by("key").running().agg(n=rr.count())
        return str(rr.run(counted.write(f"csv:{tmp_path}/out.csv"), state=folder))

    told = "3 rows beyond max_keys: aggregate by key"
    assert told in run()
    found = inspect_state(folder, RealWorld())
    assert [step.beyond_max_keys for step in found.steps] == [3]
    assert " late, 3 beyond max_keys; state " in found.text
    assert told in run()
