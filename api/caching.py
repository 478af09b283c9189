"""
Answers that a client may keep, as long as it asks whether they are still so.

An ETag over the content itself: whatever changes the answer changes the tag. Nobody but the one who asked may keep
it, since answers depend on who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec

T = TypeVar("T")

HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cf-Access-Jwt-Assertion"}

NOT_MODIFIED = {304: ResponseSpec(None, description="It is still what `If-None-Match` names.", generate_examples=False)}
"""For the `responses` of a route that answers with `unless_known`."""


def unless_known(request: Request[Any, Any, Any], content: T, headers: Mapping[str, str] | None = None) -> Response[T]:
    """Return the content, or 304 when the client has it already."""
    body = msgspec.json.encode(content)
    # Weak: the compressed answer has other bytes and the same meaning.
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    given = {**HEADERS, **(headers or {}), "ETag": tag}
    known = {entry.strip() for entry in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(cast("T", None), status_code=304, headers=given)
    return Response(cast("T", body), headers=given, media_type="application/json")
