"""What the first bytes of a CSV stream tell: separator, header, names, and through `inference` the types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from riverrun.errors import SchemaError
from riverrun.formats.csv_layout import column_names
from riverrun.formats.csv_records import Dialect, FieldParser, RecordScanner
from riverrun.formats.framing import BYTE_ORDER_MARK
from riverrun.formats.inference import NULL_TEXTS, Sampled, infer_schema, is_number_like, kind_of_text
from riverrun.formats.rejection import RefusedError
from riverrun.schema import Schema

if TYPE_CHECKING:
    from riverrun.formats.csv import Csv

SEPARATORS = (",", ";", "\t", "|")
#: How much is looked at.
HEAD_BYTES = 1 << 20
HEAD_RECORDS = 2_000


def infer_csv(csv: Csv, head: bytes, *, complete: bool) -> tuple[dict[str, Any], Schema]:
    """The settings that were found, and the schema. Raises `SchemaError` without one whole record."""
    rows, separator = best_separator(csv, head, complete=complete)
    if not rows:
        raise SchemaError(
            "there is no whole CSV record to tell the columns from",
            where="csv",
            hint="declare them: schema={'ts': pl.Datetime('ms'), 'price': pl.Float64}",
        )
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    shaped = [row for row in rows if len(row) == width]
    header = csv.header if csv.header is not None else _is_header(shaped)
    if csv.columns is not None:
        names = csv.columns
    else:
        names = column_names(shaped[0]) if header else tuple(f"c{place}" for place in range(1, width + 1))
    if len(names) != width:
        raise SchemaError(f"columns= names {len(names)} fields, the records have {width}", where="csv")
    body = [row for row in (shaped[1:] if header else shaped) if column_names(row) != names]
    samples = [Sampled(name, [row[place] for row in body]) for place, name in enumerate(names)]
    nulls = _null_texts(csv, samples)
    samples = [
        replace(sample, values=[None if value in nulls else value for value in sample.values])
        for sample in samples
    ]
    schema = infer_schema(samples)
    notes = [_dialect_note(separator, bool(header))]
    if nulls != csv.null_values:
        notes.append("read as no value: " + ", ".join(repr(text) for text in nulls if text))
    schema = replace(schema, notes=(*notes, *schema.notes))
    return {"header": header, "separator": separator, "columns": names, "null_values": nulls}, schema


def best_separator(csv: Csv, head: bytes, *, complete: bool) -> tuple[list[list[str]], str]:
    """The records, cut by the separator under which most have the same number of fields, above one."""
    candidates = (csv.separator,) if csv.separator else SEPARATORS
    best: tuple[float, int, list[list[str]], str] = (-1.0, 0, [], candidates[0])
    for separator in candidates:
        rows = records(
            Dialect(separator, csv.quote if csv.quote != separator else None), head, complete=complete
        )
        width, number = Counter(len(row) for row in rows).most_common(1)[0] if rows else (0, 0)
        share = number / len(rows) if rows else 0.0
        score = share if width > 1 else 0.0
        if (score, width) > best[:2]:
            best = (score, width, rows, separator)
    return best[2], best[3]


def records(dialect: Dialect, head: bytes, *, complete: bool) -> list[list[str]]:
    """The whole records of the head that can be read, blank ones left out."""
    data = whole_lines(head, complete=complete)[:HEAD_BYTES]
    data = data[: data.rfind(b"\n") + 1]
    scanner, parser = RecordScanner(dialect), FieldParser(dialect)
    found: list[list[str]] = []
    at = 0
    while at < len(data) and len(found) < HEAD_RECORDS:
        record = scanner.next_record(data, at, len(data), complete=complete)
        if record is None:
            record = scanner.next_record(data, at, len(data), complete=True)
            assert record is not None
        try:
            text = data[at : record.end - 1].decode().removesuffix("\r")
            if text.strip() and not record.problem:
                found.append(parser.fields(text)[0])
        except (UnicodeDecodeError, RefusedError):
            pass
        at = record.end
    return found


def whole_lines(head: bytes, *, complete: bool) -> bytes:
    """The head without a byte order mark and without a last line that may be cut off."""
    head = head.removeprefix(BYTE_ORDER_MARK)
    if complete and head and not head.endswith(b"\n"):
        return head + b"\n"
    return head[: head.rfind(b"\n") + 1]


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first record of the usual width names the columns.

    It does when its fields are texts, and either some column below holds no text, or the fields are
    distinct, look like identifiers and never come again below.
    """
    names, body = [field.strip() for field in rows[0]], rows[1:]
    if not any(names) or any(kind_of_text(name) not in ("text", "null") for name in names if name):
        return False
    if any(_is_typed([row[place] for row in body]) for place, name in enumerate(names) if name):
        return True
    if not all(names) or len(set(names)) < len(names):
        return False
    if not body:
        return all(name.replace("_", "").isalpha() for name in names) and len(names) > 1
    again = any(row[place].strip() == name for row in body for place, name in enumerate(names))
    return not again and all(name.replace("_", "").replace(" ", "").isalnum() for name in names)


def _is_typed(values: Sequence[str]) -> bool:
    """Whether most of the values are something else than text."""
    kinds = Counter(kind_of_text(value) for value in values)
    typed = kinds.total() - kinds["text"] - kinds["empty"] - kinds["null"]
    return typed * 2 > kinds.total() - kinds["empty"]


def _null_texts(csv: Csv, samples: Sequence[Sampled]) -> tuple[str, ...]:
    """The texts for "no value", with those that stand in columns of numbers, if none were set."""
    if csv.null_values != ("",):
        return csv.null_values
    found = [
        text
        for text in NULL_TEXTS
        if any(is_number_like(sample) and text in sample.values for sample in samples)
    ]
    return ("", *found)


def _dialect_note(separator: str, header: bool) -> str:
    name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}.get(separator, repr(separator))
    return f"fields are separated by a {name}, {'with' if header else 'without'} a header"


def looks_like_csv(csv: Csv, head: bytes, *, complete: bool) -> bool:
    """Whether most records have the same number of fields, more than one; or are all one number."""
    rows, _ = best_separator(csv, head, complete=complete)
    if not rows:
        return False
    width, number = Counter(len(row) for row in rows).most_common(1)[0]
    if width > 1:
        return number >= 0.6 * len(rows)
    numbers = sum(kind_of_text(row[0]) in ("integer", "float") for row in rows)
    return numbers >= 0.8 * len(rows)
