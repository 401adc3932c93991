"""Runs as users start them: every row is counted once it exists, and the dashboard says where it is."""

from __future__ import annotations

import polars as pl
import pytest

import riverrun as rr


@pytest.mark.parametrize("schema", [None, {"x": pl.Float64}], ids=["inferred", "declared"])
def test_rows_of_a_frame_are_received_and_applied(schema):
    summary = rr.run(rr.read({"x": [1.0, 2.0]}, schema=schema).write("memory:"))
    (source,) = summary.sources
    assert (source.received, source.applied, source.in_flight) == (2, 2, 0)
    assert source.conserved


def test_rows_of_a_file_whose_format_is_found_out(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,a\n2,b\nthree,c,d\n")
    summary = rr.run(rr.read(f"file:{path}").write("memory:"))
    (source,) = summary.sources
    assert (source.received, source.applied, source.dead_lettered, source.in_flight) == (3, 2, 1, 0)
    assert source.conserved


def test_the_address_of_the_dashboard_is_printed(capsys):
    rr.run(rr.read({"x": [1.0, 2.0]}).write("memory:"), dashboard="127.0.0.1:0")
    assert "dashboard: http://127.0.0.1:" in capsys.readouterr().err
