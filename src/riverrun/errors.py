"""Everything that riverrun raises on purpose.

    RiverrunError
    ├── PlanError        the pipeline as written cannot work (unknown column, wrong type, bad window)
    ├── ConfigError      a setting, URL or option is wrong
    │   └── MissingExtraError   an optional package is not installed
    ├── SchemaError      columns or types are wrong, or cannot be told from the data
    ├── SourceError      an input cannot be opened or read
    ├── FormatError      bytes cannot be decoded, and the source says ``on_bad="fail"``
    ├── SinkError        an output cannot be opened or written
    │   └── SinkUnavailable     it cannot be just now: a locked database, a full disk
    └── StateError       a state folder cannot be opened, is damaged, or belongs to another pipeline
        ├── StateFullError      its disk is full; nothing was lost, and it goes on when there is space
        └── StateInUseError     another process uses it

A message has a first line that says where and what, and, where we know one, a second line
with something to try.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: A name and a password in a URL.
_CREDENTIALS = re.compile(r"//[^/@\s'\"]+@")


class RiverrunError(Exception):
    """The root of all errors that riverrun raises on purpose.

    Parameters
    ----------
    problem : what was expected and what came, in one sentence.
    where : the step, source, file or setting that the problem belongs to.
    hint : something to try.
    """

    def __init__(self, problem: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.problem = without_credentials(problem)
        self.where = without_credentials(where) if where is not None else None
        self.hint = without_credentials(hint) if hint is not None else None
        super().__init__(self.problem)

    def __str__(self) -> str:
        first = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{first}\n  try: {self.hint}" if self.hint else first


class PlanError(RiverrunError):
    """The pipeline as written cannot work."""


class ConfigError(RiverrunError):
    """A setting, URL or option is wrong."""


class MissingExtraError(ConfigError):
    """An optional package is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package {package!r}, which is not installed",
            hint=f"pip install 'riverrun[{extra}]'",
        )


class SchemaError(RiverrunError):
    """Columns or types are wrong, or cannot be told from the data."""


class SourceError(RiverrunError):
    """An input cannot be opened or read."""


class FormatError(RiverrunError):
    """Bytes cannot be decoded, and the source says ``on_bad="fail"``."""


class SinkError(RiverrunError):
    """An output cannot be opened or written."""


class SinkUnavailable(SinkError):  # noqa: N818 - says what it is, as ConnectionRefused does
    """An output cannot be opened or written just now: the same may go well later.

    With ``state=`` the run waits and tries the same results again; without, it is a `SinkError` like others.
    """


class StateError(RiverrunError):
    """A state folder cannot be opened, is damaged, or belongs to another pipeline."""


class StateFullError(StateError):
    """The disk of a state folder is full; nothing was stored or lost, and it goes on when there is space."""


class StateInUseError(StateError):
    """Another process uses the state folder."""


def without_credentials(text: str) -> str:
    """A URL, or a text with URLs in it, that may be shown.

    >>> without_credentials("cannot open 'tcp://me:secret@host:1'")
    "cannot open 'tcp://***@host:1'"
    """
    return _CREDENTIALS.sub("//***@", text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known spelling, or all of the known names when none is close.

    >>> did_you_mean("prize", ["price", "size"])
    "did you mean 'price'?"
    >>> did_you_mean("X", ["x", "size"])
    "did you mean 'x'?"
    >>> did_you_mean("x", ["price", "size"])
    'one of: price, size'
    """
    names = list(known)
    # Of names that differ in upper and lower case only none is close to difflib.
    close = [other for other in names if other.casefold() == name.casefold()]
    close = close or difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "one of: " + ", ".join(names) if names else "there are none"
