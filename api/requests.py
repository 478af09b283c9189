"""
What is refused of a request before its route sees it: parameters that it does not know, bodies that are no JSON.

A misspelt filter that is silently ignored answers another question than the one that was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.problems import FieldProblem, Refused

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site that no foreign page can bring about."""
TOLD = 20
"""Mistakes that are told at once: a long query would otherwise have a far longer answer."""


class KnownParameters:
    """A guard that refuses query parameters which the route does not have, or which come twice."""

    def __init__(self, known: Mapping[tuple[str, str], Mapping[str, bool]]) -> None:
        self._known = known

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        """Let the request pass, or raise the 400 that names each of them."""
        query = connection.scope["query_string"]
        if not query:
            return
        method = str(connection.scope.get("method", "GET"))
        known = self._known.get((method, str(connection.scope.get("path_template"))), {})
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        times = Counter(name for name, _ in given)
        errors = [FieldProblem(name, "query", _words(known)) for name in times if name not in known]
        errors += [FieldProblem(name, "query", "it is given twice") for name in known if times[name] > 1]
        # The framework would read it as nothing, and the filter would silently not apply.
        errors += [
            FieldProblem(name, "query", "null is no value: leave the parameter out")
            for name, value in given
            if value.lower() == "null" and not known.get(name, True)
        ]
        if errors:
            errors = errors[:TOLD]
            detail = "; ".join(f"{error.field}: {error.problem}" for error in errors)
            raise Refused(400, detail, kind="invalid-request", errors=errors)


def _words(known: Collection[str]) -> str:
    if not known:
        return "there is no such parameter: this route has none"
    return f"there is no such parameter: this route has {', '.join(sorted(known))}"


async def refuse_foreign_writes(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a write that another site's page sends, and a body that is not JSON: a form needs no permission."""
    if connection.scope.get("method") in SAFE:
        return
    if _is_foreign(connection):
        raise Refused(403, "a page of another site may not write here")
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = connection.headers.get("content-length", "0") != "0" or "transfer-encoding" in connection.headers
    if (media_type or has_body) and media_type != "application/json":
        raise Refused(415, "the body must be JSON: send `Content-Type: application/json`")


def _is_foreign(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Tell whether a page of another site sent a request; a program sends neither header."""
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if site is not None:
        return site.lower() not in OURS
    # Browsers of before 2023 say no more than where the page is from.
    return origin is not None and origin.partition("://")[2] != connection.headers.get("host")
