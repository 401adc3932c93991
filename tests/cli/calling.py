"""Calling the command line as a user would: in this process, or as a program of its own."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import dataclass

import pytest

from riverrun.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, str]]:
        """The results on standard output."""
        return list(csv.DictReader(io.StringIO(self.out)))

    def found(self, what: str) -> str:
        """What `watch` says it found out about something."""
        for line in self.err.splitlines():
            if line.startswith(f"  {what} "):
                return line.removeprefix(f"  {what}").strip()
        raise AssertionError(f"nothing is said about {what!r} in:\n{self.err}")


class Call:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Outcome:
        self._capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        printed = self._capsys.readouterr()
        return Outcome(code, printed.out, printed.err)


def program(*arguments: str, input: str | None = None, timeout: float = 60) -> Outcome:
    """Runs a command as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "riverrun", *arguments],
        input=input,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
