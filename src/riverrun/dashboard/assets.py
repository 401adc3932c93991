"""The files of the page, read once and kept compressed; BokehJS comes out of the installed ``bokeh`` wheel."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    kind: str

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 6, mtime=0)

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'


def load_assets() -> Mapping[str, Asset]:
    """All files by name; nothing else can be asked for, so no path from outside reaches the file system."""
    import bokeh

    folder = resources.files("riverrun.dashboard") / "static"
    found = {
        item.name: Asset(item.read_bytes(), KINDS[Path(item.name).suffix])
        for item in folder.iterdir()
        if Path(item.name).suffix in KINDS
    }
    script = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    found["bokeh.min.js"] = Asset(script.read_bytes(), KINDS[".js"])
    return found
