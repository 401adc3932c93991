"""`riverrun replay` at work."""

from __future__ import annotations

import argparse
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import polars as pl

from riverrun.cli import overrides
from riverrun.cli.scout import Sample, interruptible
from riverrun.clock import parse_duration
from riverrun.demos.feeder import Feeder, Line, Target, ToListener, ToServer
from riverrun.errors import ConfigError, SchemaError, SourceError
from riverrun.formats.sniff import sniff
from riverrun.limits import Limits
from riverrun.ports import Decoder, Format
from riverrun.registry import function
from riverrun.runtime.real_world import RealWorld
from riverrun.schema import Schema
from riverrun.world import TcpAddress, UnixAddress, World

READ_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
TELL_EVERY_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast: a multiple of the file's own pace, lines a second, or neither: as fast as can be."""

    speed: float | None = None
    per_s: float | None = None


def rate_of(text: str) -> Rate:
    """The meaning of ``10x``, ``1000/s`` or ``max``. Raises `ConfigError` for anything else.

    >>> rate_of("10x").speed, rate_of("1000/s").per_s, rate_of("max")
    (10.0, 1000.0, Rate(speed=None, per_s=None))
    """
    bare = text.strip().lower()
    if bare == "max":
        return Rate()
    number = bare.removesuffix("/s").removesuffix("x")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf") or not bare.endswith(("x", "/s")):
        raise ConfigError(f"not a pace: {text!r}", where="--rate", hint="10x, 1000/s or max")
    return Rate(per_s=value) if bare.endswith("/s") else Rate(speed=value)


def replay(args: argparse.Namespace) -> int:
    """Send a file's lines."""
    rate, world = rate_of(args.rate), RealWorld()
    head = _head(world, args.file)
    schema, form = _understood(head, args, needed=rate.speed is not None)
    header = head[: head.index(b"\n") + 1] if form is not None and getattr(form, "header", False) else b""

    def turn() -> Iterator[bytes]:
        return _without_first(_lines(world, args.file), drop=bool(header))

    turns = repeat(None) if args.loop else [None]
    if rate.speed is None:
        lines = _evenly(chain.from_iterable(turn() for _ in turns), rate.per_s)
    else:
        assert schema is not None
        assert form is not None
        made, found = form, schema
        lines = _paced((lambda: _timed(turn(), made, found, header)), turns)
    target = _target(args.to, header, world)
    speed = 1.0 if rate.per_s is not None else rate.speed
    feeder = Feeder(world, target, lines, speed)
    _limit(feeder, args.for_)
    print(f"replaying {args.file} to {args.to} at {args.rate}" + _waits(target), file=sys.stderr, flush=True)
    try:
        with interruptible():
            feeder.run(_Teller(world))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    print(f"sent {feeder.sent:,} lines", file=sys.stderr)
    return 0


# What the file is


def _head(world: World, path: str) -> bytes:
    head = b"".join(_first(_blocks(world, path), HEAD_BYTES))
    if not head.strip():
        raise SourceError("the file is empty", where=path)
    return head if b"\n" in head else head + b"\n"


