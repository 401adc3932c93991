"""Savepoints that a running process is asked for: small files in its state folder.

Only one process uses a state folder, so another one can ask for a copy, and not make it. It leaves
``savepoint-ID.request`` there; the run looks for such files several times a second, makes the savepoint between
two checkpoints, and leaves ``savepoint-ID.answer``, which the one who asked takes away.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from riverrun.errors import StateError
from riverrun.limits import MIB
from riverrun.world import Files, World

_NAME = re.compile(r"savepoint-([0-9a-f]{16})\.request")


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks for a savepoint.

    Parameters
    ----------
    id : chance, which is in the names of the files.
    target : the folder to make, from the root.
    until_us : nobody waits for the answer any more from then on, by the wall clock.
    """

    id: str
    target: str
    until_us: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request: the savepoint in words, or what was wrong, where, and what to try."""

    made: str = ""
    problem: str = ""
    where: str = ""
    hint: str = ""

    @property
    def error(self) -> StateError | None:
        """What was wrong, as it was raised in the other process."""
        if not self.problem:
            return None
        return StateError(self.problem, where=self.where or None, hint=self.hint or None)

    @staticmethod
    def of_error(error: StateError) -> Answer:
        return Answer("", error.problem, error.where or "", error.hint or "")


def ask(world: World, folder: str, target: str, until_us: int) -> Request:
    """Leave a request in the folder of a run."""
    request = Request(f"{world.random.getrandbits(64):016x}", world.files.absolute(target), until_us)
    _put(world.files, f"{folder}/savepoint-{request.id}.request", asdict(request))
    return request


def requests(files: Files, folder: str, now_us: int) -> Iterator[Request]:
    """The requests that somebody waits for; others are removed, and so is what cannot be read."""
    for name in files.names(folder):
        if (found := _NAME.fullmatch(name)) is None:
            continue
        request = None
        with contextlib.suppress(ValueError, TypeError):
            request = Request(**_read(files, f"{folder}/{name}"))
        if request is not None and request.id == found[1] and request.until_us > now_us:
            yield request
        else:
            _remove(files, f"{folder}/{name}")


def answer(files: Files, folder: str, request: Request, said: Answer) -> None:
    """Tell what became of a request, unless nobody waits for it any more."""
    asked = f"{folder}/savepoint-{request.id}.request"
    if files.status(asked) is not None:
        _put(files, f"{folder}/savepoint-{request.id}.answer", asdict(said))
        _remove(files, asked)


def answered(files: Files, folder: str, request: Request) -> Answer | None:
    """What became of a request, if that is known by now."""
    path = f"{folder}/savepoint-{request.id}.answer"
    return None if files.status(path) is None else Answer(**_read(files, path))


def withdraw(files: Files, folder: str, request: Request) -> None:
    """Take away a request and its answer."""
    for kind in ("request", "answer"):
        _remove(files, f"{folder}/savepoint-{request.id}.{kind}")


def _put(files: Files, path: str, said: dict[str, object]) -> None:
    """Under another name first, so that nobody reads half of it."""
    # A file that is made so is for this user's eyes alone.
    file = files.create_filled(f"{path}.new", 0)
    try:
        file.write_at(0, [orjson.dumps(said)])
    finally:
        file.close()
    files.replace(f"{path}.new", path)


def _read(files: Files, path: str) -> dict[str, Any]:
    file = files.open_read(path)
    try:
        read = orjson.loads(file.read_at(0, MIB))
    finally:
        file.close()
    if not isinstance(read, dict):
        raise ValueError("not an object")
    return read


def _remove(files: Files, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        files.remove(path)
