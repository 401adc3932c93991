"""Folders that outputs are in: made on the way, and their names on the disk where that matters."""

from __future__ import annotations

import posixpath

from riverrun.world import Files


def make_parent(files: Files, path: str) -> None:
    """Make the folder that `path` is in."""
    folder = posixpath.dirname(path)
    if folder and files.status(folder) is None:
        files.make_dirs(folder)


def make_lasting(files: Files, folder: str) -> None:
    """Make a folder, which is where we are when it is empty, and put its name and those above on the disk."""
    made = []
    at = folder.rstrip("/")
    while at and files.status(at) is None:
        made.append(at)
        at = posixpath.dirname(at)
    if made:
        files.make_dirs(made[0])
    for name in made:
        files.sync_folder(posixpath.dirname(name) or ".")
