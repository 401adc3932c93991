"""A plan as text."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.clock import format_duration
from riverrun.plan.nodes import Node, Output, Read, WindowAggregate, chain_of
from riverrun.plan.typing import Typed, typed


def explain(node: Node) -> str:
    """Every step from the source on, a line each, with the columns behind it where they are known."""
    chain = chain_of(node)
    read = chain[0]
    assert isinstance(read, Read)
    schemas = None if read.schema is None else {read: read.schema}
    lines = []
    for depth, step in enumerate(chain):
        lines.append("   " * max(0, depth - 1) + ("└─ " if depth else "") + step.label)
        details = [*_settings(step), *([] if schemas is None else [_columns(typed(step, schemas))])]
        lines += ["   " * depth + "   " + detail for detail in details]
    return "\n".join(lines)


def explain_outputs(outputs: Sequence[Output]) -> str:
    """The plans of several outputs, one after the other."""
    return "\n\n".join(f"{output.label}\n{explain(output.node)}" for output in outputs)


def _settings(step: Node) -> list[str]:
    if isinstance(step, Read):
        time = step.time or "arrival"
        delay = "until the end" if step.delay_us is None else format_duration(step.delay_us)
        idle = "never" if step.idle_us is None else format_duration(step.idle_us)
        kind = step.format.name if step.format is not None else "found out from the first bytes"
        if step.source.format_hint == "frame":
            kind = "rows"
        ends = "ends by itself" if step.source.bounded else "live"
        return [f"format: {kind}; {ends}", f"event time: {time}, delay: {delay}, idle: {idle}"]
    if isinstance(step, WindowAggregate):
        emit = step.emit if isinstance(step.emit, str) else f"every {format_duration(step.emit)}"
        return [f"lateness: {format_duration(step.lateness_us)}, results: {emit}"]
    return []


def _columns(at: Typed) -> str:
    return "columns: " + ", ".join(f"{name} {dtype}" for name, dtype in at.columns.items())
