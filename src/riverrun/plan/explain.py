"""A plan as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from riverrun.clock import format_duration
from riverrun.plan.nodes import Node, Output, Read, parents_of, sources_of
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.plan.typing import typed_all
from riverrun.ports import guarantee_of


def explain(node: Node) -> str:
    """Every step from the source on, a line each, with the columns behind it where they are known.

    A step with several inputs stands below the first of them; the others follow it, each from its own
    source on. A step that is told already is referred to by its number.
    """
    return "\n".join(_Telling(node).lines())


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
        self._node = node
        known = {read: read.schema for read in sources_of(node) if read.schema is not None}
        complete = all(read in known for read in sources_of(node))
        self._typed: Mapping[int, Typed] | None = typed_all((node,), known) if complete else None
        self._told: dict[int, str] = {}

    def lines(self) -> Iterator[str]:
        lines, _ = self._branch(self._node)
        yield from lines

    def _branch(self, node: Node) -> tuple[list[str], int]:
        """The lines of a node and all before it, and how deep the node itself stands."""
        if id(node) in self._told:
            return [f"{self._told[id(node)]}, as above"], 0
        self._told[id(node)] = node.label
        first, *others = parents_of(node) or (None,)
        if first is None:
            return self._step(node, 0), 0
        lines, depth = self._branch(first)
        for other in others:
            branch, at = self._branch(other)
            lines += branch
            depth = max(depth, at)
        return lines + self._step(node, depth + 1), depth + 1

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
