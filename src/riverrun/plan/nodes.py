"""The closed set of nodes that a plan is made of.

A node is a frozen description that points to the node its rows come from. Nodes are compared by identity:
two streams that begin at the same node share its work. Stateless nodes say what they mean as a function
from a lazy frame to a lazy frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from riverrun.batch import HIDDEN_PREFIX
from riverrun.limits import Limits
from riverrun.ports import Format, Sink, Source
from riverrun.schema import Schema
from riverrun.stats.aggregate import Aggregate
from riverrun.windows.describe import Window
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
class Filter:
    parent: Node
    predicates: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "filter " + ", ".join(shown(p) for p in self.predicates)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.filter(*self.predicates)


@dataclass(frozen=True, eq=False, slots=True)
class Select:
    parent: Node
    exprs: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "select " + ", ".join(shown(e) for e in self.exprs)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select(*self.exprs, HIDDEN)


@dataclass(frozen=True, eq=False, slots=True)
class WithColumns:
    parent: Node
    exprs: tuple[pl.Expr, ...]

    @property
    def label(self) -> str:
        return "with_columns " + ", ".join(shown(e) for e in self.exprs)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(*self.exprs)


@dataclass(frozen=True, eq=False, slots=True)
class Drop:
    parent: Node
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "drop " + ", ".join(self.columns)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.drop(*self.columns)


@dataclass(frozen=True, eq=False, slots=True)
class Rename:
    parent: Node
    mapping: Mapping[str, str]

    @property
    def label(self) -> str:
        return "rename " + ", ".join(f"{old} to {new}" for old, new in self.mapping.items())

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.rename(dict(self.mapping))


@dataclass(frozen=True, eq=False, slots=True)
class Cast:
    parent: Node
    dtypes: Mapping[str, pl.DataType | type[pl.DataType]]
    strict: bool

    @property
    def label(self) -> str:
        return "cast " + ", ".join(f"{name} to {dtype}" for name, dtype in self.dtypes.items())

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        dtypes: dict[Any, Any] = dict(self.dtypes)
        return rows.cast(dtypes, strict=self.strict)


@dataclass(frozen=True, eq=False, slots=True)
class DropNulls:
    parent: Node
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "drop_nulls " + (", ".join(self.columns) or "in any column")

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.drop_nulls(list(self.columns) if self.columns else VISIBLE)


@dataclass(frozen=True, eq=False, slots=True)
class FillNull:
    parent: Node
    value: Any
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        value = shown(self.value) if isinstance(self.value, pl.Expr) else self.value
        return f"fill_null {', '.join(self.columns) or 'all columns'} with {value}"

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        chosen = pl.col(*self.columns) if self.columns else VISIBLE.as_expr()
        return rows.with_columns(chosen.fill_null(self.value))


@dataclass(frozen=True, eq=False, slots=True)
class Explode:
    parent: Node
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return "explode " + ", ".join(self.columns)

    def on(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.explode(*self.columns)


Expressed = Filter | Select | WithColumns | Drop | Rename | Cast | DropNulls | FillNull | Explode


@dataclass(frozen=True, eq=False, slots=True)
class MapFrames:
    """A function of the user's over whole frames."""

    parent: Node
    function: Callable[[Any], Any]
    kind: FrameKind
    schema: Mapping[str, pl.DataType] | None

    @property
    def label(self) -> str:
        return f"map_frames {getattr(self.function, '__name__', self.function)} as {self.kind}"


@dataclass(frozen=True, eq=False, slots=True)
class Key:
    """A grouping key: its name in results and the expression it comes from."""

    name: str
    expr: pl.Expr


@dataclass(frozen=True, eq=False, slots=True)
class WindowAggregate:
    """Aggregates by key and window.

    Parameters
    ----------
    emit : ``"final"``: when a window closes; ``"batch"``: also after every batch; a number: also after so
        many microseconds, by the clock.
    """

    parent: Node
    keys: tuple[Key, ...]
    window: Window
    lateness_us: int
    emit: Literal["final", "batch"] | int
    aggregates: Mapping[str, Aggregate]

    @property
    def revisions(self) -> bool:
        """Whether a result may come more than once."""
        return self.lateness_us > 0 or self.emit != "final"

    @property
    def label(self) -> str:
        keys = ", ".join(key.name for key in self.keys) or "everything"
        aggregates = ", ".join(f"{name}={a.label}" for name, a in self.aggregates.items())
        return f"aggregate {aggregates} by {keys} over {self.window}"

    @property
    def short(self) -> str:
        """The label without the aggregates, which may be many."""
        keys = f"by {', '.join(key.name for key in self.keys)}, " if self.keys else ""
        return f"aggregate {keys}{self.window.short}"


@dataclass(frozen=True, eq=False, slots=True)
class Late:
    """The rows that came too late for the windows of its parent."""

    parent: WindowAggregate

    @property
    def label(self) -> str:
        return "late rows"


Node = Read | Expressed | MapFrames | WindowAggregate | Late


def short_of(node: Node) -> str:
    """What a node is called where there is little room."""
    if isinstance(node, WindowAggregate):
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


def sources_of(node: Node) -> list[Read]:
    """The reads that rows of a node come from."""
    while not isinstance(node, Read):
        node = node.parent
    return [node]


def chain_of(node: Node) -> list[Node]:
    """A node and all that its rows come through, from the source on."""
    chain: list[Node] = [node]
    while not isinstance(chain[-1], Read):
        chain.append(chain[-1].parent)
    return chain[::-1]
