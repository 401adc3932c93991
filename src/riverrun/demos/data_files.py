"""The data that come with the package; `data/LICENSES.md` says where they are from."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources


@cache
def lines_of(name: str) -> tuple[bytes, list[bytes]]:
    """The header and the lines of a file, without their ends."""
    packed = (resources.files("riverrun.demos") / "data" / name).read_bytes()
    header, *lines = gzip.decompress(packed).splitlines()
    return header, lines
