"""The command as a whole: help, version, errors, Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator

import riverrun
from riverrun.cli.main import build_parser
from tests.cli.calling import Call, program


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = build_parser()
    (action,) = (item for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    return dict(action.choices)


def test_the_commands_that_exist() -> None:
    assert list(commands()) == [
        "watch", "run", "demo", "replay", "check", "doctor", "inspect", "savepoint", "restore", "dead-letters",
        "sources", "sinks", "formats", "aggregates",
    ]  # fmt: skip


def test_everything_has_a_help_text_and_examples() -> None:
    for name, parser in commands().items():
        assert parser.description, name
        assert parser.epilog is not None
        assert f"riverrun {name}" in parser.epilog, name
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    done = call()
    assert (done.code, "riverrun watch tcp://localhost:9999" in done.out) == (0, True)


def test_version(call: Call) -> None:
    assert call("--version").out == f"riverrun {riverrun.__version__}\n"


def test_errors_are_one_message_without_a_traceback() -> None:
    done = program("watch", "nonsense:x")
    assert done.code == 2
    assert done.err == (
        "riverrun: nonsense:x: there is no source 'nonsense'\n"
        "  try: one of: file, generate, stdin, tcp, tcp+listen, unix, unix+listen\n"
    )


def test_debug_shows_where_an_error_was_raised() -> None:
    done = program("--debug", "watch", "nonsense:x")
    assert done.code != 0
    assert "Traceback" in done.err


def test_a_reader_that_has_enough_is_no_error() -> None:
    shell = f"{sys.executable} -m riverrun aggregates | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def lines_until(stream: Iterator[str], text: str) -> list[str]:
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came: {seen}")


def stopped_by(number: signal.Signals) -> tuple[int, str]:
    return interrupted(["watch", "generate:trades", "--no-dashboard"], "results", number)


def interrupted(arguments: list[str], when: str, number: signal.Signals) -> tuple[int, str]:
    """The exit code, and what is said on standard error after a signal that is sent when `when` shows."""
    with subprocess.Popen(
        [sys.executable, "-m", "riverrun", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        lines_until(child.stderr, when)
        child.send_signal(number)
        rest = child.stderr.read()
        return child.wait(timeout=30), rest


def test_ctrl_c_works_through_what_has_arrived_and_ends_well() -> None:
    code, rest = stopped_by(signal.SIGINT)
    assert code == 0
    assert "stopped by SIGINT" in rest


def test_sigterm_does_so_too() -> None:
    code, rest = stopped_by(signal.SIGTERM)
    assert code == 0
    assert "stopped by SIGTERM" in rest


def test_ctrl_c_while_waiting_for_a_connection() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        code, rest = interrupted(["watch", "tcp://127.0.0.1:1", "--no-dashboard"], "refused", number)
        assert code == 0
        assert "stopped before any data came" in rest
