"""Every case of tests/data/windows_cases.json is played by a test that must pass; this file says by which."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

from tests.transcripts import test_join_cases, test_windows_cases

WINDOWS, JOINS = "test_windows_cases.py", "test_join_cases.py"

#: The file and the tests that play each case.
PLAYED = {
    "assign-01": (WINDOWS, "test_assign"),
    "assign-03": (WINDOWS, "test_assign"),
    "assign-06": (WINDOWS, "test_assign"),
    "aggregate-01": (WINDOWS, "test_aggregate"),
    "aggregate-02": (WINDOWS, "test_aggregate"),
    "late-01": (WINDOWS, "test_aggregate"),
    "late-04": (WINDOWS, "test_aggregate"),
    "emit-01": (WINDOWS, "test_aggregate", "test_each_window_comes_out_with_the_event_that_closes_it"),
    "emit-02": (WINDOWS, "test_aggregate"),
    "emit-04": (WINDOWS, "test_aggregate"),
    "emit-05": (WINDOWS, "test_aggregate", "test_each_window_comes_out_with_the_event_that_closes_it"),
    "panes-01": (WINDOWS, "test_panes"),
    "panes-02": (WINDOWS, "test_panes"),
    # The panes themselves, which discard, are an expected failure beside it.
    "panes-04": (WINDOWS, "test_discarding_panes_are_the_differences_of_ours"),
    "panes-06": (WINDOWS, "test_discarding_panes_are_the_differences_of_ours"),
    "session-01": (WINDOWS, "test_session"),
    "session-04": (WINDOWS, "test_session"),
    "session-06": (WINDOWS, "test_session"),
    "session-08": (WINDOWS, "test_session"),
    "join-01": (JOINS, "test_interval"),
    "join-02": (JOINS, "test_interval"),
    "join-06": (JOINS, "test_interval"),
    "asof-01": (JOINS, "test_asof"),
    "asof-05": (JOINS, "test_asof"),
    "asof-06": (JOINS, "test_asof"),
    "join-08": (JOINS, "test_session"),
    "count-01": (WINDOWS, "test_count_window"),
    "gap-01": (WINDOWS, "test_gap_fill"),
    "gap-02": (WINDOWS, "test_gap_fill"),
}


def plays(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Case and test for all tests of a module that take a case and are not expected to fail."""
    for name, test in inspect.getmembers(module, inspect.isfunction):
        marks = getattr(test, "pytestmark", [])
        if name.startswith("test_") and not any(mark.name == "xfail" for mark in marks):
            for mark in marks:
                if mark.name == "parametrize" and mark.args[0] == "case":
                    yield from ((case["id"], name) for case in mark.args[1])


def test_every_case_is_played_where_it_says() -> None:
    found: dict[str, tuple[str, ...]] = {}
    for file, module in ((WINDOWS, test_windows_cases), (JOINS, test_join_cases)):
        for case, test in plays(module):
            found[case] = (*found.get(case, (file,)), test)
    assert {case: (file, *sorted(tests)) for case, (file, *tests) in found.items()} == PLAYED
    assert [case["id"] for case in test_windows_cases.CASES] == list(PLAYED)
    assert len(PLAYED) == 29
