"""What an operator is made with."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.plan.typed import Typed


@dataclass(frozen=True, slots=True)
class Opening:
    """What an operator is made with, beside its node.

    Parameters
    ----------
    before : the columns of each input.
    after : the columns that the node makes.
    places : the positions of the inputs among all steps.
    max_keys : how many keys the state may hold.
    one_partition : whether its rows have a single order, so that the watermark of a row's partition is that
        of the stream.
    delay_us : how far the watermark stays behind the newest row, where there is one partition; ``None``: there
        is none before the end of the input, or there are several partitions.
    """

    before: tuple[Typed, ...]
    after: Typed
    places: tuple[int, ...]
    max_keys: int
    one_partition: bool
    delay_us: int | None = None
