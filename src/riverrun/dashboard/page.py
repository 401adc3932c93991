"""The description of the page, taken from the views: what to show and how it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from riverrun.charts.view import View
from riverrun.dashboard import wire
from riverrun.dashboard.figures import chart_items
from riverrun.dashboard.history import Bounds, value_columns


def describe_page(title: str, views: Sequence[View], *, exposed: bool, bounds: Bounds) -> dict[str, Any]:
    """What the page's script builds everything from.

    Parameters
    ----------
    exposed : whether other machines can see this page without a login, which the page then says.
    """
    return {
        "title": title,
        "exposed": exposed,
        "points": bounds.points,
        "views": [_describe_view(view) for view in views],
        "charts": [item for view in views for item in chart_items(view)],
    }


def _describe_view(view: View) -> dict[str, Any]:
    return {
        "id": view.id,
        "title": view.title,
        "time": view.time,
        "keys": view.keys,
        "windowed": view.windowed,
        "every_us": view.every_us,
        "columns": value_columns(view),
        "statistics": view.statistics,
        "correlations": [{"statistic": item.statistic, "x": item.x, "y": item.y} for item in view.correlations],
    }


def fingerprint(title: str, views: Sequence[View]) -> str:
    """Tells one page description from another, so that a page that outlived its server knows to reload."""
    return hashlib.sha256(wire.dumps([title, [_describe_view(view) for view in views]])).hexdigest()[:16]
