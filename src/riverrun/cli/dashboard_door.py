"""Whether there can be a dashboard, and at which port."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from importlib.util import find_spec

from riverrun.world import TcpAddress, World

PACKAGES = ("starlette", "uvicorn", "bokeh")
#: So many ports are tried.
PORTS = 20


@dataclass(frozen=True, slots=True)
class Door:
    """Where the dashboard can be served, or why it cannot."""

    address: str | None
    trouble: str = ""


def missing_package() -> str | None:
    """The first package of the extra ``dashboard`` that is not installed."""
    return next((name for name in PACKAGES if find_spec(name) is None), None)


def open_door(asked_for: str, *, asked: bool, world: World) -> Door:
    """The address to serve at: the one asked for, or, for the default, the first port that is free.

    Without the packages there is none; that is trouble worth a word, but no reason not to go on.
    """
    missing = missing_package()
    if missing is not None:
        return Door(
            None, f"no dashboard: it needs the package {missing!r}\n  try: pip install 'riverrun[dashboard]'"
        )
    return Door(asked_for if asked else free_address(asked_for, world))


def free_address(wanted: str, world: World) -> str:
    """`wanted`, or the same with the next port that nobody listens at; port 0 when all are taken."""
    host, _, port = wanted.rpartition(":")
    for candidate in range(int(port), int(port) + PORTS):
        try:
            world.network.listen(TcpAddress(host, candidate)).close()
        except OSError:
            continue
        return f"{host}:{candidate}"
    return f"{host}:0"


def warm_up() -> None:
    """Load the dashboard's packages while the first rows are waited for: that takes a second."""
    if missing_package() is not None:
        return

    def load() -> None:
        for module in ("app", "assets", "feed", "server", "page", "figures"):
            importlib.import_module(f"riverrun.dashboard.{module}")

    threading.Thread(target=load, name="riverrun-warm-up", daemon=True).start()