def _first(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block
        size -= len(block)
        if size <= 0:
            return


def _understood(head: bytes, args: argparse.Namespace, *, needed: bool) -> tuple[Schema | None, Format | None]:
    """Schema and format; without a need for times a file may be anything."""
    try:
        form, schema = sniff(head, complete=False).infer(head, complete=False)
        if args.time:
            decoded = form.open(schema, Limits()).feed(head, 0)
            schema = overrides.with_time(schema, args.time, Sample(decoded.frame, 0, 0, complete=False))
    except SchemaError:
        if needed:
            raise
        return None, None
    if needed and schema.time is None:
        raise SchemaError(
            "no column looks like the time, so the file has no pace of its own",
            where=args.file,
            hint="--rate 1000/s, --rate max, or --time COLUMN",
        )
    return schema, form


def _blocks(world: World, path: str) -> Iterator[bytes]:
    try:
        file = world.files.open_read(path)
    except OSError as error:
        raise SourceError(f"cannot read the file: {error.strerror or error}", where=path) from None
    unpack = zlib.decompressobj(wbits=31) if path.endswith(".gz") else None
    try:
        position = 0
        while data := file.read_at(position, READ_BYTES):
            position += len(data)
            if unpack is None:
                yield data
                continue
            while data:
                yield unpack.decompress(data, READ_BYTES)
                data = unpack.unconsumed_tail
    except zlib.error as error:
        raise SourceError(f"is not gzip: {error}", where=path) from None
    finally:
        file.close()


def _lines(world: World, path: str) -> Iterator[bytes]:
    """The lines with their ends; the last one gets an end if it has none."""
    rest = b""
    for block in _blocks(world, path):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest + b"\n"


def _without_first(lines: Iterator[bytes], *, drop: bool) -> Iterator[bytes]:
    if drop:
        next(lines, None)
    return lines


# When its lines are due


def _evenly(lines: Iterator[bytes], per_s: float | None) -> Iterator[Line]:
    step_us = 0.0 if per_s is None else 1e6 / per_s
    for number, line in enumerate(lines):
        yield Line(int(number * step_us), line)


@dataclass(slots=True)
class _Timed:
    at_us: int
    line: bytes


def _timed(lines: Iterator[bytes], form: Format, schema: Schema, header: bytes) -> Iterator[_Timed]:
    """Each line with its time; one that has none (broken, blank, half a record) goes with the line before."""
    decoder: Decoder = form.open(schema, Limits())
    decoder.feed(header, 0)
    assert schema.time is not None
    latest: int | None = None
    for line in lines:
        times = decoder.feed(line, 0).frame[schema.time].cast(pl.Datetime("us")).cast(pl.Int64)
        found = times.max()
        if isinstance(found, int):
            latest = found if latest is None else max(latest, found)
        yield _Timed(latest if latest is not None else 0, line)


def _paced(
    timed: Callable[[], Iterator[_Timed]], turns: Iterator[None] | list[None] | repeat[None]
) -> Iterator[Line]:
    """Lines at the distance of their times; each turn begins where the one before ended."""
    offset_us = due_us = 0
    for _ in turns:
        first: int | None = None
        for item in timed():
            if first is None and item.at_us:
                first = item.at_us
            due_us = offset_us + (item.at_us - first if first is not None else 0)
            yield Line(due_us, item.line)
        offset_us = due_us


# Where they go


def _target(url: str, header: bytes, world: World) -> Target:
    source = function("source")(url)
    kind = url.partition(":")[0].lower()
    if kind == "tcp":
        return ToServer(world, TcpAddress(source.host, source.port), header)
    if kind == "unix":
        return ToServer(world, UnixAddress(source.path), header)
    if kind not in ("tcp+listen", "unix+listen"):
        raise ConfigError(
            f"cannot send to {url!r}", where="--to", hint="tcp://host:port, tcp+listen://host:port, unix:path"
        )
    address = UnixAddress(source.path) if kind == "unix+listen" else TcpAddress(source.host, source.port)
    try:
        return ToListener(world.network.listen(address), header)
    except OSError as error:
        raise SourceError(f"cannot listen: {error.strerror or error}", where=url) from None


def _waits(target: Target) -> str:
    if isinstance(target, ToListener):
        return f"; it begins when a reader connects to {target.listener.address} (Ctrl-C stops)"
    return ""


def _limit(feeder: Feeder, limit: str | None) -> None:
    if limit is None:
        return
    timer = threading.Timer(parse_duration(limit, where="--for") / 1e6, feeder.stop)
    timer.daemon = True
    timer.start()


class _Teller:
    """Says how far it is, at most once a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due_us = world.clock.monotonic_us() + TELL_EVERY_US

    def __call__(self, sent: int) -> None:
        now_us = self._world.clock.monotonic_us()
        if now_us >= self._due_us:
            self._due_us = now_us + TELL_EVERY_US
            print(f"  {sent:,} lines sent", file=sys.stderr, flush=True)
