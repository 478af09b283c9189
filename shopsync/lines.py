"""Lines of a file that comes in pieces of any size; a leaf, which knows nothing of what a line means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineCutter:
    """Cuts pieces into lines, without their line feed; what follows the last one waits for the next piece."""

    def __init__(self) -> None:
        self._open: list[bytes] = []  # joined once, however long the line is

    def cut(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in this piece."""
        first, *others = piece.split(b"\n")
        self._open.append(first)
        if not others:
            return []
        ended = [b"".join(self._open), *others[:-1]]
        self._open = [others[-1]]
        return ended

    def rest(self) -> bytes:
        """Return the last line, which has no line feed; empty when there is none."""
        return b"".join(self._open)


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file that comes in pieces, without their line feeds; the last line may lack its own."""
    cutter = LineCutter()
    for piece in pieces:
        yield from cutter.cut(piece)
    rest = cutter.rest()
    if rest:
        yield rest
