"""The aggregates there are, by name."""

from __future__ import annotations

from collections.abc import Callable

import riverrun
from riverrun.stats.aggregate import Aggregate


def aggregates() -> dict[str, Callable[..., Aggregate]]:
    """What `.agg(name=...)` takes: the public functions of the packages of statistics."""
    found = {name: getattr(riverrun, name) for name in riverrun.__all__}
    return {
        name: thing
        for name, thing in found.items()
        if getattr(thing, "__module__", "").startswith("riverrun.stats.") and not isinstance(thing, type)
    }
