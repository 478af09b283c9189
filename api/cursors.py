"""
Cursors of listings: opaque, and bound to the filters that they were made under.

A cursor says where a page ended. With other filters it would silently continue another list, so it is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from api.problems import Refused, invalid

Position = TypeVar("Position")
Found = TypeVar("Found")

NAME = "cursor"
NOT_OURS = "it is not one that this listing gave: take next_cursor, or leave it out"

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="Rows of a page.")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=512, description="`next_cursor` of the page before, under the same filters.")
]


def write_cursor(position: object, filters: object) -> str:
    """Return the cursor of a position (a struct or a dataclass) under these filters."""
    packed = msgspec.json.encode([_fingerprint(filters), position])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(text: str | None, position: type[Position], filters: object) -> Position | None:
    """
    Return the position of a cursor; None without one.

    Raises:
        Refused: It is none of ours, or was made under other filters.
    """
    if text is None:
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        fingerprint, found = msgspec.json.decode(packed, type=tuple[str, position])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _refused(NOT_OURS) from None
    if not all(map(_storable, msgspec.to_builtins(found, builtin_types=(datetime,)).values())):
        raise _refused(NOT_OURS)
    if fingerprint != _fingerprint(filters):
        raise _refused("it was given under other filters: send the same ones, or leave it out")
    return found


def cut_page(
    found: Sequence[Found], limit: int, position: Callable[[Found], object], filters: object
) -> tuple[Sequence[Found], str | None]:
    """Return a page of at most `limit` rows and the cursor of the next one, which a row beyond the limit tells of."""
    page = found[:limit]
    return page, write_cursor(position(page[-1]), filters) if len(found) > limit else None


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the `Link` header that leads to the next page; nothing on the last one."""
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != NAME]
    return {"Link": f'<{request.url.path}?{urlencode([*query, (NAME, cursor)])}>; rel="next"'}


def _fingerprint(filters: object) -> str:
    return hashlib.sha256(msgspec.json.encode(filters)).hexdigest()[:16]


def _storable(value: object) -> bool:
    """Whether a column can be compared with it: a position that is forged may have the shape of ours and no sense."""
    if isinstance(value, datetime):
        return value.tzinfo is not None and MINYEAR < value.year < MAXYEAR
    return not isinstance(value, int) or abs(value) < 2**63


def _refused(problem: str) -> Refused:
    return invalid(NAME, "query", problem)
