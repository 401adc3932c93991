"""What sources share unless they say otherwise: no pace of their own, one partition at a time."""

from __future__ import annotations


class Unpaced:
    """A source whose rows are handed on as fast as they come."""

    __slots__ = ()

    @property
    def pace(self) -> float | None:
        """How many times faster than their event time the rows shall go; ``None``: as fast as they come."""
        return None

    @property
    def partitioned(self) -> bool:
        """Whether rows of several partitions come side by side."""
        return False
