"""The nodes that a plan is made of.

A node is a frozen description that points to the nodes its rows come from. Nodes are compared by identity:
two streams that begin at the same node share its work. Stateless nodes say what they mean as a function
from a lazy frame to a lazy frame; stateful ones are told apart in `riverrun.plan.stateful`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from riverrun.batch import HIDDEN_PREFIX, IMPUTED
from riverrun.limits import Limits
from riverrun.plan.kinds import fitting
from riverrun.plan.profile import cells
from riverrun.plan.repair import RepairTypes
from riverrun.plan.stateful import Inner, Stateful
from riverrun.ports import Format, Sink, Source
from riverrun.schema import Schema
from riverrun.words import shown

OnBad = Literal["dead_letter", "fail"]
FrameKind = Literal["polars", "pandas", "arrow", "numpy"]

VISIBLE = ~pl.selectors.starts_with(HIDDEN_PREFIX)
HIDDEN = pl.selectors.starts_with(HIDDEN_PREFIX)


@dataclass(frozen=True, eq=False, slots=True)
class Read:
    """Where rows come from, and how they are understood."""

    source: Source
    format: Format | None
    schema: Schema | None
    time: str | None
    delay_us: int | None
    idle_us: int | None
    on_bad: OnBad
    limits: Limits
    name: str

    @property
    def label(self) -> str:
        return f"read {self.source.url}"


@dataclass(frozen=True, eq=False, slots=True)
class Filter(Inner):
    predicates: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "filter " + ", ".join(shown(p) for p in self.predicates)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.filter(*self.predicates)


@dataclass(frozen=True, eq=False, slots=True)
class Select(Inner):
    exprs: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "select " + ", ".join(shown(e) for e in self.exprs)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select(*self.exprs, HIDDEN)


@dataclass(frozen=True, eq=False, slots=True)
class WithColumns(Inner):
    exprs: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "with_columns " + ", ".join(shown(e) for e in self.exprs)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(*self.exprs)


@dataclass(frozen=True, eq=False, slots=True)
class Drop(Inner):
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "drop " + ", ".join(self.columns)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.drop(*self.columns)


@dataclass(frozen=True, eq=False, slots=True)
class Rename(Inner):
    mapping: Mapping[str, str]

    @property
    def label(self) -> str:
        return "rename " + ", ".join(f"{old} to {new}" for old, new in self.mapping.items())

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.rename(dict(self.mapping))


@dataclass(frozen=True, eq=False, slots=True)
class Cast(Inner):
    dtypes: Mapping[str, pl.DataType]
    strict: bool

    @property
    def label(self) -> str:
        return "cast " + ", ".join(f"{name} to {dtype}" for name, dtype in self.dtypes.items())

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        dtypes: dict[Any, Any] = dict(self.dtypes)
        return rows.cast(dtypes, strict=self.strict)


@dataclass(frozen=True, eq=False, slots=True)
class DropNulls(Inner):
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "drop_nulls " + (", ".join(self.columns) or "in any column")

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.drop_nulls(list(self.columns) if self.columns else VISIBLE)


@dataclass(frozen=True, eq=False, slots=True)
class FillNull(Inner):
    value: Any
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        value = shown(self.value) if isinstance(self.value, pl.Expr) else self.value
        return f"fill_null {', '.join(self.columns) or 'all that can hold it'} with {value}"

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        names = self.columns or fitting(self.value, rows.collect_schema())
        chosen = pl.col(*names)
        filled = chosen.fill_null(self.value)
        imputed = (chosen.is_null() & filled.is_not_null()).cast(pl.UInt32)
        before = pl.col(f"^{IMPUTED}$")
        return rows.with_columns(filled, pl.sum_horizontal(imputed, before).cast(pl.UInt32).alias(IMPUTED))


@dataclass(frozen=True, eq=False, slots=True)
class Clip(Inner):
    """Values outside of the bounds set to the bound that they pass."""

    columns: tuple[str, ...]
    lower: Any
    upper: Any

    @property
    def label(self) -> str:
        bounds = [
            f"{word} {bound}" for word, bound in (("from", self.lower), ("to", self.upper)) if bound is not None
        ]
        return f"clip {', '.join(self.columns)} {' '.join(bounds)}"

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(pl.col(*self.columns).clip(self.lower, self.upper))


@dataclass(frozen=True, eq=False, slots=True)
class Explode(Inner):
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "explode " + ", ".join(self.columns)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.explode(*self.columns)


@dataclass(frozen=True, eq=False, slots=True)
class Cells(Inner):
    """Each row with a list of its values in some columns, to be exploded and told of column by column."""

    columns: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"profile {', '.join(self.columns)}"

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(cells(self.columns))


Expressed = (
    Filter
    | Select
    | WithColumns
    | Drop
    | Rename
    | Cast
    | DropNulls
    | FillNull
    | Clip
    | Explode
    | Cells
    | RepairTypes
)


@dataclass(frozen=True, eq=False, slots=True)
class MapFrames(Inner):
    """A function of the user's over whole frames."""

    function: Callable[[Any], Any]
    kind: FrameKind
    schema: Mapping[str, pl.DataType] | None

    @property
    def label(self) -> str:
        return f"map_frames {getattr(self.function, '__name__', self.function)} as {self.kind}"


@dataclass(frozen=True, eq=False, slots=True)
class Late(Inner):
    """The rows that came too late for its parent."""

    @property
    def label(self) -> str:
        return "late rows"

    @property
    def missed(self) -> Stateful:
        """The step that they were too late for."""
        assert isinstance(self.parent, Stateful)
        return self.parent


Node = Read | Expressed | MapFrames | Stateful | Late


def short_of(node: Node) -> str:
    """What a node is called where there is little room."""
    if isinstance(node, Stateful):
        return node.short
    if isinstance(node, (Select, WithColumns)):
        return f"{node.label.split(' ')[0]} {', '.join(_output_name(expr) for expr in node.exprs)}"
    return node.label


def _output_name(expr: pl.Expr) -> str:
    """The column that an expression makes; of expressions that make several, the expression."""
    return expr.meta.output_name(raise_if_undetermined=False) or shown(expr)


@dataclass(frozen=True, eq=False, slots=True)
class Output:
    """An end of a pipeline: rows go into a sink, or, without one, to the dashboard only."""

    node: Node
    sink: Sink | None

    @property
    def label(self) -> str:
        return f"write {self.sink.url}" if self.sink is not None else "show"


def parents_of(node: Node) -> tuple[Node, ...]:
    """The nodes that its rows come from; none for a source."""
    return () if isinstance(node, Read) else node.parents


def lineage(node: Node) -> Iterator[Node]:
    """A node and those before it, backwards, as far as each has one parent."""
    yield node
    while len(parents_of(node)) == 1:
        node = parents_of(node)[0]
        yield node


def walk(*nodes: Node) -> list[Node]:
    """The nodes and all that their rows come through, each once, parents before children."""
    found: dict[int, Node] = {}
    pending = [(node, False) for node in reversed(nodes)]
    while pending:
        node, parents_done = pending.pop()
        if id(node) in found:
            continue
        if parents_done:
            found[id(node)] = node
        else:
            pending.append((node, True))
            pending += [(parent, False) for parent in reversed(parents_of(node))]
    return list(found.values())


def sources_of(*nodes: Node) -> list[Read]:
    """The reads that rows of the nodes come from, each once."""
    return [node for node in walk(*nodes) if isinstance(node, Read)]
