"""Whole columns of instants at once, for the fast paths.

Every function gives the stored counts and, as a mask, the rows that it did not understand; the caller hands
those to the strict path (`riverrun.formats.timestamps`), which decides. What is understood here is
exactly what the strict path makes of it.

Why text is cut up by hand: Polars' own parser runs through chrono for anything with a fraction or a zone
(measured on 30,000 values: 350 ns each), but has a fast path for plain seconds (35 ns). A regular
expression that guards the layout (60 ns), the fast path for the first 19 characters, and integer casts for
the fraction and offset come to about 150 ns.
"""

from __future__ import annotations

import polars as pl

from riverrun.formats.timestamps import DATE, INSTANT, TimeColumn, in_zone

#: How many layouts of text one block may mix before the rest goes row by row.
_LAYOUTS = 6


def counts_of_integers(values: pl.Series, time: TimeColumn) -> tuple[pl.Series, pl.Series | None]:
    """Stored counts of epoch integers."""
    bad: pl.Series | None = None
    low, high = values.min(), values.max()
    if low is not None and high is not None and (low < time.low or high > time.high):  # type: ignore[operator]
        bad = ((values < time.low) | (values > time.high)).fill_null(False)
        values = pl.select(pl.when(~bad).then(values)).to_series()
    if time.stored_per_s > time.unit_per_s:
        values = values * (time.stored_per_s // time.unit_per_s)
    elif time.stored_per_s < time.unit_per_s:
        values = values // (time.unit_per_s // time.stored_per_s)
    return values, bad


def counts_of_floats(values: pl.Series, time: TimeColumn) -> tuple[pl.Series, pl.Series | None]:
    """Stored counts of epoch numbers with a fraction; meant for units of which 9999 years fit into 2**53."""
    good = values.is_finite() & (values >= time.low) & (values <= time.high)
    bad = (~good).fill_null(False)
    scaled = (values * (time.stored_per_s / time.unit_per_s) + 0.5).floor()
    # Close to the ends, and beyond 2**53, the strict path has the word.
    bad |= (scaled.abs() >= 2**53).fill_null(False)
    counts = pl.select(pl.when(~bad).then(scaled).cast(pl.Int64)).to_series()
    low, high = time.stored_low, time.stored_high
    bad |= ((counts < low) | (counts > high)).fill_null(False)
    return counts, bad if bad.any() else None


def counts_of_text(values: pl.Series, time: TimeColumn) -> tuple[pl.Series, pl.Series | None]:
    """Stored counts of text, layout by layout; numeric text is left to the strict path."""
    if time.is_date:
        return _counts_of_dates(values)
    counts: pl.Series | None = None
    open_rows = values.is_not_null()
    left = values
    for _ in range(_LAYOUTS):
        first = left.drop_nulls().first() if left.null_count() else left.first()
        layout = _layout_of(first) if isinstance(first, str) else None
        if layout is None:
            break
        found = _counts_in_layout(left, layout, time)
        counts = found if counts is None else pl.select(pl.coalesce(counts, found)).to_series()
        open_rows = values.is_not_null() & counts.is_null()
        if not open_rows.any() or found.null_count() == found.len():
            break
        left = pl.select(pl.when(open_rows).then(values)).to_series()
    if counts is None:
        counts = pl.Series(values.name, [None], dtype=pl.Int64).new_from_index(0, values.len())
    return counts, open_rows if open_rows.any() else None


class _Layout:
    """How one text is written: the separator, the number of fraction digits, the kind of zone."""

    def __init__(self, separator: str, digits: int, zone: str) -> None:
        self.separator, self.digits, self.zone = separator, digits, zone
        fraction = rf"\.[0-9]{{{digits}}}" if digits else ""
        zones = {"Z": "[Zz]", "offset": r"[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]", "": ""}
        day, clock = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
        self.pattern = f"^{day}{separator}{clock}{fraction}{zones[zone]}$"


def _layout_of(text: str) -> _Layout | None:
    match = INSTANT.fullmatch(text)
    if match is None or not text.isascii():
        return None
    fraction, zone = match.group(4) or "", match.group(5)
    kind = "" if zone is None else "Z" if zone in "Zz" else "offset"
    return _Layout(text[10], len(fraction), kind)


def _counts_in_layout(values: pl.Series, layout: _Layout, time: TimeColumn) -> pl.Series:
    """Counts of the values in exactly this layout, null for all others."""
    matching = values.str.contains(layout.pattern)
    if not matching.all():
        values = pl.select(pl.when(matching).then(values)).to_series()
    seconds = values.str.slice(0, 19).str.to_datetime(
        f"%Y-%m-%d{layout.separator}%H:%M:%S", time_unit="us", strict=False
    )
    if layout.zone == "":
        if time.column.zone is None:
            return seconds.cast(pl.Int64).clear(seconds.len())
        micros = seconds.cast(pl.Int64) if time.column.zone == "UTC" else in_zone(seconds, time.column.zone)
    else:
        micros = seconds.cast(pl.Int64)
    whole = micros // 1_000_000
    if layout.zone == "offset":
        whole -= _offsets_s(values)
    low, high = time.stored_low // time.stored_per_s + 1, time.stored_high // time.stored_per_s - 1
    inside = whole.is_between(low, high)
    if not inside.all():
        whole = pl.select(pl.when(inside).then(whole)).to_series()
    counts = whole * time.stored_per_s
    keep = min(layout.digits, len(str(time.stored_per_s)) - 1)
    if keep:
        part = values.str.slice(20, keep).cast(pl.Int64)
        counts += part * (time.stored_per_s // 10**keep)
    return counts


def _offsets_s(values: pl.Series) -> pl.Series:
    hours = values.str.slice(-5, 2).cast(pl.Int64)
    minutes = values.str.slice(-2, 2).cast(pl.Int64)
    sign = 1 - 2 * (values.str.slice(-6, 1) == "-").cast(pl.Int64)
    return (hours * 3600 + minutes * 60) * sign


def _counts_of_dates(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    matching = values.str.contains(rf"^{DATE.pattern}$") & ~values.str.starts_with("0000")
    dates = values if matching.all() else pl.select(pl.when(matching).then(values)).to_series()
    days = dates.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64)
    bad = values.is_not_null() & days.is_null()
    return days, bad if bad.any() else None
