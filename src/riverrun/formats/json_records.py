"""The strict reading of JSON, line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import orjson
import polars as pl

from riverrun.errors import SchemaError
from riverrun.formats.columns import ValueReader, is_float, value_reader
from riverrun.formats.json_fields import FieldNames
from riverrun.formats.rejection import RefusedError, quoted, shown
from riverrun.limits import Limits
from riverrun.schema import Column, Schema

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_NUMBER_TOO_LARGE = "number is infinity"


class Policy(Protocol):
    """What the description says about doubtful records."""

    @property
    def batch_arrays(self) -> bool: ...
    @property
    def allow_nan(self) -> bool: ...
    @property
    def duplicate_keys(self) -> str: ...
    @property
    def on_new_field(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """One item of an array that is no row; the others are."""

    reason: str
    detail: str
    item: bytes


class JsonReader:
    """Turns one line into the values of rows. Nothing but `RefusedError` comes out of it."""

    def __init__(self, schema: Schema, limits: Limits, policy: Policy) -> None:
        self._readers: list[tuple[str, ValueReader, type | None]] = [
            (column.name, value_reader(column), _passed_as_is(column)) for column in schema
        ]
        self._names = schema.names
        self._depth, self._fields = limits.json_depth, limits.json_fields
        self._known = FieldNames(schema.names)
        self._policy = policy
        # A line shorter than this has neither too many fields (5 bytes each) nor is it nested too deep.
        self._plain_bytes = min(2 * limits.json_depth, 5 * limits.json_fields)
        self.duplicates = self.new_fields = 0

    def peek(self, line: bytes) -> list[object] | None:
        """The values of the columns as JSON has them, to see how times are written."""
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        return [found.get(name) for name in self._names] if isinstance(found, dict) else None

    def quick(self, line: bytes) -> Sequence[object] | None:
        """The row of an ordinary line; ``None`` when the line is anything else and needs `records`.

        Ordinary lines have no duplicates and no new fields.
        """
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        if type(found) is not dict or not self._is_ordinary(line, found):
            return None
        if not self._known.only_knows(found):
            return None
        row: list[object] = []
        for name, read, kind in self._readers:
            value = found.get(name)
            if value is not None and type(value) is not kind:
                try:
                    value = read(value)
                except RefusedError:
                    return None
            row.append(value)
        return row

    def records(self, line: bytes) -> list[Sequence[object] | RefusedItem]:
        """The rows of a line, usually one, or why one is refused. Raises `RefusedError` for the line.

        `duplicates` then says how many of the rows gave the field of a column twice, `new_fields` how many
        fields they have that the schema does not name. Raises `SchemaError` for one where that is to fail.
        """
        self.duplicates = self.new_fields = 0
        self._check_depth(line)
        found = self._parsed(line)
        if isinstance(found, list) and self._policy.batch_arrays:
            repeats = iter([self._repeats(pairs) for pairs in _pairs(line)])
            return [self._record(item, next(repeats) if isinstance(item, dict) else None) for item in found]
        if not isinstance(found, dict):
            raise RefusedError("shape", f"expected an object, found {_kind(found)}")
        repeated = None if _without_duplicates(line, found) else self._repeats(_pairs(line)[0])
        row = self._accepted(found, repeated)
        self._note_new(self._known.new_fields_of(line, found), found)
        return [row]

    def _accepted(self, found: dict[str, object], repeated: str | None) -> Sequence[object]:
        row = self._row(found)
        if repeated is not None:
            if self._policy.duplicate_keys == "refuse":
                raise RefusedError("duplicate-key", f"the field {quoted(repeated)} is there twice")
            self.duplicates += 1
        return row

    def _note_new(self, number: int, found: object) -> None:
        if number and self._policy.on_new_field == "fail":
            name = self._known.new_in(found)[0]
            raise SchemaError(
                f"a record has the field {quoted(name)}, which the schema does not name",
                where="json",
                hint="declare it, or let it be ignored and counted: rr.Json(on_new_field='ignore')",
            )
        self.new_fields += number

    def _is_ordinary(self, line: bytes, found: Mapping[str, object]) -> bool:
        if len(line) >= self._plain_bytes and (
            b"[" in line or line.count(b"{") > 1 or len(found) > self._fields
        ):
            return False
        return _without_duplicates(line, found)

    def _record(self, item: object, repeated: str | None) -> Sequence[object] | RefusedItem:
        try:
            if not isinstance(item, dict):
                raise RefusedError("shape", f"expected an array of objects, found {_kind(item)} in it")
            row = self._accepted(item, repeated)
        except RefusedError as refused:
            return RefusedItem(refused.reason, refused.detail, orjson.dumps(item))
        self._note_new(len(self._known.new_in(item)), item)
        return row

    def _row(self, found: Mapping[str, object]) -> Sequence[object]:
        if len(found) > self._fields:
            raise RefusedError(
                "too-many-fields", f"an object of {len(found)} fields, the limit is {self._fields}"
            )
        row: list[object] = []
        for name, read, _ in self._readers:
            value = found.get(name)
            row.append(None if value is None else read(value))
        return row

    def _repeats(self, pairs: _Pairs) -> str | None:
        """The first field of a column that is given twice. Fields that are ignored do not matter."""
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                return name
            if name in self._names:
                seen.add(name)
        return None

    def _check_depth(self, line: bytes) -> None:
        if line.count(b"[") + line.count(b"{") <= self._depth:
            return
        depth = 0
        for match in _STRING_OR_BRACKET.finditer(line):
            token = match.group()
            if token in b"[{":
                depth += 1
                if depth > self._depth:
                    raise RefusedError("depth", f"nested deeper than {self._depth} levels")
            elif token in b"]}":
                depth -= 1

    def _parsed(self, line: bytes) -> object:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problem = str(error)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            detail = f"byte 0x{line[error.start]:02x} at offset {error.start} of the record is not UTF-8"
            raise RefusedError("utf8", detail) from None
        if self._policy.allow_nan:
            found = _lenient(text)
            if found is not _NOTHING:
                return found
        if _NUMBER_TOO_LARGE in problem:
            raise RefusedError("number-range", f"a number too large for a double: {problem}")
        if _is_two_documents(text):
            raise RefusedError("shape", "more than one JSON document on a line")
        raise RefusedError("json", problem)


def _passed_as_is(column: Column) -> type | None:
    """The Python type whose values need no look: they are in the column's range whatever they are."""
    if isinstance(column.dtype, pl.String):
        return str
    if isinstance(column.dtype, pl.Boolean):
        return bool
    return float if is_float(column) and not isinstance(column.dtype, pl.Float32) else None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "an array (of objects? see rr.Json(batch_arrays=True))" if value else "an array"
    return f"{type(value).__name__} {shown(value)}"


