"""Many byte strings as one value of a statement, which PostgreSQL reads once.

A statement is text, and bytes in it are hexadecimal digits. One long literal is read in one go,
where an array of five hundred, or a JSON document with as many, is read piece by piece, JSON even
twice. Each row then takes its own piece.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Piece(NamedTuple):
    """Where a byte string lies: its first byte, counted from 1, and its length; None for NULL."""

    start: int | None
    size: int | None


class Packed(NamedTuple):
    """All the bytes, as PostgreSQL reads a bytea, and each one's place in the order given."""

    literal: str
    pieces: list[Piece]


def pack(values: Iterable[bytes | None]) -> Packed:
    """The values end to end."""
    parts, pieces, start = [], [], 1
    for value in values:
        if value is None:
            pieces.append(_NULL)
            continue
        parts.append(value)
        pieces.append(Piece(start, len(value)))
        start += len(value)
    return Packed("\\x" + b"".join(parts).hex(), pieces)


_NULL = Piece(None, None)
