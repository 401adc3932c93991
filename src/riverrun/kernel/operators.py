"""Which operator runs a stateful node: one line for each kind of node.

Operators are loaded by the first plan that needs them: all of them together take a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from riverrun.kernel.cleaning_operators import CLEANING
from riverrun.kernel.fixed_windows import ROWS_OF_GROUP, FixedWindows
from riverrun.kernel.opening import Opening
from riverrun.kernel.operator import JoinOperator, Operator
from riverrun.kernel.window_frame import WindowFrame
from riverrun.plan.joins import AsofJoin, IntervalJoin, Join, WindowJoin, right_names
from riverrun.plan.lookup import KeyedLookup, Lookup
from riverrun.plan.stateful import Stateful
from riverrun.plan.typed import Typed
from riverrun.plan.union import Union
from riverrun.plan.window_aggregate import WindowAggregate
from riverrun.stats.counting import count
from riverrun.stats.program import Program
from riverrun.windows.describe import Counting, Fixed, Session, Trailing

if TYPE_CHECKING:
    from riverrun.kernel.asof_join import AsofMatches
    from riverrun.kernel.interval_join import IntervalPairs
    from riverrun.kernel.join_rows import Side
    from riverrun.kernel.quality_windows import ClosingWindows
    from riverrun.kernel.union import UnionRows
    from riverrun.kernel.window_join import WindowPairs

AnyOperator = Operator[Any] | JoinOperator[Any]


def open_operator(node: Stateful, opening: Opening) -> AnyOperator:
    """The operator that runs a node."""
    return OPERATORS[type(node)](node, opening)


def _window_aggregate(node: WindowAggregate, opening: Opening) -> Operator[Any]:
    frame = _window_frame(node, opening)
    aggregates, columns = node.program(opening.before[0])
    if isinstance(node.window, Fixed) and node.keys:
        aggregates = {**aggregates, ROWS_OF_GROUP: count()}
    program = Program(aggregates, columns)
    if isinstance(node.window, Trailing):
        return _trailing(node.window, frame, program, opening.max_keys)
    windows = _closing_windows(node, node.window, frame, program, opening)
    if not node.quality:
        return windows
    from riverrun.kernel.quality_windows import QualityWindows

    return QualityWindows(windows, frame)


def _trailing(window: Trailing, frame: WindowFrame, program: Program, max_keys: int) -> Operator[Any]:
    from riverrun.kernel.rolling import RollingWindows, can_be_summed
    from riverrun.stats.paired import can_be_paired

    if window.period_us is not None and can_be_summed(program):
        return RollingWindows(window, frame, program, max_keys=max_keys)
    if can_be_paired(program):
        from riverrun.kernel.paired_trailing import PairedTrailing

        return PairedTrailing(window, frame, program, max_keys=max_keys)
    if window.period_us is not None:
        from riverrun.kernel.stretches import StretchWindows

        return StretchWindows(window, frame, program, max_keys=max_keys)
    from riverrun.kernel.trailing import TrailingWindows

    return TrailingWindows(window, frame, program, max_keys=max_keys)


def _window_frame(node: WindowAggregate, opening: Opening) -> WindowFrame:
    (before,) = opening.before
    assert before.time is not None
    return WindowFrame(
        columns=tuple(before.columns),
        keys=tuple(key.name for key in node.keys),
        key_exprs=tuple(key.expr for key in node.keys),
        time=before.time,
        time_shift_us=before.time_shift_us,
        revisions=node.revisions,
        quality=node.quality,
    )


def _closing_windows(
    node: WindowAggregate,
    window: Fixed | Session | Counting,
    frame: WindowFrame,
    program: Program,
    opening: Opening,
) -> ClosingWindows[Any]:
    early = node.emit != "final"
    if isinstance(window, Fixed):
        return FixedWindows(
            window,
            frame,
            program,
            lateness_us=node.lateness_us,
            early_results=early,
            max_keys=opening.max_keys,
        )
    if isinstance(window, Counting):
        from riverrun.kernel.counting import CountingWindows

        return CountingWindows(window, frame, program, max_keys=opening.max_keys)
    if window.maximum_us is not None:
        from riverrun.kernel.bounded_sessions import BoundedSessions

        return BoundedSessions(window, frame, program, max_keys=opening.max_keys)
    from riverrun.kernel.sessions import SessionWindows

    return SessionWindows(
        window,
        frame,
        program,
        lateness_us=node.lateness_us,
        early_results=early,
        max_keys=opening.max_keys,
        delay_us=opening.delay_us,
    )


def _union(node: Union, opening: Opening) -> UnionRows:
    from riverrun.kernel.union import UnionRows

    del node
    return UnionRows(tuple(opening.after.columns), opening.places)


def _sides(node: Join, opening: Opening) -> tuple[Side, Side, Mapping[str, str]]:
    from riverrun.kernel.join_rows import Side

    left, right = opening.before
    return Side(left, node.on), Side(right, node.on), right_names(left, right, node.on)


def _asof_join(node: AsofJoin, opening: Opening) -> AsofMatches:
    from riverrun.kernel.asof_join import AsofMatches

    left, right, names = _sides(node, opening)
    return AsofMatches(
        left,
        right,
        node.span,
        names,
        direction=node.direction,
        exact=node.exact,
        max_keys=opening.max_keys,
    )


def _interval_join(node: IntervalJoin, opening: Opening) -> IntervalPairs:
    from riverrun.kernel.interval_join import IntervalPairs

    left, right, names = _sides(node, opening)
    return IntervalPairs(left, right, node.span, names, outer=node.how == "left")


def _window_join(node: WindowJoin, opening: Opening) -> WindowPairs:
    from riverrun.kernel.window_join import FixedWindowPairs, SessionPairs

    left, right, names = _sides(node, opening)
    outer = node.how == "left"
    if isinstance(node.window, Fixed):
        return FixedWindowPairs(node.window, left, right, names, outer=outer)
    assert isinstance(node.window, Session)
    return SessionPairs(node.window, left, right, names, outer=outer)


def _lookup(node: Lookup, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.lookup import TableLookup

    (before,) = opening.before
    return TableLookup(
        node.on,
        node.columns,
        right_names(before, Typed(node.columns, None), node.on),
        outer=node.how == "left",
        fixed=node.table if isinstance(node.table, pl.DataFrame) else None,
        ttl_us=node.ttl_us,
        name=node.label,
    )


def _keyed_lookup(node: KeyedLookup, opening: Opening) -> Operator[Any]:
    from riverrun.kernel.keyed_lookup import KeyedAnswers

    (before,) = opening.before
    return KeyedAnswers(
        node.on,
        before.columns[node.on],
        node.columns,
        right_names(before, node.right(before), (node.on,)),
        outer=node.how == "left",
        ttl_us=node.ttl_us,
        on_failure=node.on_failure,
        max_keys=opening.max_keys,
        name=node.label,
    )


#: A new stateful step adds its line here.
OPERATORS: Mapping[type[Stateful], Callable[[Any, Opening], AnyOperator]] = {
    WindowAggregate: _window_aggregate,
    **CLEANING,
    Union: _union,
    AsofJoin: _asof_join,
    IntervalJoin: _interval_join,
    WindowJoin: _window_join,
    Lookup: _lookup,
    KeyedLookup: _keyed_lookup,
}
