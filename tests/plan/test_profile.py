"""Profiles tell of each column in each window, and refuse what they cannot tell of."""

from __future__ import annotations

import math

import pytest

import riverrun as rr
from riverrun.testing import end, play, rows
from tests.kernel.streams import feed


def test_a_row_for_each_column_and_window():
    made = feed(0).profile(["x", "key"], every="10s", by="key")
    steps = [
        rows((1, "a", 1, 0), (2, "a", None, 1), (3, "a", math.nan, 2), (4, "b", 5, 3)),
        rows((12, "a", 7, 4)),
        end(),
    ]
    told = play(made, steps).results.select(
        "key", "column", "rows", "nulls", "nans", "distinct", "minimum", "maximum"
    )
    assert told.rows() == [
        ("a", "x", 3, 1, 1, 2, 1.0, 1.0),
        ("a", "key", 3, 0, 0, 1, None, None),
        ("b", "x", 1, 0, 0, 1, 5.0, 5.0),
        ("b", "key", 1, 0, 0, 1, None, None),
        ("a", "x", 1, 0, 0, 1, 7.0, 7.0),
        ("a", "key", 1, 0, 0, 1, None, None),
    ]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            lambda: feed(0).profile([]),
            'profile: no column is named\n  try: .profile(["price", "size"], every="1m")',
        ),
        (lambda: feed(0).profile("y"), "profile: there is no column 'y'\n  try: one of: t, key, x, row"),
        (
            lambda: feed(0).profile("x", by="column"),
            "profile(by=): 'column' is the name of the column that says which one is told of\n"
            '  try: .rename({"column": ...}) first',
        ),
    ],
)
def test_refused(made, text):
    with pytest.raises(rr.PlanError) as caught:
        made()
    assert str(caught.value) == text
