"""Decoding the lines of many partitions of one source in one go.

Decoding some bytes costs a fixed half of a millisecond beside what each byte costs, so many senders of a
line each would take most of the time for nothing. Whole lines of several partitions are put together,
decoded once, and the frame is cut again by the number of lines of each. Only if every line became one row
this is certain to be what each decoder would have done; otherwise the partitions with trouble are sought, and
decoded by themselves.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from riverrun.limits import Limits
from riverrun.ports import Decoded, Format, JoinableDecoder
from riverrun.schema import Schema

#: Longer pieces are decoded by themselves: their bytes cost more than the fixed share.
PIECE_BYTES = 64 * 1024
#: Fewer pieces than this are not cut up further in search of those with trouble.
FEW_PIECES = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one partition, and what would decode them."""

    decoder: JoinableDecoder
    data: bytes

    @property
    def fits(self) -> bool:
        return (
            len(self.data) <= PIECE_BYTES and self.data.endswith(b"\n") and self.decoder.resting() is not None
        )


class Joint:
    """Decodes pieces of several partitions together, where that is certain to make no difference."""

    def __init__(self, form: Format, schema: Schema, limits: Limits) -> None:
        self._format, self._schema, self._limits = form, schema, limits
        self._decoders: dict[Hashable, JoinableDecoder] = {}

    def decode(self, pieces: Sequence[Piece]) -> list[Decoded | None]:
        """What came of each piece; ``None`` where its own decoder has to be asked."""
        found: list[Decoded | None] = [None] * len(pieces)
        alike: dict[Hashable, list[int]] = {}
        for place, piece in enumerate(pieces):
            if piece.fits:
                alike.setdefault(piece.decoder.resting(), []).append(place)
        for rest, places in alike.items():
            self._decode(rest, pieces, places, found)
        return found

    def _decode(
        self, rest: Hashable, pieces: Sequence[Piece], places: list[int], found: list[Decoded | None]
    ) -> None:
        if len(places) < 2:
            return
        own = [pieces[place] for place in places]
        lines = [piece.data.count(b"\n") for piece in own]
        decoder = self._decoders.pop(rest, None) or self._opened(own[0])
        together = decoder.feed(b"".join(piece.data for piece in own), 0)
        odd = sum(lines) - together.frame.height
        if not odd and not together.rejected and not together.blank:
            self._decoders[rest] = decoder  # it rests again
            _share_out(together, own, lines, places, found)
        elif len(places) >= 2 * FEW_PIECES and odd * FEW_PIECES <= len(places):
            middle = len(places) // 2
            self._decode(rest, pieces, places[:middle], found)
            self._decode(rest, pieces, places[middle:], found)

    def _opened(self, piece: Piece) -> JoinableDecoder:
        """Another decoder that rests where this one does."""
        made = self._format.open(self._schema, self._limits, piece.decoder.snapshot())
        assert isinstance(made, JoinableDecoder)
        return made


def _share_out(
    together: Decoded,
    pieces: Sequence[Piece],
    lines: Sequence[int],
    places: Sequence[int],
    found: list[Decoded | None],
) -> None:
    """Cut the frame. What was counted is told with the first piece: it is summed up over the source anyway."""
    starts = accumulate(lines, initial=0)
    counters = together.counters
    for place, piece, start, number in zip(places, pieces, starts, lines, strict=False):
        piece.decoder.pass_over(len(piece.data))
        found[place] = Decoded(together.frame.slice(start, number), counters=counters)
        counters = {}
