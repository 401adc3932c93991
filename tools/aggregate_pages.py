"""The reference of aggregates: a page for all, and one for each family with its cost and accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.reference_text import UndocumentedError, docstring_of, markdown, table

#: Made by ``python -m benchmarks.aggregates``.
FIGURES = Path(__file__).resolve().parents[1] / "benchmarks" / "figures" / "aggregates.json"


@dataclass(frozen=True, slots=True)
class Family:
    """Aggregates that belong together, on a page of their own."""

    page: str
    title: str
    intro: str
    names: tuple[str, ...]


FAMILIES = (
    Family(
        "sums",
        "Counts and sums",
        "What is simply added up.",
        ("count", "null_count", "sum", "rate", "weighted_mean"),
    ),
    Family(
        "moments",
        "Moments",
        "Means, spreads and relations, from partials that are merged by the formulas of Chan, Golub and "
        "LeVeque (1979) and Pébay (2008). Sums of squares are never formed and nothing is ever taken away "
        "from a partial: [accuracy](../../accuracy.md) has the measurements, "
        "[which engine](../../which-engine.md) those of others.",
        ("mean", "var", "std", "sem", "skew", "kurtosis", "geometric_mean", "cov", "corr", "regression"),
    ),
    Family(
        "order",
        "Order of time",
        "What depends on the order of event time. Rows may arrive in any order; of equal times the one that "
        "came first counts as earlier.",
        ("first", "last", "ohlc", "collect", "autocorr"),
    ),
    Family(
        "quantiles",
        "Extremes and quantiles",
        "Smallest, largest, and what lies between.",
        ("min", "max", "range", "median", "quantile", "quantiles", "iqr", "mad", "histogram"),
    ),
    Family(
        "frequencies",
        "Distinct and frequent values",
        "How many different values there are, and which come most often.",
        ("n_unique", "n_unique_exact", "top_k", "mode"),
    ),
    Family(
        "decayed",
        "Time-weighted",
        "What counts less the older it is.",
        ("ewm_mean", "ewm_std"),
    ),
    Family(
        "matrices",
        "Matrices",
        "Covariances and correlations of many columns at once.",
        ("cov_matrix", "corr_matrix"),
    ),
    Family(
        "own",
        "Your own",
        "How to write an aggregate, step by step: [an aggregate of your own](../../own-aggregates.md).",
        ("Aggregate",),
    ),
)

_COSTS = (
    "CPU time for a row beside that of `mean` in the same run (unsorted text keys, 100 groups, batches of "
    "50,000 rows), and bytes of merged state for a group of 5,000 rows, its key among them; the worst "
    "error over all reference data, random splits and orders of merging. Measured by "
    "`python -m benchmarks.aggregates`."
)


def pages(names: Mapping[str, Any], describe: Callable[[str, object, str], str]) -> dict[str, str]:
    """All pages by file name. Raises `UndocumentedError` for an aggregate that is in no family."""
    placed = [name for family in FAMILIES for name in family.names]
    if missing := sorted(set(names) ^ set(placed)):
        raise UndocumentedError(f"tools/aggregate_pages.py and the aggregates differ: {', '.join(missing)}")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    made = {"aggregates.md": _overview(names)}
    for family in FAMILIES:
        own = {name: names[name] for name in family.names}
        text = f"# {family.title}\n\n{family.intro}\n\n" + _figures(family, figures)
        made[f"aggregates/{family.page}.md"] = text + "\n".join(_entry(item, describe) for item in own.items())
    return made


def _overview(names: Mapping[str, Any]) -> str:
    text = "# Aggregates\n\nWhat `.agg(name=...)` takes. `x` is a column name or a Polars expression.\n\n"
    for family in FAMILIES:
        rows = [
            (
                f"[`{name}`](aggregates/{family.page}.md#rr{name.lower()})",
                markdown(docstring_of(names[name], name)).splitlines()[0],
            )
            for name in family.names
        ]
        text += f"## [{family.title}](aggregates/{family.page}.md)\n\n{table(('name', 'what'), rows)}\n"
    return text


def _entry(item: tuple[str, object], describe: Callable[[str, object, str], str]) -> str:
    name, thing = item
    if isinstance(thing, type):
        # Its methods are there for the engine; what users write is told in its docstring.
        return f"### `rr.{name}`\n\n{markdown(docstring_of(thing, name))}\n"
    return describe(name, thing, "rr.")


def _figures(family: Family, figures: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for name in family.names:
        if name in figures:
            error = figures[name].get("worst_error")
            shown = "" if error is None else f"{error:.0e}" if error else "0"
            rows.append(
                (
                    f"`{name}`",
                    f"{figures[name]['times_mean']:g}",
                    f"{figures[name]['bytes_per_group']:,.0f}",
                    shown,
                )
            )
    if not rows:
        return ""
    head = ("aggregate", "time, as times that of `mean`", "bytes for a group", "worst error")
    return f"## Cost and accuracy\n\n{_COSTS}\n\n{table(head, rows)}\n"
