"""`riverrun watch` at work: look at a feed, decide what to compute, and run it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from riverrun.cli import overrides, pace
from riverrun.cli.dashboard_door import open_door, warm_up
from riverrun.cli.findings import Findings
from riverrun.cli.latest import FinalOnly, Latest
from riverrun.cli.scout import Sample, interruptible, sample_of, wait_for_rows
from riverrun.cli.screen import LiveScreen, Screen, screen_for
from riverrun.cli.statistics import chosen_columns, statistics
from riverrun.cli.staying import Stay
from riverrun.clock import format_duration, parse_duration
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.plan.nodes import Output, Read
from riverrun.plan.read import read
from riverrun.plan.stream import Stream
from riverrun.ports import Format, Sink
from riverrun.registry import function
from riverrun.runtime.pump import Pump
from riverrun.runtime.real_world import RealWorld
from riverrun.runtime.run import run_outputs
from riverrun.runtime.stop import Stop
from riverrun.runtime.summary import Summary
from riverrun.schema import Schema
from riverrun.windows.describe import Hopping

#: A live feed is silent for so long before windows close by the clock.
IDLE = "5s"
#: The same when windows go by the time of arrival, which cannot be out of order.
IDLE_OF_ARRIVAL = "1s"
#: Results of windows that are still open show so often.
EARLY_US = 1_000_000
#: How far into the future the times of a feed in another zone may be.
FUTURE_US = 5 * pace.MINUTE
FAR_FUTURE = "5200w"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and why it looks so."""

    findings: Findings
    read: Read
    schema: Schema
    results: Stream


def watch(args: argparse.Namespace) -> int:
    """Watch a feed until it ends or somebody stops it."""
    world = RealWorld()
    deadline_us = _deadline_us(args, world)
    targets = [_target(text) for text in args.write]
    types = overrides.declared_types(args.schema) if args.schema else {}
    node = read(args.url, format=_format(args), name=args.name).node
    assert isinstance(node, Read)
    latest = Latest()
    screen = screen_for(latest)
    if args.dashboard:
        warm_up()
    pump = Pump(node, world)
    try:
        with interruptible():
            if not wait_for_rows(pump, world, screen.status, deadline_us):
                screen.close()
                print("stopped: no data came in this time", file=sys.stderr)
                return 0
            screen.close()
        plan = decide(args, pump, types, now_us=world.clock.now_us())
        pump.read, pump.schema = plan.read, plan.schema
        summary = _run(args, plan, pump, world, targets, latest, deadline_us)
    except KeyboardInterrupt:
        screen.close()
        print("stopped before any data came", file=sys.stderr)
        return 0
    finally:
        screen.close()
        pump.close()
    _tell(summary, plan)
    return 0


def _run(
    args: argparse.Namespace,
    plan: Plan,
    pump: Pump,
    world: RealWorld,
    targets: list[Sink],
    latest: Latest,
    deadline_us: int | None,
) -> Summary:
    screen = screen_for(latest)
    live = isinstance(screen, LiveScreen)
    _say([f"watching {plan.findings.url}", *plan.findings.lines()], live=live)
    door = open_door(args.dashboard, asked=args.dashboard_asked, world=world) if args.dashboard else None
    if door is not None and door.trouble:
        _say([door.trouble], live=live)
    revisions = parse_duration(args.lateness, where="--lateness") > 0
    outputs = [Output(plan.results.node, latest.sink(_title(plan)) if live else FinalOnly(_csv(), revisions))]
    outputs += [Output(plan.results.node, FinalOnly(target, revisions)) for target in targets]
    stop = Stop()
    stay = Stay(stop, world, deadline_us, wanted=live and door is not None and door.address is not None)

    def look(health: Any) -> None:
        screen.show(health)
        if not health.running and plan.read.source.bounded:
            stay.wait(screen)

    try:
        return run_outputs(
            outputs,
            name=plan.findings.url,
            dashboard=door.address if door is not None else None,
            until=None if deadline_us is None else _left(deadline_us, world),
            dead_letters=args.dead_letters,
            watcher=look,
            pumps=[pump],
            world=world,
            stop=stop,
            on_dashboard=_on_dashboard(screen),
            allow_unauthenticated=args.allow_unauthenticated,
        )
    finally:
        screen.close()


