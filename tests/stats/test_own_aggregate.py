"""Aggregates that users write: what works, and what is said about those that do not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl
import pytest

import riverrun as rr
from riverrun.testing import check_aggregate_laws


@dataclass(frozen=True)
class PowerMean(rr.Aggregate):
    """(Σxᵖ/n)^(1/p), with an option beside the column."""

    x: str
    power: int = 2
    nan: str = "propagate"
    reads = ("x",)

    def partial(self, x):
        return {"n": x.count(), "powers": x.pow(self.power).sum()}

    def merge(self, n, powers):
        return {"n": n.sum(), "powers": powers.sum()}

    def result(self, n, powers):
        return pl.when(n > 0).then((powers / n).pow(1 / self.power))


@dataclass(frozen=True)
class LongestText(rr.Aggregate):
    text: str
    reads = ("text",)
    accepts = "anything"

    def partial(self, text):
        return {"length": text.str.len_chars().max()}

    def merge(self, length):
        return {"length": length.max()}

    def result(self, length):
        return length


def agg(rows, **aggregates):
    return rr.read(rows).group_by().window(rr.tumbling("1h")).agg(**aggregates)


def test_keeps_the_laws_of_merging():
    rows = {"x": [1.0, None, 7.0, 2.5, 4.0]}

    def reference(frame):
        xs = frame["x"].drop_nulls().to_list()
        return math.sqrt(math.fsum(x * x for x in xs) / len(xs)) if xs else None

    check_aggregate_laws(PowerMean("x"), rows, reference=reference)
    check_aggregate_laws(LongestText("x"), {"x": ["a", None, "ccc", "bb"]})


def test_options_set_partials_apart():
    got = agg({"x": [1.0, 2.0]}, a=PowerMean("x", 1), b=PowerMean("x", 2), c=PowerMean("x", 3))
    row = got.collect().row(0, named=True)
    assert [row[name] for name in "abc"] == pytest.approx([1.5, math.sqrt(2.5), 4.5 ** (1 / 3)])


def test_nan_is_as_for_others():
    rows = {"x": [1.0, math.nan, 1.0]}
    row = agg(rows, a=PowerMean("x"), b=PowerMean("x", nan="ignore")).collect().row(0, named=True)
    assert math.isnan(row["a"])
    assert row["b"] == 1.0


def test_the_built_in_ones_are_aggregates_too():
    assert isinstance(rr.mean("x"), rr.Aggregate)
    assert PowerMean("x").label == "PowerMean('x')"


def test_columns_are_checked():
    with pytest.raises(rr.PlanError, match="PowerMean\\('x'\\) needs numbers, and this input is String"):
        agg({"x": ["a"]}, a=PowerMean("x")).collect()
    with pytest.raises(rr.PlanError, match="there is no column 'y'"):
        agg({"x": [1.0]}, a=PowerMean("y")).collect()


def test_other_parts_than_those_that_were_kept():
    class Forgetful(PowerMean):
        def merge(self, n, powers):
            return {"n": n.sum()}

    with pytest.raises(
        rr.PlanError, match=r"merge\(\) gives n: UInt32, and must give .* n: UInt32, powers: Float64"
    ):
        agg({"x": [1.0]}, a=Forgetful("x")).collect()


def test_parts_that_change_their_type():
    class Widening(PowerMean):
        def merge(self, n, powers):
            return {"n": n.sum().cast(pl.Float64), "powers": powers.sum()}

    with pytest.raises(rr.PlanError, match="cast the parts"):
        agg({"x": [1.0]}, a=Widening("x")).collect()


def test_a_missing_method():
    @dataclass(frozen=True)
    class Half(rr.Aggregate):
        x: str
        reads = ("x",)

        def partial(self, x):
            return {"sum": x.sum()}

    with pytest.raises(rr.PlanError, match=r"Half has no method merge\(\)"):
        agg({"x": [1.0]}, a=Half("x")).collect()


def test_a_class_that_is_no_dataclass():
    class Plain(rr.Aggregate):
        reads = ("x",)
        x = "x"

    with pytest.raises(rr.PlanError, match="Plain is not a dataclass"):
        agg({"x": [1.0]}, a=Plain()).collect()


def test_expressions_that_cannot_be_used():
    class Wrong(PowerMean):
        def partial(self, x):
            return {"n": x.count(), "powers": x.str.len_chars().sum()}

    with pytest.raises(rr.PlanError, match="its expressions cannot be used"):
        agg({"x": [1.0]}, a=Wrong("x")).collect()
