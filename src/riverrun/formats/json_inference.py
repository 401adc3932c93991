"""What the first lines of JSON tell: the fields of the objects, and through `inference` their types."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from riverrun.batch import HIDDEN_PREFIX
from riverrun.errors import SchemaError
from riverrun.formats.csv_inference import HEAD_BYTES, HEAD_RECORDS, whole_lines
from riverrun.formats.inference import Sampled, infer_schema, json_text
from riverrun.schema import Schema

if TYPE_CHECKING:
    from riverrun.formats.json import Json

#: More columns than this are not inferred; the rest is named in a note.
MOST_COLUMNS = 200


def infer_json(json: Json, head: bytes, *, complete: bool) -> Schema:
    """The schema of the flat fields. Raises `SchemaError` without one whole object that has any."""
    objects = [item for item in json_values(head, complete=complete) if isinstance(item, dict)]
    if json.batch_arrays:
        for item in json_values(head, complete=complete):
            objects.extend(
                inner for inner in (item if isinstance(item, list) else ()) if isinstance(inner, dict)
            )
    names: dict[str, int] = {}
    nested: dict[str, None] = {}
    for item in objects:
        for name, value in item.items():
            if isinstance(value, (dict, list)):
                nested[name] = None
            else:
                names[name] = names.get(name, 0) + 1
    usable = [
        name
        for name in names
        if name
        and not name.startswith(HIDDEN_PREFIX)
        and not (name in nested and names[name] * 2 < len(objects))
    ]
    if not usable:
        raise SchemaError(
            "there is no whole JSON object with a plain field to tell the columns from",
            where="json",
            hint='one object a line, as in {"ts": 1700000000, "price": 1.5}; or declare schema=',
        )
    left_out = [*usable[MOST_COLUMNS:], *(name for name in {**names, **nested} if name not in usable)]
    samples = [Sampled(name, [_value(item.get(name)) for item in objects]) for name in usable[:MOST_COLUMNS]]
    schema = infer_schema(samples)
    if left_out:
        shown = ", ".join(repr(name) for name in left_out[:8]) + (", ..." if len(left_out) > 8 else "")
        schema = replace(schema, notes=(*schema.notes, f"left out, nested or not usable as columns: {shown}"))
    return schema


def json_values(head: bytes, *, complete: bool) -> list[object]:
    """The documents of the lines that are JSON; the others are left out."""
    found: list[object] = []
    for line in whole_lines(head, complete=complete)[:HEAD_BYTES].split(b"\n"):
        if len(found) >= HEAD_RECORDS:
            break
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return found


def _value(value: object) -> object:
    if isinstance(value, str):
        return json_text(value)
    return None if isinstance(value, (dict, list)) else value
