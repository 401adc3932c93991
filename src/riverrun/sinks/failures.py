"""What the operating system says, told as a `SinkError` that a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from riverrun.errors import SinkError, SinkUnavailable

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
#: Troubles that pass without anybody changing the pipeline.
_TEMPORARY = (*_NO_SPACE, errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT)


@contextmanager
def sink_failures(where: str, path: str) -> Iterator[None]:
    """Turn every ``OSError`` of the block into a `SinkError` about `path`; `SinkUnavailable` if it may pass."""
    try:
        yield
    except OSError as error:
        problem, hint = _explain(error, path)
        kind = SinkUnavailable if error.errno in _TEMPORARY else SinkError
        raise kind(problem, where=where, hint=hint) from error


def closed_error(where: str) -> SinkError:
    """The error of a write after `close`."""
    return SinkError("it was written to after it had been closed", where=where)


def lost_error(problem: str, *, where: str) -> SinkError:
    """The error of a target that no longer holds what was put there for certain."""
    return SinkError(
        problem,
        where=where,
        hint="bring back what was there, or begin anew: another target and another state folder",
    )


def _explain(error: OSError, path: str) -> tuple[str, str | None]:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"no permission to write {path!r}", "make it writable for this user, or write somewhere else"
    if isinstance(error, IsADirectoryError):
        return f"{path!r} is a folder, a file was expected", "name a file inside it"
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        return f"a part of {path!r} is a file where a folder was expected", "choose another folder"
    if error.errno in _NO_SPACE:
        return f"no space left for {path!r}", "free some space, or write to another disk"
    return f"cannot write {path!r}: {error.strerror or error}", None
