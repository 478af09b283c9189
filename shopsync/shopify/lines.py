"""A line of a JSONL file: its number, its content, and what may be wrong with it."""

from __future__ import annotations

import msgspec

from shopsync.lines import BYTE_ORDER_MARK

UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""What reading a line raises, whatever its bytes are; `plainly` tells which it was."""


class Line(bytes):
    """A line that remembers its number in the file that Shopify sent, counted from 1."""

    number: int

    @classmethod
    def numbered(cls, number: int, text: bytes) -> Line:
        """Return the line `text` with its number."""
        line = cls(text)
        line.number = number
        return line


def content(line: bytes, number: int) -> bytes:
    """Return a line without what is no content: a byte order mark on the first; empty for a blank line."""
    if number == 1:
        line = line.removeprefix(BYTE_ORDER_MARK)
    return b"" if line.isspace() else line


def require_utf8(line: bytes) -> None:
    """Raise UnicodeDecodeError for a line that is no text; msgspec does not look into fields that nobody reads."""
    if not line.isascii():
        line.decode("utf-8")


def plainly(error: Exception) -> str:
    """Return what is wrong with a line, without its content."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, OverflowError):
        return "a time in it is in no year from 1 to 9999 in UTC"
    if isinstance(error, msgspec.ValidationError):
        return f"it is not what the query asked for: {error}"
    if isinstance(error, msgspec.DecodeError):
        return f"it is not JSON: {error}"
    return str(error)
