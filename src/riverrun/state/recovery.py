"""What was found when a state folder was opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What was found when a state folder was opened.

    Parameters
    ----------
    is_new : the folder was made just now.
    checkpoint, position : number of the last checkpoint, and the last frame whose effects are in it.
    needed_from : the first frame that a start from it needs.
    frames, frame_bytes : how many frames are needed, and the bytes of their bodies.
    last : the last frame of the journal.
    segments : segments of the journal.
    dropped : what was not written whole, or damaged at the very end, and was dropped; never acknowledged,
        unless the disk damaged what had been on it.
    stepped_over : damage that costs nothing.
    filesystem : where the folder is.
    seconds : how long it took.
    """

    is_new: bool
    checkpoint: int
    position: int
    needed_from: int
    frames: int
    frame_bytes: int
    last: int
    segments: int
    dropped: tuple[str, ...]
    stepped_over: tuple[str, ...]
    filesystem: str
    seconds: float

    @property
    def text(self) -> str:
        """For people: one line, and one more for each thing that was not as it should be."""
        if self.is_new:
            return "a new state folder"
        frames = "1 frame" if self.frames == 1 else f"{self.frames:,} frames"
        first = (
            f"checkpoint {self.checkpoint} with everything up to frame {self.position}; "
            f"{frames} ({self.frame_bytes:,} bytes) of the journal behind it; {self.seconds:.3f} s"
        )
        return "\n".join([first, *self.dropped, *self.stepped_over])
