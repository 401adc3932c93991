"""The live charts, declared with ``bokeh.plotting``; the page fills them with data and colours."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from bokeh.embed import json_item
from bokeh.models import BasicTicker, ColumnDataSource, DatetimeTicker, DatetimeTickFormatter, Range1d
from bokeh.plotting import figure

from riverrun.charts.view import View

HEIGHT_PX = 210

#: How Bokeh names its models in JSON.
_ID = re.compile(r'"(p\d+)"')


def chart_items(view: View) -> list[dict[str, Any]]:
    """One figure per statistic of a view, as JSON that BokehJS can embed."""
    return [
        {"view": view.id, "statistic": name, "item": _copy_of_chart(f"{view.id}-{number}")}
        for number, name in enumerate(view.statistics)
    ]


def _copy_of_chart(prefix: str) -> Any:
    """A chart with ids of its own. To declare each anew takes 40 ms, on which the first paint would wait."""
    return json.loads(_ID.sub(rf'"{prefix}-\1"', _template()))


@cache
def _template() -> str:
    return json.dumps(_line_chart())


def _line_chart() -> Any:
    """All keys are lines of one glyph: a glyph per key costs BokehJS three times the time."""
    data = ColumnDataSource({"xs": [], "ys": [], "color": [], "alpha": [], "width": []}, name="lines")
    chart = figure(
        height=HEIGHT_PX,
        sizing_mode="stretch_width",
        # Explicit ranges: automatic ones look at every point on each change.
        x_range=Range1d(start=0, end=1),
        y_range=Range1d(start=0, end=1),
        x_axis_type="datetime",
        tools="",
        toolbar_location=None,
        min_border_left=58,
        min_border_right=14,
        min_border_top=6,
        min_border_bottom=38,
        output_backend="canvas",
    )
    chart.multi_line(
        "xs", "ys", source=data, line_color="color", line_alpha="alpha", line_width="width", line_join="bevel"
    )
    chart.xaxis.formatter = DatetimeTickFormatter(
        milliseconds="%H:%M:%S.%3N",
        seconds="%H:%M:%S",
        minsec="%H:%M:%S",
        minutes="%H:%M",
        hourmin="%H:%M",
        hours="%H:%M",
        days="%d %b",
        months="%b %Y",
        years="%Y",
        context=DatetimeTickFormatter(
            microseconds="%d %b %Y", milliseconds="%d %b %Y", seconds="%d %b %Y", minsec="%d %b %Y",
            minutes="%d %b %Y", hourmin="%d %b %Y", hours="%d %b %Y", days="%Y", months="", years="",
        ),
        context_which="start",
        hide_repeats=True,
    )  # fmt: skip
    chart.xaxis.ticker = DatetimeTicker(desired_num_ticks=5)
    chart.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    for axis in (*chart.xaxis, *chart.yaxis):
        axis.minor_tick_line_color = None
        axis.major_tick_line_color = None
        axis.axis_line_color = None
    chart.xgrid.grid_line_color = None
    chart.outline_line_color = None
    chart.background_fill_color = None
    chart.border_fill_color = None
    return json_item(chart)
