"""A bounded input, run to its end, as one data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from riverrun.errors import PlanError
from riverrun.plan.nodes import Node, Output, lineage, sources_of
from riverrun.plan.remembering import Latest
from riverrun.ports import Writer
from riverrun.runtime.run import run_outputs
from riverrun.world import World


def collect_node(node: Node) -> pl.DataFrame:
    """Run a bounded input to its end and return all rows of a node. See `Stream.collect`."""
    for read in sources_of(node):
        if not read.source.bounded:
            raise PlanError(
                f"{read.source.url} never ends, so it cannot be collected",
                where="collect",
                hint='rr.run(stream.write("memory:"), until="10s"), or reconnect=False if the peer will close',
            )
    frames: list[pl.DataFrame] = []
    kept = _Kept(frames)
    summary = run_outputs([Output(node, kept)], name="collect")
    assert kept.columns is not None
    if summary.stopped_by.startswith("SIG"):
        raise KeyboardInterrupt
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=kept.columns)
    if any(isinstance(step, Latest) and set(step.by) <= set(kept.keys) for step in lineage(node)):
        return frame.unique(kept.keys, keep="last", maintain_order=True).sort(kept.keys, maintain_order=True)
    return _last_revisions(frame, kept.keys)


def _last_revisions(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Of each result the last revision, ordered by window end, then keys."""
    if "window_end" not in frame.columns or "window_start" not in keys:
        return frame
    if "revision" in frame.columns:
        frame = frame.unique(keys, keep="last", maintain_order=True)
    own = [key for key in keys if key != "window_start"]
    return frame.sort("window_end", *own, "window_start", maintain_order=True, nulls_last=False)


@dataclass(slots=True)
class _Kept:
    """The sink of `collect`."""

    frames: list[pl.DataFrame]
    columns: dict[str, pl.DataType] | None = None
    keys: tuple[str, ...] = ()
    url: str = "memory:"

    def open(self, world: World, schema: Any, keys: Sequence[str]) -> Writer:
        del world
        self.columns, self.keys = dict(schema), tuple(keys)
        return self

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def flush(self) -> None: ...

    def close(self) -> None: ...
