"""What is said when the system does not let us use a folder."""

from __future__ import annotations

import errno
import sqlite3

from riverrun.errors import StateError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Whether there is only no space: the one failure that passes."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def unusable(path: str, error: sqlite3.Error | OSError) -> StateError:
    """The error for a folder that the system does not let us use."""
    said = (error.strerror or error) if isinstance(error, OSError) else error
    if is_full(error):
        hint = "some space on this disk"
    elif isinstance(error, OSError) and error.errno in _NO_RIGHT:
        hint = "a folder that this user may read and write"
    else:
        hint = "a folder on a disk that works"
    return StateError(f"the folder cannot be used: {said}", where=path, hint=hint)
