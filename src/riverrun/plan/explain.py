"""A plan as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.clock import format_duration
from riverrun.plan.nodes import Node, Output, Read, parents_of, sources_of
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.plan.typing import typed_all
from riverrun.ports import guarantee_of


def explain(node: Node) -> str:
    """Every step from the source on, a line each, with the columns behind it where they are known.

    The first input of a step with several stands above it; the others follow it, each from its own source on,
    behind the word *with*. What is told already is only named.
    """
    lines, _ = _Telling(node).branch(node)
    return "\n".join(lines)


def explain_outputs(outputs: Sequence[Output]) -> str:
    """The plans of several outputs, one after the other, each with what its sink guarantees."""
    return "\n\n".join("\n".join([*_output(output), explain(output.node)]) for output in outputs)


def _output(output: Output) -> list[str]:
    if output.sink is None:
        return [output.label]
    return [output.label, f"   with state=: every result {guarantee_of(output.sink)}"]


class _Telling:
    """Goes through a plan backwards and tells it forwards."""

    def __init__(self, node: Node) -> None:
        known = {read: read.schema for read in sources_of(node) if read.schema is not None}
        complete = all(read in known for read in sources_of(node))
        self._typed: Mapping[int, Typed] | None = typed_all((node,), known) if complete else None
        self._told: set[int] = set()

    def branch(self, node: Node) -> tuple[list[str], int]:
        """The lines of a node and of all before it, and how deep the node itself stands."""
        if id(node) in self._told:
            return [f"{node.label} (as above)"], 0
        self._told.add(id(node))
        lines: list[str] = []
        depth = 0
        first, *others = parents_of(node) or (None,)
        if first is not None:
            lines, depth = self.branch(first)
            depth += 1
        lines += self._step(node, depth)
        for other in others:
            assert other is not None
            with_, _ = self.branch(other)
            margin = "   " * depth + "   "
            lines += [margin + ("     " if at else "with ") + line for at, line in enumerate(with_)]
        return lines, depth

    def _step(self, node: Node, depth: int) -> list[str]:
        lines = ["   " * max(0, depth - 1) + ("└─ " if depth else "") + node.label]
        details = list(_settings(node))
        if self._typed is not None:
            details.append(_columns(self._typed[id(node)]))
        return lines + ["   " * depth + "   " + detail for detail in details]


def _settings(step: Node) -> Sequence[str]:
    if isinstance(step, Read):
        time = step.time or "arrival"
        delay = "until the end" if step.delay_us is None else format_duration(step.delay_us)
        idle = "never" if step.idle_us is None else format_duration(step.idle_us)
        kind = step.format.name if step.format is not None else "found out from the first bytes"
        if step.source.format_hint == "frame":
            kind = "rows"
        ends = "ends by itself" if step.source.bounded else "live"
        return [f"format: {kind}; {ends}", f"event time: {time}, delay: {delay}, idle: {idle}"]
    return step.settings if isinstance(step, Stateful) else ()


def _columns(at: Typed) -> str:
    return "columns: " + ", ".join(f"{name} {dtype}" for name, dtype in at.columns.items())