def _without_duplicates(line: bytes, found: Mapping[str, object]) -> bool:
    """Whether no field is given twice; only True is certain. Each field brings one colon."""
    if line.count(b":") == len(found):
        return True
    # There are more of them, in texts perhaps. Those behind a quote are fewer, if nothing is put between.
    return line.count(b'":') == len(found) and b" :" not in line and b"\t:" not in line and b"\r:" not in line


_Pairs = list[tuple[str, object]]


def _pairs(line: bytes) -> list[_Pairs]:
    """The fields of the records of a sound line as they are written, duplicates included."""
    found = json.loads(line, object_pairs_hook=_Object, parse_int=str, parse_float=str, parse_constant=str)
    records = [found] if isinstance(found, _Object) else found
    return [cast(_Pairs, list(record)) for record in records if isinstance(record, _Object)]


class _Object(list[tuple[str, object]]):
    """The pairs of a JSON object."""


_NOTHING = object()


def _lenient(text: str) -> object:
    """A document in which NaN and Infinity become null; `_NOTHING` when it is not JSON otherwise."""
    try:
        found = json.loads(text, parse_constant=lambda _: None, parse_float=_finite, parse_int=_bounded)
        # What Python lets through and RFC 8259 or UTF-8 do not (lone surrogates), the strict parser finds.
        return orjson.loads(orjson.dumps(found))
    except (ValueError, TypeError):
        return _NOTHING


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(text)
    return value


def _bounded(text: str) -> int | float:
    if len(text) > 400:
        raise ValueError(text)
    value = int(text)
    return value if -(2**63) <= value < 2**64 else _finite(text)


def _is_two_documents(text: str) -> bool:
    """Whether a line is a sound document with something that could be another behind it."""
    try:
        _, end = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text.lstrip(" \t\r"))
    except (ValueError, RecursionError):
        return False
    rest = text.lstrip(" \t\r")[end:].strip(" \t\r")
    return rest[:1] in ("{", "[", '"') or rest[:1].isdigit() or rest[:4] in ("null", "true", "fals")
