"""Values of records as people may see them: their shape, and nothing of what they say.

Whoever reads a log or looks at a dashboard need not be allowed to read the data. A refused record mostly shows
what is wrong with it by its shape: too few fields, a word where a number should be.
"""

from __future__ import annotations


class _Masks(dict[int, str]):
    """For `str.translate`: by code point, what stands for it."""

    def __missing__(self, code: int) -> str:
        self[code] = mask = _mask_of(chr(code))
        return mask


def _mask_of(character: str) -> str:
    if character.isnumeric():
        return "0"
    # Beyond ASCII even a sign can be a word.
    return "x" if character.isalpha() or not character.isascii() else character


_MASKS = _Masks()
#: What `errors="surrogateescape"` makes of bytes that are not UTF-8.
_NO_TEXT = dict.fromkeys(range(0xDC80, 0xDD00), "\\x??")


def masked(text: str) -> str:
    """Letters become ``x``, digits ``0``; spaces, punctuation and the length stay.

    >>> masked('{"name": "Ada", "born": 1815-12-10}')
    '{"xxxx": "xxx", "xxxx": 0000-00-00}'
    """
    return text.translate(_MASKS)


def masked_bytes(data: bytes) -> str:
    """Bytes of a record, masked, as text that is fit to be printed: control characters are spelled out.

    >>> masked_bytes(b"Ada,\\xff\\n")
    'xxx,\\\\x??\\\\n'
    """
    text = data.decode(errors="surrogateescape")
    pieces = (_NO_TEXT.get(ord(character)) or _spelled(character.translate(_MASKS)) for character in text)
    return "".join(pieces)


def unmasked_bytes(data: bytes) -> str:
    """Bytes of a record as they are, fit to be printed.

    >>> unmasked_bytes(b"Ada,\\xff\\n")
    'Ada,\\\\xff\\\\n'
    """
    return "".join(map(_spelled, data.decode(errors="backslashreplace")))


def _spelled(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
