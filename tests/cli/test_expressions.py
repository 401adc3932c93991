"""Formulas as text: what they mean, and that nothing else gets through."""

from __future__ import annotations

import polars as pl
import pytest

from riverrun.cli.expressions import expression
from riverrun.errors import PlanError

ROWS = pl.DataFrame({"a": [1.0, -2.0, None], "s": ["x", "Yes", None], "odd name": [1, 2, 3]})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a * 2 + 1", [3.0, -3.0, None]),
        ("abs(a)", [1.0, 2.0, None]),
        ("-a", [-1.0, 2.0, None]),
        ("a > 0", [True, False, None]),
        ("0 < a <= 1", [True, False, None]),
        ("a is None", [False, False, True]),
        ("a is not None and not a > 0", [False, True, False]),
        ("s in ['x', 'y']", [True, False, None]),
        ("lower(s) == 'yes'", [False, True, None]),
        ("contains(s, 'e')", [False, True, None]),
        ("fill_null(a, 0)", [1.0, -2.0, 0.0]),
        ("col('odd name') ** 2", [1, 4, 9]),
        ("a if a > 0 else 0", [1.0, 0.0, 0.0]),
        ("1", [1]),
    ],
)
def test_what_formulas_mean(text: str, values: list[object]) -> None:
    assert ROWS.select(expression(text, where="t").alias("v"))["v"].to_list() == values


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "().__class__", "a.sum()", "[x for x in a]", "lambda: 1", "f'{a}'",
        "a := 1", "(yield)", "open('/etc/passwd')", "a in s", "a is 1", "b'x'", "a[0]", "abs(a, b=1)", "...",
        "{}", "a @ a", "-" * 1_999 + "a", "(" * 900 + "a", "", "a; a", "x" * 3_000,
    ],
)  # fmt: skip
def test_nothing_else_gets_through(text: str) -> None:
    with pytest.raises(PlanError):
        expression(text, where="t")


def test_large_powers_are_not_computed_while_reading() -> None:
    assert isinstance(expression("9 ** 9 ** 9 ** 9", where="t"), pl.Expr)
