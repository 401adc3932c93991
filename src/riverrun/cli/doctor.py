"""The command ``riverrun doctor``."""

from __future__ import annotations

import argparse

from riverrun.cli.arguments import Commands, command


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "doctor",
        run,
        help="see whether this machine has all that riverrun needs",
        description="""
            Look at Python, packages, terminal, ports, clock and limits, and run a small pipeline over a real
            socket of this machine from end to end. Exit code 0: all that is needed is there; 1: it is not.
            """,
        examples="""
            riverrun doctor
            """,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from riverrun.cli.examination import examine

    del args
    findings = examine()
    for finding in findings:
        print(f"  {finding.mark:<5} {finding.what:<18} {finding.found}", flush=True)
    failed = [finding for finding in findings if finding.mark == "fail"]
    print(
        "\nresult: "
        + (f"{len(failed)} thing(s) to mend: {', '.join(f.what for f in failed)}" if failed else "ok")
    )
    return 1 if failed else 0
