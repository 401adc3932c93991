"""The live dashboard: a small web page made from the plan, with nothing loaded from elsewhere."""

from __future__ import annotations

from riverrun.dashboard.dashboard import Dashboard

__all__ = ["Dashboard"]
