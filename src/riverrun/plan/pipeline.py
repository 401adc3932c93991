"""A named pipeline: outputs that run together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from riverrun.clock import Clock, Duration
from riverrun.errors import PlanError
from riverrun.plan.explain import explain_outputs
from riverrun.plan.nodes import Output
from riverrun.plan.stream import Stream
from riverrun.registry import function

if TYPE_CHECKING:
    from riverrun.runtime.summary import Summary
    from riverrun.state.describe import State


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """Outputs that run together under a name. ``riverrun run file.py`` looks for one of these.

    Parameters
    ----------
    outputs : what `Stream.write` returned; a bare stream is shown on the dashboard only.
    state : as that of `riverrun.run`, when it is run without another one.

    >>> import riverrun as rr
    >>> rows = rr.read({"x": [1.0, 2.0]})
    >>> pipeline = rr.Pipeline("example", [rows.write("memory:")])
    >>> pipeline.run().rows
    2
    """

    name: str
    outputs: tuple[Output, ...]
    state: str | State | None

    def __init__(
        self, name: str, outputs: Sequence[Output | Stream], *, state: str | State | None = None
    ) -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "outputs", tuple(_output(item) for item in outputs))
        if not self.outputs:
            raise PlanError("a pipeline needs an output", where=name, hint='stream.write("stdout:")')

    def run(self, **options: Any) -> Summary:
        """As `riverrun.run`, with these outputs and this name."""
        return cast(
            "Summary", function("run")(self.outputs, name=self.name, **{"state": self.state, **options})
        )

    def explain(self) -> str:
        """Print the plans of all outputs; return the text, too."""
        text = explain_outputs(self.outputs)
        print(text)
        return text


def run(
    *outputs: Output | Stream,
    name: str = "pipeline",
    state: str | State | None = None,
    dashboard: str | tuple[str, int] | None = None,
    until: Duration | None = None,
    clock: Clock | None = None,
    dead_letters: str | None = None,
    watcher: Callable[[Any], None] | None = None,
    allow_unauthenticated: bool = False,
) -> Summary:
    """Run a pipeline until its inputs end, Ctrl-C or SIGTERM comes, or `until` has passed.

    However it stops, everything that has been received is worked through first. Without `state`, open windows
    are then put out as at the end of an input. With `state` they stay open, and the next run with the same
    folder goes on as if there had been no stop; so it does after a crash, and no row counts twice.

    Parameters
    ----------
    outputs : what `Stream.write` returned; a bare stream is shown on the dashboard only.
    name : shown on the dashboard and in the summary.
    state : a folder in which the run keeps what it must not lose, such as ``"state/"``, or a `State` with
        settings; in memory only when left out.
    dashboard : where to serve the live dashboard, such as ``"127.0.0.1:8765"``; port 0 takes a free one.
    until : how long to run, such as ``"30s"``; for ever, or to the end of the inputs, when left out.
    clock : what tells the time; the machine's clock when left out.
    dead_letters : a folder for the records that were not accepted; in memory when left out.
    watcher : called about four times a second with the state of the run (a `Health`).
    allow_unauthenticated : let other machines see the dashboard, though it has no login; without it
        `dashboard` must be an address of this machine alone.

    Returns
    -------
    What was received and put out; printed, it is a report.

    Raises
    ------
    RiverrunError : when the plan, a source or a sink cannot work.
    StateError : when the state folder is in use, damaged, or belongs to another pipeline.

    >>> import riverrun as rr
    >>> summary = rr.run(rr.read({"x": [1.0, 2.0]}).write("memory:"))
    >>> summary.rows, summary.stopped_by
    (2, 'end of input')
    """
    return Pipeline(name, outputs, state=state).run(
        dashboard=dashboard,
        until=until,
        clock=clock,
        dead_letters=dead_letters,
        watcher=watcher,
        allow_unauthenticated=allow_unauthenticated,
    )


def _output(item: object) -> Output:
    if isinstance(item, Stream):
        return Output(item.node, None)
    if isinstance(item, Output):
        return item
    raise PlanError(
        f"an output is what .write(...) returns, got {item!r}",
        where="run",
        hint='rr.run(stream.write("stdout:"))',
    )
