"""How much memory the process holds."""

from __future__ import annotations

import resource
import sys


def resident_bytes() -> int:
    """The resident set: what is held now on Linux, the most ever held elsewhere."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