def decide(args: argparse.Namespace, pump: Pump, types: dict[str, Any], *, now_us: int) -> Plan:
    """Everything that can be told from the first rows, and what the user said instead.

    Raises `SchemaError` or `ConfigError` for names that are not there.
    """
    assert pump.schema is not None
    first = sample_of(pump)
    schema = overrides.with_time(overrides.with_types(_timed(pump.schema), types), args.time, first)
    pump.schema = schema
    sample = sample_of(pump)
    by = overrides.chosen_keys(schema, args.by, sample)
    chosen = chosen_columns(schema, args.columns, by)
    live = not pump.read.source.bounded
    found = pace.pace_of(sample, schema.time, by)
    window_us, window_why = _window(args, found, live=live)
    delay_us, delay_why = _delay(args, found)
    idle_us = _idle(args, schema, live=live)
    limits, ahead = _limits(found, live=live, now_us=now_us)
    # The plan names its time column; the schema is fixed by now.
    node = replace(
        pump.read,
        time=schema.time,
        delay_us=delay_us,
        idle_us=idle_us,
        schema=schema,
        format=pump.format,
        limits=limits,
    )
    notes = [*ahead, *_notes(sample)]
    findings = Findings(
        pump.read.source.url,
        pump.format,
        schema,
        tuple(by),
        chosen.columns,
        chosen.left_out,
        window_us,
        window_why,
        delay_us,
        delay_why,
        idle_us,
        tuple(notes),
        frozenset(
            name
            for name in ("format", "schema", "time", "by", "columns", "window", "delay")
            if getattr(args, name)
        ),
    )
    results = (
        Stream(node)
        .group_by(*by)
        .window(
            Hopping(window_us, window_us),
            lateness=args.lateness,
            emit=format_duration(EARLY_US) if live and window_us > EARLY_US else "final",
        )
        .agg(**statistics(chosen.columns, by))
    )
    return Plan(findings, node, schema, results)


def _timed(schema: Schema) -> Schema:
    """Tables come without a time column chosen: the first column of instants is it."""
    if schema.time is not None or schema.notes:
        return schema
    return replace(schema, time=next((column.name for column in schema if column.is_time), None))


def _window(args: argparse.Namespace, found: pace.Pace, *, live: bool) -> tuple[int, str]:
    if args.window:
        return parse_duration(args.window, where="--window"), "chosen by you"
    if found.rows < 2:
        return pace.window_us(found, live=live), "as there are too few rows yet to tell the pace"
    return pace.window_us(found, live=live), "from the pace of the first rows"


def _delay(args: argparse.Namespace, found: pace.Pace) -> tuple[int | None, str]:
    if args.delay:
        return parse_duration(args.delay, where="--delay"), "chosen by you"
    delay_us = pace.delay_us(found)
    if delay_us is None:
        return None, "as the first rows are in no order of time"
    if delay_us:
        return delay_us, f"as rows came up to {format_duration(found.disorder_us)} out of order"
    return 0, "as the first rows came in order"


def _idle(args: argparse.Namespace, schema: Schema, *, live: bool) -> int | None:
    if args.idle:
        return parse_duration(args.idle, where="--idle")
    if not live:
        return None
    return parse_duration(IDLE if schema.time is not None else IDLE_OF_ARRIVAL)


def _limits(found: pace.Pace, *, live: bool, now_us: int) -> tuple[Limits, list[str]]:
    """A feed that lies ahead of the clock as a whole is in another zone, or replayed: let it in, and say so."""
    if not live or found.newest_us is None or found.newest_us <= now_us + FUTURE_US:
        return Limits(), []
    ahead = format_duration((found.newest_us - now_us) // pace.MINUTE * pace.MINUTE)
    return Limits(future=FAR_FUTURE), [f"its times are {ahead} ahead of the clock: another time zone, perhaps?"]


def _notes(sample: Sample) -> list[str]:
    if not sample.rejected:
        return []
    total = sample.rejected + sample.frame.height
    return [f"{sample.rejected} of the first {total} records cannot be read; they are kept apart and counted"]


def _format(args: argparse.Namespace) -> Format | str | None:
    if not args.names:
        return None if args.format is None else str(args.format)
    if args.format not in (None, "csv"):
        raise ConfigError("only CSV takes names for its columns", where="--names", hint="leave out --format")
    return function("format")("csv", columns=tuple(args.names))  # type: ignore[no-any-return]


def _target(text: str) -> Sink:
    made: Sink = function("sink")(text)
    return made


def _csv() -> Sink:
    made: Sink = function("sink")("stdout:", format="csv")
    return made


def _title(plan: Plan) -> str:
    by = f"by {', '.join(plan.findings.by)}, " if plan.findings.by else ""
    return f"{by}windows of {format_duration(plan.findings.window_us)}"


def _on_dashboard(screen: Screen) -> Callable[[str], None]:
    def told(url: str) -> None:
        if isinstance(screen, LiveScreen):
            screen.footer = f"dashboard: {url}   Ctrl-C stops"
        print(
            f"dashboard: {url}", file=sys.stdout if isinstance(screen, LiveScreen) else sys.stderr, flush=True
        )

    return told


def _say(lines: list[str], *, live: bool) -> None:
    """To people; standard output is for results when it goes to a program."""
    print("\n".join(lines), file=sys.stdout if live else sys.stderr, flush=True)


def _tell(summary: Summary, plan: Plan) -> None:
    print(summary, file=sys.stderr)
    late = sum(source.late for source in summary.sources)
    if late:
        now = "0s" if not plan.findings.delay_us else format_duration(plan.findings.delay_us)
        print(
            f"  {late:,} rows came too late for their windows: a longer --delay (now {now}) waits for them, "
            "--lateness lets them correct results",
            file=sys.stderr,
        )


def _deadline_us(args: argparse.Namespace, world: RealWorld) -> int | None:
    if not args.for_:
        return None
    return world.clock.monotonic_us() + parse_duration(args.for_, where="--for")


def _left(deadline_us: int, world: RealWorld) -> str:
    return format_duration(max(0, deadline_us - world.clock.monotonic_us()))
