"""Expressions in words: what plans, messages and the dashboard show in place of Polars' own text.

Polars prints ``[(col("price")) > (dyn int: 0)]`` where people wrote ``pl.col("price") > 0``. Its text is read
here with a small grammar; whatever the grammar does not know is shown as Polars prints it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

#: How tightly an operator binds, as in Python; what binds less stands in parentheses.
OPERATORS: Mapping[str, int] = {
    "|": 4, "^": 5, "&": 6,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "==v": 3, "!=v": 3,
    "+": 7, "-": 7, "*": 8, "/": 8, "//": 8, "%": 8,
}  # fmt: skip
_OR, _AND, _NOT, _COMPARISON, _NEGATION, _POWER, _WHOLE = 0, 1, 2, 3, 9, 10, 11

#: Operators between conditions are said in words; between numbers they work on bits and stay signs.
_LOGICAL: Mapping[str, tuple[str, int]] = {"&": ("and", _AND), "|": ("or", _OR)}
_SPELLED: Mapping[str, str] = {"==v": "is", "!=v": "is not"}

_LITERAL = re.compile(
    r"dyn (?:int|float): (?P<number>-?(?:\d+(?:\.\d+)?(?:e-?\d+)?|NaN|inf))"
    r"|(?P<instant>\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?)?(?: [A-Za-z_/]+)?)(?=[)\],]|$)"
    r"|(?P<plain>-?\d[\w.]*|true|false|null)(?=[)\],]|\.[a-z]|$)"
    r'|(?P<text>"[^"]*")'
)
_COLUMN = re.compile(r'col\("(?P<name>[^"]*)"\)')
_OPERATOR = re.compile(r"\) (?P<sign>[|^&=!<>+\-*/%]+v?) \(")
_METHOD = re.compile(r"\.(?P<name>[a-z_][\w.]*)\(")
_LIST = re.compile(r"\[[^\[\]]*\]")
_TYPE = re.compile(r"[A-Z]\w*(?:\((?:[^()]|\([^()]*\))*\))?")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_RESERVED = frozenset({"true", "false", "null", "and", "or", "not", "is", "in", "when", "then", "otherwise"})


def shown(expr: pl.Expr) -> str:
    """An expression as people would write it; in Polars' own words where it is an unusual one.

    >>> shown((pl.col("price") > 0) & pl.col("size").is_not_null())
    'price > 0 and size is not null'
    >>> shown((pl.col("price") * pl.col("size")).alias("notional"))
    'notional = price * size'
    """
    text = str(expr)
    reader = _Reader(text)
    try:
        part = reader.expression()
        if reader.at != len(text) or reader.columns != set(expr.meta.root_names()):
            return text
    except (_UnknownError, RecursionError, pl.exceptions.PolarsError):
        return text
    return part.text if part.name is None else f"{part.name} = {part.text}"


class _UnknownError(Exception):
    """The text holds something that the grammar does not know."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the text in words.

    Parameters
    ----------
    binds : how tightly its outermost operator binds.
    condition : whether it is plainly true or false.
    name : what ``.alias`` calls it.
    """

    text: str
    binds: int = _WHOLE
    condition: bool = False
    name: str | None = None

    def within(self, binds: int) -> str:
        """As an operand of an operator that binds so tightly."""
        return self.text if self.binds >= binds else f"({self.text})"


class _Reader:
    """Reads Polars' text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.columns: set[str] = set()

    def expression(self) -> _Part:
        part = self._beginning()
        while (found := self._match(_METHOD)) is not None:
            part = self._method(part, found["name"])
        return part

    def _beginning(self) -> _Part:
        if (found := self._match(_COLUMN)) is not None:
            self.columns.add(found["name"])
            return _Part(_name(found["name"]))
        if (found := self._match(_LITERAL)) is not None:
            value = next(value for value in found.groupdict().values() if value is not None)
            return _Part(value, _NEGATION if value.startswith("-") else _WHOLE)
        if self._skip("[("):
            return self._operation()
        if self._skip(".when("):
            return self._choice()
        if self._skip("len()"):
            return _Part("len()")
        raise _UnknownError

    def _operation(self) -> _Part:
        left = self.expression()
        sign = self._match(_OPERATOR)
        if sign is None or sign["sign"] not in OPERATORS:
            raise _UnknownError
        right = self.expression()
        self._expect(")]")
        return _operation(left, sign["sign"], right)

    def _choice(self) -> _Part:
        condition = self.expression()
        self._expect(").then(")
        then = self.expression()
        self._expect(").otherwise(")
        otherwise = self.expression()
        self._expect(")")
        return _Part(f"when {condition.text} then {then.text} otherwise {otherwise.text}", _OR - 1)

    def _method(self, of: _Part, name: str) -> _Part:
        if name == "alias":
            found = self._match(_LITERAL)
            self._expect(")")
            if found is None or found["text"] is None:
                raise _UnknownError
            return _Part(of.text, of.binds, of.condition, _name(found["text"][1:-1]))
        if name in ("cast", "strict_cast"):
            found = self._match(_TYPE)
            self._expect(")")
            if found is None:
                raise _UnknownError
            return _call(of, "cast", [found[0]])
        arguments = self._arguments()
        self._expect(")")
        return _call(of, name, arguments)

    def _arguments(self) -> list[str]:
        if not self._skip("["):
            return []
        arguments = [self._argument()]
        while self._skip(", "):
            arguments.append(self._argument())
        self._expect("]")
        return arguments

    def _argument(self) -> str:
        # A list of values begins as an operation does, but for the parenthesis.
        if not self._text.startswith("[(", self.at) and (found := self._match(_LIST)) is not None:
            return found[0]
        return self.expression().text

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _skip(self, text: str) -> bool:
        there = self._text.startswith(text, self.at)
        self.at += len(text) if there else 0
        return there

    def _expect(self, text: str) -> None:
        if not self._skip(text):
            raise _UnknownError


