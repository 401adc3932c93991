"""A file as a lookup table."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from riverrun.errors import ConfigError, SourceError, did_you_mean
from riverrun.plan.lookup import Reading
from riverrun.world import World

#: A lookup table is held in memory whole, so it cannot be of any size.
MOST_BYTES = 1 << 30

READERS: Mapping[str, Callable[[io.BytesIO], pl.DataFrame]] = {
    "csv": lambda data: pl.read_csv(data, infer_schema_length=None, try_parse_dates=True),
    "parquet": pl.read_parquet,
    "json": lambda data: pl.read_json(data, infer_schema_length=None),
    "jsonl": lambda data: pl.read_ndjson(data, infer_schema_length=None),
    "ndjson": lambda data: pl.read_ndjson(data, infer_schema_length=None),
}


@dataclass(frozen=True, slots=True)
class TableFile:
    """A CSV (with header), Parquet, JSON or JSON-lines file, told apart by its ending.

    >>> TableFile("products.csv").name
    'products.csv'
    """

    path: str

    def __post_init__(self) -> None:
        if self._kind not in READERS:
            raise ConfigError(
                f"a lookup table cannot be read from {self.path!r}",
                where="lookup",
                hint=did_you_mean(self._kind, READERS) or f"a file that ends in one of {', '.join(READERS)}",
            )

    @property
    def name(self) -> str:
        return self.path

    @property
    def _kind(self) -> str:
        return self.path.rsplit(".", 1)[-1].lower()

    def read(self, world: World, tag: str = "") -> Reading:
        """The whole table. Raises `SourceError` when there is none."""
        del tag
        try:
            with closing(world.files.open_read(self.path)) as file:
                size = file.status().size
                data = file.read_at(0, min(size, MOST_BYTES))
        except OSError as error:
            raise SourceError(f"the lookup table cannot be read: {error}", where=self.path) from None
        if size > MOST_BYTES:
            raise SourceError(f"a lookup table of {size} bytes is too large", where=self.path)
        return Reading(table_of(data, self._kind, where=self.path))


def table_of(data: bytes, kind: str, *, where: str) -> pl.DataFrame:
    """The table that some bytes hold, by its kind. Raises `SourceError` when they hold none."""
    try:
        return READERS[kind](io.BytesIO(data))
    except (pl.exceptions.PolarsError, ValueError) as error:
        text = str(error).split("\n")[0]
        raise SourceError(f"the lookup table is not {kind}: {text}", where=where) from None
