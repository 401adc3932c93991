"""What sources share unless they say otherwise."""

from __future__ import annotations


class Defaults:
    """A source whose rows come once, in one partition, and are handed on as fast as they come."""

    __slots__ = ()

    @property
    def pace(self) -> float | None:
        """How many times faster than their event time the rows shall go; ``None``: as fast as they come."""
        return None

    @property
    def partitioned(self) -> bool:
        """Whether rows of several partitions come side by side."""
        return False

    @property
    def replayable(self) -> bool:
        """Whether what was read can be read again after a restart."""
        return False

    @property
    def acknowledges(self) -> bool:
        """Whether senders are told what is safe."""
        return False