def _operation(left: _Part, sign: str, right: _Part) -> _Part:
    if sign in _LOGICAL and left.condition and right.condition:
        word, binds = _LOGICAL[sign]
        return _Part(f"{left.within(binds)} {word} {right.within(binds)}", binds, condition=True)
    binds = OPERATORS[sign]
    if binds == _COMPARISON:
        text = f"{left.within(binds + 1)} {_SPELLED.get(sign, sign)} {right.within(binds + 1)}"
        return _Part(text, binds, condition=True)
    # What stands to the right of an equal operator keeps its parentheses: a - (b - c).
    return _Part(f"{left.within(binds)} {sign} {right.within(binds + 1)}", binds)


def _call(of: _Part, name: str, arguments: list[str]) -> _Part:
    if name == "not" and not arguments:
        return _Part(f"not {of.within(_NOT)}", _NOT, condition=True)
    if name == "negate" and not arguments:
        return _Part(f"-{of.within(_NEGATION)}", _NEGATION)
    if name in ("is_null", "is_not_null") and not arguments:
        words = "is null" if name == "is_null" else "is not null"
        return _Part(f"{of.within(_COMPARISON + 1)} {words}", _COMPARISON, condition=True)
    if name == "is_in" and len(arguments) == 1:
        return _Part(f"{of.within(_COMPARISON + 1)} in {arguments[0]}", _COMPARISON, condition=True)
    if name == "pow" and len(arguments) == 1 and re.fullmatch(r"[\w.]+", arguments[0]):
        return _Part(f"{of.within(_POWER + 1)} ** {arguments[0]}", _POWER)
    condition = name.split(".")[-1].startswith(("is_", "starts_with", "ends_with", "contains"))
    return _Part(f"{of.within(_WHOLE)}.{name}({', '.join(arguments)})", condition=condition)


def _name(column: str) -> str:
    plain = _PLAIN_NAME.fullmatch(column) is not None and column not in _RESERVED
    return column if plain else f'col("{column}")'
