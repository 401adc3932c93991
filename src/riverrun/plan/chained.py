"""What the parts of the fluent front have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from riverrun.plan.nodes import Node

if TYPE_CHECKING:
    from riverrun.plan.stream import Stream


class Chained:
    """A part of `Stream`: methods that put one node more behind its last one."""

    __slots__ = ()

    node: Node

    def _with(self, node: Node) -> Stream:
        make = cast("type[Stream]", type(self))
        return make(node)
