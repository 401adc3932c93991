"""How damage is told: which file, where in it, what is wrong, and what to do."""

from __future__ import annotations

from riverrun.errors import StateError


def damaged(folder: str, file: str, offset: int | None, cause: str) -> StateError:
    """The error for a folder that cannot be opened without losing something.

    >>> print(damaged("state", "state.db", 100, "row 3 of blobs has another checksum"))
    state/state.db at byte 100: row 3 of blobs has another checksum
      try: riverrun restore SAVEPOINT state, or begin anew without it: mv state state.damaged
    """
    place = f"{folder}/{file}" if offset is None else f"{folder}/{file} at byte {offset:,}"
    return StateError(cause, where=place, hint=repair(folder))


def repair(folder: str) -> str:
    """The commands that help when a folder is damaged."""
    return f"riverrun restore SAVEPOINT {folder}, or begin anew without it: mv {folder} {folder}.damaged"
