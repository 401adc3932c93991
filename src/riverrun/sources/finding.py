"""Which files a pattern means, and what to say when there are none."""

from __future__ import annotations

import difflib
import posixpath

from riverrun.errors import SourceError
from riverrun.sources.trouble import in_words
from riverrun.world import Files, ReadableFile

#: What makes a path a pattern.
WILDCARDS = frozenset("*?[")
#: How many names of a folder a message may list.
NAMES_SHOWN = 5

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".log": "lines",
    ".txt": "lines",
}


def is_pattern(path: str) -> bool:
    """Whether a path has wildcards.

    >>> is_pattern("data/*.csv"), is_pattern("data/a.csv")
    (True, False)
    """
    return not WILDCARDS.isdisjoint(path)


def format_of(path: str) -> str | None:
    """The format that the end of a name suggests.

    >>> format_of("data/*.jsonl")
    'json'
    """
    return _FORMATS.get(posixpath.splitext(path)[1].lower())


def find_files(files: Files, pattern: str) -> list[str]:
    """The files that `pattern` means, sorted. Raises `SourceError` when there are none."""
    found = files.glob(pattern)
    if found:
        return found
    status = files.status(pattern)
    if status is not None and status.is_dir:
        raise _is_folder(pattern)
    raise _missing(files, pattern)


def open_file(files: Files, path: str, *, where: str) -> ReadableFile:
    """Open for reading. Raises `SourceError` that says why not."""
    try:
        return files.open_read(path)
    except OSError as error:
        raise _unreadable(files, path, error, where) from None


def check_folder(files: Files, pattern: str) -> None:
    """Raise `SourceError` unless the folder in which files are to appear is there."""
    status = files.status(pattern)
    if status is not None and status.is_dir:
        raise _is_folder(pattern)
    folder = _folder(pattern)
    if not is_pattern(folder) and files.status(folder) is None:
        raise _missing(files, pattern)


def unreadable(path: str, error: OSError, *, where: str) -> SourceError:
    """A file that was open could not be read."""
    return SourceError(f"cannot read {path!r}: {in_words(error)}", where=where, hint="is it a regular file?")


def _unreadable(files: Files, path: str, error: OSError, where: str) -> SourceError:
    hint = "riverrun needs the right to read it: chmod u+r, or run as its owner"
    if not isinstance(error, PermissionError):
        hint = "is it a regular file?"
    return SourceError(f"cannot open {files.absolute(path)!r}: {in_words(error)}", where=where, hint=hint)


def _is_folder(pattern: str) -> SourceError:
    return SourceError(
        f"{pattern!r} is a folder, not a file",
        where=f"file:{pattern}",
        hint=f"name the files in it: {posixpath.join(pattern, '*.csv')!r}",
    )


def _missing(files: Files, pattern: str) -> SourceError:
    folder = _folder(pattern)
    where = f"file:{pattern}"
    if not is_pattern(folder) and files.status(folder) is None:
        return SourceError(f"there is no folder {files.absolute(folder)!r}", where=where)
    what = f"no file matches {pattern!r}" if is_pattern(pattern) else f"there is no file {pattern!r}"
    return SourceError(
        f"{what}; looked in {files.absolute(folder)!r}", where=where, hint=_names(files, pattern)
    )


def _names(files: Files, pattern: str) -> str:
    """The closest names in the folder, or some of those that are there."""
    folder, wanted = posixpath.split(pattern)
    if is_pattern(folder):
        return "check the folders of the pattern"
    names = [posixpath.basename(path) for path in files.glob(posixpath.join(folder, "*"))]
    close = difflib.get_close_matches(wanted, names, n=2, cutoff=0.75)
    if close:
        return "did you mean " + " or ".join(repr(posixpath.join(folder, name)) for name in close) + "?"
    if not names:
        return "the folder holds no files"
    more = ", ..." if len(names) > NAMES_SHOWN else ""
    return "the folder holds: " + ", ".join(names[:NAMES_SHOWN]) + more


def _folder(path: str) -> str:
    return posixpath.dirname(path) or "."
