"""Telling the format from the first bytes."""

from __future__ import annotations

from riverrun.errors import SchemaError
from riverrun.formats.csv import Csv
from riverrun.formats.csv_inference import looks_like_csv, whole_lines
from riverrun.formats.json import Json
from riverrun.formats.json_inference import json_values
from riverrun.formats.lines import Lines
from riverrun.ports import Format


def sniff(head: bytes, complete: bool) -> Format:
    """JSON lines, CSV or plain lines: what most of the first lines are.

    `complete` says that `head` is all there is. Raises `SchemaError` when there is not one whole line.

    >>> sniff(b'{"a": 1}\\n', True).name
    'json'
    >>> sniff(b"a;b\\n1;2\\n", True).name
    'csv'
    """
    data = whole_lines(head, complete=complete)
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not lines:
        what = "no data came" if not head.strip() else f"no whole line in the first {len(head)} bytes"
        raise SchemaError(
            f"the format cannot be told: {what}", hint='say what it is: format="csv", "json" or "lines"'
        )
    documents = json_values(data, complete=True)
    objects = sum(isinstance(item, dict) for item in documents)
    arrays = sum(_is_batch(item) for item in documents)
    started = sum(line.lstrip().startswith(b"{") for line in lines)
    if objects * 2 >= len(lines) or (objects and started * 2 >= len(lines)):
        return Json()
    if arrays * 2 >= len(lines):
        return Json(batch_arrays=True)
    csv = Csv()
    return csv if looks_like_csv(csv, data, complete=True) else Lines()


def _is_batch(item: object) -> bool:
    return isinstance(item, list) and bool(item) and all(isinstance(inner, dict) for inner in item)
