"""How a record is refused: the exception that strict code raises, and the dead letter made of it."""

from __future__ import annotations

import hashlib

from riverrun.masking import masked
from riverrun.ports import Rejected

#: How much of a refused record is kept.
HEAD_BYTES = 256
#: How much of a value is shown in a message.
SHOWN_CHARACTERS = 40


class RefusedError(Exception):
    """This record cannot become a row. Raised and caught within the decoders, never seen outside."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def reject(
    reason: str,
    detail: str,
    record: bytes,
    position: int,
    *,
    header: bytes | None = None,
    row: bytes | None = None,
    rows_before: int = 0,
) -> Rejected:
    """A dead letter of a whole record, as it came but without its newline, behind so many good rows.

    `row` is given when only a part of the record was refused: that part alone must be fed again.
    """
    return Rejected(
        reason,
        detail,
        position,
        len(record),
        record[:HEAD_BYTES],
        hashlib.sha256(record).hexdigest(),
        record if row is None else row,
        "record" if row is None else "row",
        header,
        rows_before,
    )


def shown(value: object) -> str:
    """A value of a record for a message: quoted and cut short, and masked, since anyone may read a message.

    >>> shown("abc-7")
    "'xxx-0'"
    """
    return quoted(masked(value if isinstance(value, str) else str(value)[: SHOWN_CHARACTERS + 1]))


def quoted(value: object) -> str:
    """The name of a field, or what a user is about to declare: quoted, escaped and cut short.

    >>> quoted("abc")
    "'abc'"
    """
    text = value if isinstance(value, str) else str(value)[: SHOWN_CHARACTERS + 1]
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "...")
