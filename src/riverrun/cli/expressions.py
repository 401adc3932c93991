"""Expressions as text, for pipelines without Python: read as a formula, never run as code.

The text is Python's grammar for formulas, of which only these parts are taken: column names
(``col("odd name")`` for others), numbers, texts, True, False, None; ``+ - * / // % **``; comparisons, also
chained, ``in [...]``, ``is None``; ``and or not``; ``a if condition else b``; and the functions in `FUNCTIONS`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import reduce
from typing import Any

import polars as pl

from riverrun.errors import PlanError, did_you_mean

Binary = Callable[[Any, Any], Any]

_ARITHMETIC: dict[type[ast.operator], Binary] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARISONS: dict[type[ast.cmpop], Binary] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}

#: What may be called, by name: each takes expressions or plain values.
FUNCTIONS: dict[str, Callable[..., pl.Expr]] = {
    "abs": lambda x: x.abs(),
    "sqrt": lambda x: x.sqrt(),
    "log": lambda x: x.log(),
    "exp": lambda x: x.exp(),
    "round": lambda x, digits=0: x.round(digits),
    "lower": lambda x: x.str.to_lowercase(),
    "upper": lambda x: x.str.to_uppercase(),
    "contains": lambda x, text: x.str.contains(text, literal=True),
    "starts_with": lambda x, text: x.str.starts_with(text),
    "ends_with": lambda x, text: x.str.ends_with(text),
    "fill_null": lambda x, value: x.fill_null(value),
    "is_nan": lambda x: x.is_nan(),
}

_LONGEST = 2_000


def expression(text: str, *, where: str) -> pl.Expr:
    """The Polars expression that a formula means. Raises `PlanError` that names the part that is not taken.

    >>> print(expression("price * size > 100 and symbol in ['A', 'B']", where="filter").meta.root_names())
    ['price', 'size', 'symbol']
    """
    if len(text) > _LONGEST:
        raise PlanError(f"a formula has at most {_LONGEST} characters, this one {len(text)}", where=where)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "too deep"
        raise PlanError(
            f"not a formula: {text!r} ({reason})", where=where, hint='as in "price > 0 and size is not None"'
        ) from None
    try:
        made = _Reader(text, where).read(tree.body)
    except RecursionError:
        raise PlanError("the formula is nested too deeply", where=where) from None
    return made if isinstance(made, pl.Expr) else pl.lit(made)


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where

    def read(self, node: ast.expr) -> Any:
        reader = getattr(self, f"_{type(node).__name__.lower()}", None)
        if reader is None:
            raise self._refused(node)
        return reader(node)

    def _name(self, node: ast.Name) -> pl.Expr:
        return pl.col(node.id)

    def _constant(self, node: ast.Constant) -> Any:
        if node.value is not None and not isinstance(node.value, (bool, int, float, str)):
            raise self._refused(node)
        return node.value

    def _binop(self, node: ast.BinOp) -> Any:
        made = _ARITHMETIC.get(type(node.op))
        if made is None:
            raise self._refused(node)
        # As expressions from the start: plain numbers would be computed here, however large ("9**9**9").
        return made(self._expr(node.left), self._expr(node.right))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.read(node.operand)
        if isinstance(node.op, ast.Not):
            return ~self._as_expr(value)
        if isinstance(node.op, ast.USub):
            return -value
        raise self._refused(node)

    def _boolop(self, node: ast.BoolOp) -> pl.Expr:
        parts = [self._expr(value) for value in node.values]
        if isinstance(node.op, ast.And):
            return reduce(lambda a, b: a & b, parts)
        return reduce(lambda a, b: a | b, parts)

    def _compare(self, node: ast.Compare) -> pl.Expr:
        operands = [node.left, *node.comparators]
        pairs = zip(operands, node.ops, operands[1:], strict=False)
        return reduce(lambda a, b: a & b, [self._pair(left, op, right) for left, op, right in pairs])

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pl.Expr:
        value = self._expr(left)
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise self._refused(right, "only None can follow 'is'")
            return value.is_null() if isinstance(op, ast.Is) else value.is_not_null()
        if isinstance(op, (ast.In, ast.NotIn)):
            found = value.is_in(self._list(right))
            return found if isinstance(op, ast.In) else ~found
        made: pl.Expr = _COMPARISONS[type(op)](value, self._expr(right))
        return made

    def _list(self, node: ast.expr) -> list[Any]:
        if not isinstance(node, (ast.List, ast.Tuple)):
            raise self._refused(node, "a list of values must follow 'in'")
        values = [self.read(item) for item in node.elts]
        if any(isinstance(value, pl.Expr) for value in values):
            raise self._refused(node, "only plain values can stand in a list")
        return values

    def _ifexp(self, node: ast.IfExp) -> pl.Expr:
        yes, no = self._expr(node.body), self._expr(node.orelse)
        return pl.when(self._expr(node.test)).then(yes).otherwise(no)

    def _call(self, node: ast.Call) -> pl.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or node.keywords:
            raise self._refused(node)
        values = [self.read(argument) for argument in node.args]
        if name == "col" and len(values) == 1 and isinstance(values[0], str):
            return pl.col(values[0])
        function = FUNCTIONS.get(name)
        if function is None:
            hint = did_you_mean(name, ["col", *FUNCTIONS])
            raise PlanError(f"there is no function {name!r}", where=self._where, hint=hint)
        try:
            return function(self._as_expr(values[0]), *values[1:])
        except (IndexError, TypeError):
            raise self._refused(node, "wrong arguments") from None

    def _expr(self, node: ast.expr) -> pl.Expr:
        return self._as_expr(self.read(node))

    @staticmethod
    def _as_expr(value: Any) -> pl.Expr:
        return value if isinstance(value, pl.Expr) else pl.lit(value)

    def _refused(self, node: ast.expr, why: str = "this is not part of formulas") -> PlanError:
        part = ast.get_source_segment(self._text.strip(), node) or self._text
        return PlanError(
            f"cannot take {part!r} in {self._text!r}: {why}",
            where=self._where,
            hint="names, numbers, texts, + - * /, comparisons, and/or/not, in [...], is None; or use Python",
        )
