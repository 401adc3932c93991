"""`riverrun demo` at work."""

from __future__ import annotations

import argparse
import sys
import threading

from riverrun.cli.dashboard_door import open_door, warm_up
from riverrun.cli.dashboard_options import DEFAULT
from riverrun.cli.latest import Latest
from riverrun.cli.running import run_shown
from riverrun.cli.scout import interruptible
from riverrun.clock import parse_duration
from riverrun.demos.catalogue import DEMOS, FIRST_PORT, Demo, feeding
from riverrun.errors import ConfigError
from riverrun.runtime.real_world import RealWorld


def show(name: str) -> str:
    """The code of a demo's pipeline."""
    return DEMOS[name].code()


def demonstrate(args: argparse.Namespace) -> int:
    """Feed, compute and show, until Ctrl-C or the time is up."""
    demo, world = DEMOS[args.name], RealWorld()
    _introduce(demo)
    address = None
    if not args.no_browser:
        warm_up()
        wanted = f"127.0.0.1:{args.port}" if args.port is not None else DEFAULT
        door = open_door(wanted, asked=args.port is not None, world=world)
        address = door.address
        if door.trouble:
            print(door.trouble, flush=True)
    with feeding(demo, world) as urls:
        pipeline = demo.pipeline(urls)
        run_shown(pipeline, dashboard=address, until=args.for_, dead_letters=None, world=world, latest=Latest())
    print(f"The code of this pipeline: riverrun demo {demo.name} --show", flush=True)
    return 0


def serve(args: argparse.Namespace) -> int:
    """Only the feed, at fixed ports."""
    demo, world = DEMOS[args.name], RealWorld()
    limit_s = parse_duration(args.for_) / 1e6 if args.for_ else None
    ports = list(range(FIRST_PORT, FIRST_PORT + 9))
    over = threading.Event()
    try:
        with interruptible(), feeding(demo, world, ports) as urls:
            _introduce(demo)
            for url in urls:
                print(f"  {url}    look at it: riverrun watch {url}", flush=True)
            print("Each feed begins when somebody reads it. Ctrl-C stops.", flush=True)
            over.wait(limit_s)
    except OSError as error:
        raise ConfigError(
            f"cannot listen at ports {FIRST_PORT} and on: {error.strerror or error}",
            where=f"demo {demo.name} --feed",
            hint="is another `riverrun demo --feed` running?",
        ) from None
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def _introduce(demo: Demo) -> None:
    print(f"demo {demo.name}: " + "\n  ".join(demo.about), flush=True)
