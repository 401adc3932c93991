"""How the state of each operator is laid out: a part of the signature of its step.

What the fields of a state are is seen by itself. What they *mean*, and what columns the frames in them have,
is not: whoever changes that gives the class a new number here. Then a run does not go on from a state that it
would misread, but says which step has changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Mapping

from riverrun.kernel.operator import JoinOperator, Operator
from riverrun.state.snapshot import known_classes

#: Version of the layout, by the class of a state or of a partial (`riverrun.stats`); 1 where nothing is said.
LAYOUTS: Mapping[str, int] = {
    # Panes by key hold how many rows they are made of, and what is folded is counted in rows.
    "FixedState": 2,
}


def layout_of(operator: Operator[object] | JoinOperator[object], layouts: Mapping[str, int] = LAYOUTS) -> str:
    """The layout of an operator's state, as text: equal when one can go on from a state of the other."""
    state = operator.empty()
    shapes = dict(sorted(_shapes(state).items()))
    program = getattr(getattr(operator, "windows", operator), "program", None)
    partials = {type(partial).__name__ for partial in (*program.wide, *program.long)} if program else set()
    versions = [(name, layouts[name]) for name in (*shapes, *sorted(partials)) if name in layouts]
    digest = hashlib.blake2b(repr((shapes, versions)).encode(), digest_size=8).hexdigest()
    named = "".join(f", {name} {version}" for name, version in versions)
    return f"layout {digest} of a {type(state).__name__}{named}"


def _shapes(state: object) -> dict[str, list[tuple[str, str]]]:
    """The fields of a state and of the states in it; of those that it may hold later, too."""
    if not dataclasses.is_dataclass(state) or isinstance(state, type):
        return {}
    found = {type(state).__name__: _fields(type(state))}
    for name, hint in typing.get_type_hints(type(state)).items():
        # A window operator around another one holds the state of that one alone, though it could hold others.
        inside = _shapes(getattr(state, name))
        found.update(inside or {kind.__name__: _fields(kind) for kind in known_classes(hint).values()})
    return found


def _fields(kind: type) -> list[tuple[str, str]]:
    assert dataclasses.is_dataclass(kind)
    return [(field.name, str(field.type)) for field in dataclasses.fields(kind)]
