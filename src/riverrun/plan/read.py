"""The beginning of a pipeline: where rows come from and how they are understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riverrun.clock import Duration, parse_duration
from riverrun.errors import ConfigError
from riverrun.limits import Limits
from riverrun.plan.nodes import OnBad, Read
from riverrun.plan.stream import Stream
from riverrun.ports import Format
from riverrun.registry import function
from riverrun.schema import DeclaredType, Schema


def read(
    source: object,
    *,
    format: str | Format | None = None,
    schema: Mapping[str, DeclaredType] | Schema | None = None,
    time: str | None = None,
    delay: Duration | None = "0s",
    idle: Duration | None = None,
    on_bad: OnBad = "dead_letter",
    limits: Limits | None = None,
    name: str | None = None,
    **options: Any,
) -> Stream:
    """A stream of rows from a URL, a source object, a table, or an iterable of tables.

    Parameters
    ----------
    source : such as ``"tcp://localhost:9999"``, ``"file:trades-*.csv"``, a Polars or pandas frame;
        `riverrun sources` lists all.
    format : ``"csv"``, ``"json"``, ``"lines"``, or an object such as ``rr.Csv(separator=";")``; found out from
        the first bytes when left out.
    schema : column name to Polars type, or to ``rr.Timestamp("s")``; found out from the first rows when left
        out, and then fixed.
    time : the column of event time; when left out, the time of arrival, in the column ``arrived_at``.
    delay : how far out of order rows may be: the watermark stays so far behind the newest row. ``None``: no
        window closes before the end of the input.
    idle : after so long a silence a partition holds the watermark back no more; when all are silent the
        watermark follows the clock. ``None``: never.
    on_bad : ``"dead_letter"``: rows that cannot be read are kept apart and counted; ``"fail"``: the first one
        stops the run.
    limits : what one source may cost.
    name : for messages, the dashboard and health; the URL when left out.
    options : of the source, such as ``reconnect=False`` or ``follow=True``; `riverrun sources NAME` lists them.

    Raises
    ------
    ConfigError : for a source, format or option that does not exist.
    PlanError : when `schema` is declared and does not hold `time`.

    >>> import riverrun as rr
    >>> rr.read({"price": [10.0, 12.0]}).collect()["price"].to_list()
    [10.0, 12.0]
    """
    made = function("source")(source, **options)
    if on_bad not in ("dead_letter", "fail"):
        raise ConfigError(f"on_bad is 'dead_letter' or 'fail', got {on_bad!r}", where="read(on_bad=)")
    node = Read(
        source=made,
        format=_format(format, made.format_hint),
        schema=schema if isinstance(schema, Schema) or schema is None else Schema.of(schema),
        time=time,
        delay_us=None if delay is None else parse_duration(delay, where="read(delay=)"),
        idle_us=None if idle is None else parse_duration(idle, where="read(idle=)"),
        on_bad=on_bad,
        limits=limits or Limits(),
        name=name or made.url,
    )
    return Stream(node)


def _format(given: str | Format | None, hint: str | None) -> Format | None:
    if hint == "frame":
        if given is not None:
            raise ConfigError("a table needs no format", where="read(format=)", hint="leave format= out")
        return None
    if given is None:
        given = hint
    if given is None or not isinstance(given, str):
        return given
    made: Format = function("format")(given)
    return made
