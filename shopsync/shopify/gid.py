"""Global ids: `gid://shopify/Order/1`, of which the tables keep the number."""

from __future__ import annotations

PREFIX = "gid://shopify/"


def number(gid: str) -> int:
    """
    Return the numeric tail of a gid, also of one with parameters (`gid://shopify/Order/1?x=y`).

    Raises:
        ValueError: It is no gid, or its tail is no number.
    """
    tail = gid.rpartition("/")[2]
    if not tail.isdecimal():
        tail = tail.partition("?")[0]
    if not (gid.startswith(PREFIX) and tail.isdecimal() and tail.isascii()):
        raise ValueError(f"{gid[:80]!r} is not a gid with a number, such as {PREFIX}Order/1")
    return int(tail)


def kind(gid: str) -> str:
    """Return the type that a gid names (`Order`), or an empty text when it is no gid."""
    return gid.removeprefix(PREFIX).partition("/")[0] if gid.startswith(PREFIX) else ""
