"""The ballast: a file of zeros, given up when the disk is full, so that there is room to go on cleanly."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.state.refusal import NO_SPACE
from riverrun.state.settings import StoreSettings
from riverrun.world import Files

#: More than the ballast must be free before we go on, else the disk would be full again at once.
_MARGIN_BYTES = 256 * 1024


@dataclass(slots=True)
class Ballast:
    """The ballast of one state folder."""

    files: Files
    folder: str
    settings: StoreSettings

    def ensure(self) -> None:
        """Have it, whole. Raises ``OSError`` when there is no space for it."""
        status = self.files.status(self._path)
        if status is None or status.size != self.settings.ballast_bytes:
            self._make()

    def drop(self) -> None:
        """Give it up."""
        if self.files.status(self._path) is not None:
            self.files.remove(self._path)

    def regain(self) -> bool:
        """Whether there is space again: for the ballast, which is made, for a segment, and a little more."""
        wanted = self.settings.ballast_bytes + self.settings.segment_bytes + _MARGIN_BYTES
        if self.files.free_bytes(self.folder) < wanted:
            return False
        try:
            self._make()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self.drop()
            return False
        return True

    def _make(self) -> None:
        self.files.create_filled(self._path, self.settings.ballast_bytes).close()

    @property
    def _path(self) -> str:
        return f"{self.folder}/ballast"
