"""The ballast: a file of zeros, given up when the disk is full, so that there is room to go on cleanly."""

from __future__ import annotations

from dataclasses import dataclass

from riverrun.limits import KIB
from riverrun.state.refusal import NO_SPACE
from riverrun.state.settings import LEAST_BYTES, StoreSettings, fitting
from riverrun.world import Files

#: More than what is written at once must be free before we go on, else the disk would be full again at once.
_MARGIN_BYTES = 256 * KIB


@dataclass(slots=True)
class Ballast:
    """The ballast of one state folder."""

    files: Files
    folder: str
    settings: StoreSettings
    #: The room that giving it up has made: as long as nothing more is free, nobody has made room for us.
    _given_up_bytes: int = 0

    def ensure(self) -> None:
        """Have it, as large as the disk allows. Raises ``OSError`` when there is no space for it."""
        has_bytes = self._bytes()
        fits_bytes = fitting(self.files.free_bytes(self.folder) + has_bytes, self.settings.ballast_bytes)
        if has_bytes < fits_bytes or has_bytes > self.settings.ballast_bytes:
            self._make(fits_bytes)

    def grow(self) -> None:
        """As `ensure`, where there is space."""
        try:
            self.ensure()
        except OSError as error:
            self._give_up_after(error)

    def drop(self) -> None:
        """Give it up."""
        if (has_bytes := self._bytes()) > 0:
            self._given_up_bytes = has_bytes
        self._remove()

    def regain(self, needed_bytes: int) -> bool:
        """Whether there is space again: for a small ballast, which is made, and for what is needed.

        Parameters
        ----------
        needed_bytes : what is written next.
        """
        free_bytes = self.files.free_bytes(self.folder)
        self._given_up_bytes = min(self._given_up_bytes, free_bytes)
        wanted_bytes = min(LEAST_BYTES, self.settings.ballast_bytes) + needed_bytes + _MARGIN_BYTES
        if free_bytes < self._given_up_bytes + wanted_bytes:
            return False
        try:
            self._make(fitting(free_bytes, self.settings.ballast_bytes))
        except OSError as error:
            self._give_up_after(error)
            return False
        return True

    def _make(self, size: int) -> None:
        self.files.create_filled(self._path, size).close()

    def _give_up_after(self, error: OSError) -> None:
        """What was made in vain takes no space away; but every failure other than want of space is final."""
        if error.errno not in NO_SPACE:
            raise error
        self._remove()

    def _remove(self) -> None:
        if self.files.status(self._path) is not None:
            self.files.remove(self._path)

    def _bytes(self) -> int:
        status = self.files.status(self._path)
        return 0 if status is None else status.size

    @property
    def _path(self) -> str:
        return f"{self.folder}/ballast"
