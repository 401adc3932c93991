"""Slow, obvious references for the aggregates: each takes a frame and returns the value that is right."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from itertools import pairwise


def values(rows, name="x"):
    return [value for value in rows[name].to_list() if value is not None]


def or_null(function):
    return lambda rows, *names: function(values(rows)) if values(rows) else None


def pairs(rows):
    return [(x, y) for x, y in rows.select("x", "y").iter_rows() if x is not None and y is not None]


def covariance(rows):
    both = pairs(rows)
    if not both:
        return None
    mx, my = (math.fsum(column) / len(both) for column in zip(*both, strict=True))
    return math.fsum((x - mx) * (y - my) for x, y in both) / len(both)


def correlation(rows):
    both = pairs(rows)
    xs, ys = ([item[at] for item in both] for at in (0, 1))
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    return statistics.correlation(xs, ys)


def weighted(rows):
    both = pairs(rows)
    total = math.fsum(w for _, w in both)
    return math.fsum(x * w for x, w in both) / total if total else None


def quantile(q):
    def reference(rows):
        ordered = sorted(values(rows))
        if not ordered:
            return None
        rank = (len(ordered) - 1) * q
        low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        return low + (high - low) * (rank - math.floor(rank))

    return reference


def open_high_low_close(rows):
    xs = values(rows)
    parts = (xs[0], max(xs), min(xs), xs[-1]) if xs else (None,) * 4
    return dict(zip(("open", "high", "low", "close"), parts, strict=True))


def shape(power, bias=True):
    """The standardised third or fourth central moment, and the estimates of Joanes and Gill (1998)."""

    def reference(rows):
        xs = values(rows)
        n = len(xs)
        if len(set(xs)) < 2 or (not bias and n < power):
            return None
        mean = math.fsum(xs) / n
        second, higher = (math.fsum((x - mean) ** p for x in xs) / n for p in (2, power))
        if power == 3:
            g1 = higher / second**1.5
            return g1 if bias else g1 * math.sqrt(n * (n - 1)) / (n - 2)
        g2 = higher / second**2 - 3
        return g2 if bias else (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g2 + 6)

    return reference


def line(rows):
    both = [(x, y) for y, x in pairs(rows)]  # x is explained by y here, as the call says
    ys = [y for _, y in both]
    if len({x for x, _ in both}) < 2:
        return {"slope": None, "intercept": None, "r2": None}
    found = statistics.linear_regression([x for x, _ in both], ys)
    r = None if len(set(ys)) < 2 else statistics.correlation([x for x, _ in both], ys)
    return {"slope": found.slope, "intercept": found.intercept, "r2": None if r is None else r * r}


def autocorrelation(lag):
    def reference(rows):
        xs = values(rows)
        if len(xs) <= lag or len(set(xs)) < 2:
            return None
        mean = math.fsum(xs) / len(xs)
        off = [x - mean for x in xs]
        return math.fsum(a * b for a, b in zip(off, off[lag:], strict=False)) / math.fsum(o * o for o in off)

    return reference


def decayed(half_life_s, deviation=False):
    """Row i is of second i."""

    def reference(rows):
        timed = [(at, x) for at, x in enumerate(rows["x"].to_list()) if x is not None]
        if not timed:
            return None
        last = timed[-1][0]
        weights = [2 ** (-(last - at) / half_life_s) for at, _ in timed]
        total = math.fsum(weights)
        mean = math.fsum(w * x for w, (_, x) in zip(weights, timed, strict=True)) / total
        if not deviation:
            return mean
        return math.sqrt(
            math.fsum(w * (x - mean) ** 2 for w, (_, x) in zip(weights, timed, strict=True)) / total
        )

    return reference


def most_frequent(k):
    def reference(rows):
        counted = sorted(Counter(values(rows)).items(), key=lambda item: (-item[1], item[0]))
        return [{"value": value, "count": count} for value, count in counted[:k]] or None

    return reference


def binned(edges):
    def reference(rows):
        xs = values(rows)
        if not xs:
            return None
        last = edges[-1]
        return {
            "under": sum(x < edges[0] for x in xs),
            "counts": [sum(low <= x < high or x == high == last for x in xs) for low, high in pairwise(edges)],
            "over": sum(x > last for x in xs),
        }

    return reference


def several(*qs):
    def reference(rows):
        return [quantile(q)(rows) for q in qs] if values(rows) else None

    return reference


def between_quartiles(rows):
    return quantile(0.75)(rows) - quantile(0.25)(rows) if values(rows) else None


def median_deviation(rows):
    xs = values(rows)
    return statistics.median(abs(x - statistics.median(xs)) for x in xs) if xs else None


def complete(rows):
    return [row for row in rows.rows() if None not in row]


def covariances(rows):
    """Over the rows in which nothing is null."""
    columns = list(zip(*complete(rows), strict=True))
    n = len(complete(rows))
    means = [math.fsum(column) / n for column in columns]
    return [
        [
            math.fsum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / n
            for ys, my in zip(columns, means, strict=True)
        ]
        for xs, mx in zip(columns, means, strict=True)
    ] or None


def correlations(rows):
    cov = covariances(rows)
    if cov is None:
        return None
    return [
        [
            None if not cov[i][i] or not cov[j][j] else cov[i][j] / math.sqrt(cov[i][i]) / math.sqrt(cov[j][j])
            for j in range(len(cov))
        ]
        for i in range(len(cov))
    ]
