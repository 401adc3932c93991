"""What the system says, in words for people."""

from __future__ import annotations

import errno
import os

_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the other side",
    errno.ENOENT: "no such file",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no network",
    errno.ETIMEDOUT: "no answer",
    errno.EADDRINUSE: "the address is already in use",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied",
    errno.EMFILE: "too many open files",
}


def in_words(error: OSError) -> str:
    """The reason of a failure, short and in lower case.

    >>> in_words(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    'connection refused'
    """
    if error.errno in _WORDS:
        return _WORDS[error.errno]
    if error.errno is not None and error.errno > 0 and not error.strerror:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
