"""Runs the blocks of one page in order, in one namespace, in the current folder.

    python -m tests.docs.run_page PAGE.md

Errors show the page's own file name and line numbers. Ports written in the page are replaced by free ones, so
that pages can run side by side.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.docs.feeds import FEEDS, FeedServer, free_port
from tests.docs.page import Block, Directive, PageError, blocks_of

#: The dashboard's usual port, as pages write it.
DASHBOARD_PORT = "8765"
#: How long one command of a console block may take.
COMMAND_LIMIT_S = 60
#: How long a page may take to read its feed before Ctrl-C is thought of, on a machine that is busy.
FEED_LIMIT_S = 30


class PageRun:
    """One page at work."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._namespace: dict[str, object] = {"__name__": "__main__", "__file__": str(page)}
        self._ports = {DASHBOARD_PORT: str(free_port())}
        self._printed = ""
        self._saved: dict[str, int] = {}
        self._commands: list[str] = []
        self._servers = contextlib.ExitStack()
        self._feed_sent = threading.Event()

    def run(self) -> int:
        """Run everything; returns how many blocks ran. Raises what a block raises, or `PageError`."""
        ran = 0
        with self._servers:
            for block in blocks_of(self._page):
                ran += self._run_block(block)
        for name, line in self._saved.items():
            if not any(name in command for command in self._commands):
                raise PageError(f"{self._page.name}:{line}: {name} is saved, but no console block uses it")
        return ran

    def _run_block(self, block: Block) -> bool:
        for directive in block.directives:
            self._prepare(directive)
        if save := block.directive("save"):
            Path(save.arguments[0]).write_text(self._with_ports(block.text), encoding="utf-8")
            if block.language == "python":
                self._saved[save.arguments[0]] = block.line
            return False
        if block.directive("output"):
            self._compare(block)
        elif block.language == "python":
            self._run_python(block)
            return True
        elif block.language == "console" and block.directive("run"):
            self._run_console(block)
            return True
        return False

    def _prepare(self, directive: Directive) -> None:
        if directive.word == "server":
            port, feed, *hold = directive.arguments
            server = FeedServer(self._feed(feed, directive), hold=bool(hold))
            self._servers.callback(server.close)
            self._feed_sent = server.sent
            self._ports[port] = str(server.port)
        elif directive.word == "file":
            name, feed = directive.arguments
            Path(name).write_bytes(self._feed(feed, directive))

    def _feed(self, name: str, directive: Directive) -> bytes:
        if name not in FEEDS:
            known = ", ".join(FEEDS)
            raise PageError(f"{self._page.name}:{directive.line}: there is no feed {name!r}; there are {known}")
        return FEEDS[name]()

    def _with_ports(self, text: str) -> str:
        for written, real in self._ports.items():
            text = re.sub(rf"(?<=:){written}\b", real, text)
        return text

    def _run_python(self, block: Block) -> None:
        # Empty lines before the text make line numbers those of the page.
        source = "\n" * (block.line - 1) + self._with_ports(block.text)
        code = compile(source, str(self._page), "exec", dont_inherit=True)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), self._interrupted(block):
                exec(code, self._namespace)
        finally:
            self._printed = printed.getvalue()
            sys.stdout.write(self._printed)

    @contextlib.contextmanager
    def _interrupted(self, block: Block) -> Iterator[None]:
        seconds = self._seconds(block)
        if seconds is None:
            yield
            return
        over = threading.Event()

        def press() -> None:
            self._wait_for_feed(block)
            if not over.wait(seconds):
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=press, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _wait_for_feed(self, block: Block) -> None:
        """A block that reads a feed has read it: seconds count from then, however long it took to start."""
        if block.directive("server"):
            self._feed_sent.wait(FEED_LIMIT_S)

    def _seconds(self, block: Block) -> float | None:
        directive = block.directive("ctrl-c")
        if directive is None:
            return None
        after, text = directive.arguments
        if after != "after" or not re.fullmatch(r"\d+(\.\d+)?s", text):
            raise PageError(f"{self._page.name}:{directive.line}: expected `ctrl-c after 2s`")
        return float(text[:-1])

    def _run_console(self, block: Block) -> None:
        joined = block.text.replace("\\\n", " ")
        commands = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        if not commands:
            raise PageError(f"{self._page.name}:{block.line}: a console block has lines that begin with `$ `")
        printed = [self._run_command(self._with_ports(command), block) for command in commands]
        self._printed = "".join(printed)
        expected = [line for line in joined.splitlines() if not line.startswith("$ ")]
        if expected:
            self._equal("\n".join(expected), self._printed, block)

    def _run_command(self, command: str, block: Block) -> str:
        self._commands.append(command)
        shell = ["bash", "-euo", "pipefail", "-c", command]
        environment = os.environ | {"PATH": f"{_shim()}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
        process = subprocess.Popen(
            shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            seconds = self._seconds(block)
            if seconds is not None:
                self._wait_for_feed(block)
            out, err = self._communicate(process, seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\nstill running after {COMMAND_LIMIT_S} s"
        sys.stdout.write(out)
        if process.returncode != 0:
            raise PageError(
                f"{self._page.name}:{block.line}: `{command}` ended with {process.returncode}\n{out}\n{err}"
            )
        return out

    def _communicate(self, process: subprocess.Popen[str], seconds: float | None) -> tuple[str, str]:
        if seconds is None:
            return process.communicate(timeout=COMMAND_LIMIT_S)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=seconds)
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate(timeout=COMMAND_LIMIT_S)

    def _compare(self, block: Block) -> None:
        self._equal(block.text, self._printed, block)

    def _equal(self, expected: str, printed: str, block: Block) -> None:
        if not same_output(self._with_ports(expected), printed):
            where = f"{self._page.name}:{block.line}"
            raise PageError(f"{where}: the page shows\n{expected}\nbut what was printed is\n{printed}")


def same_output(expected: str, printed: str) -> bool:
    """Whether they are equal but for space at line ends; ``...`` in `expected` stands for anything.

    >>> same_output("3 rows in ... s", "3 rows in 0.2 s")
    True
    """

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())

    pattern = ".*?".join(re.escape(part) for part in tidy(expected).split("..."))
    return re.fullmatch(pattern, tidy(printed), re.DOTALL) is not None


def _shim() -> Path:
    """A folder with a `riverrun` command that is this very source, installed or not, and this `python`."""
    folder = Path(".bin").absolute()
    command = folder / "riverrun"
    if not command.exists():
        folder.mkdir(exist_ok=True)
        call = "import sys; sys.argv[0] = 'riverrun'; from riverrun.cli.main import main; sys.exit(main())"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{call}" "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
    return folder


def main() -> int:
    page = Path(sys.argv[1])
    try:
        ran = PageRun(page).run()
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"ran {ran} blocks of {page.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
