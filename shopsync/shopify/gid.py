"""Global ids: `gid://shopify/Order/1`, of which the tables keep the number."""

from __future__ import annotations

import re
from functools import lru_cache

PREFIX = "gid://shopify/"
_NUMBERED = re.compile(rf"{PREFIX}(?:.*/)?([0-9]+)(?:\?[^/]*)?", re.DOTALL)


def number(gid: str) -> int:
    """
    Return the numeric tail of a gid, also of one with parameters (`gid://shopify/Order/1?x=y`).

    Raises:
        ValueError: It is no gid, or its tail is no number.
    """
    tail = gid.rpartition("/")[2]
    if tail.isdecimal() and tail.isascii() and gid.startswith(PREFIX):  # nearly always, and at half the cost
        return int(tail)
    numbered = _NUMBERED.fullmatch(gid)
    if numbered is None:
        raise ValueError(f"{gid[:80]!r} is not a gid with a number, such as {PREFIX}Order/1")
    return int(numbered[1])


number_again = lru_cache(maxsize=8_192)(number)
"""`number`, for gids that come again and again: of products, variants, customers, and of a line in its sales."""


def kind(gid: str) -> str:
    """Return the type that a gid names (`Order`), or an empty text when it is no gid."""
    return gid.removeprefix(PREFIX).partition("/")[0] if gid.startswith(PREFIX) else ""
