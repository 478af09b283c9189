"""
Who may do what: staff tokens, roles, and the guard that every route passes.

A route names its role in its `opt` (`**open_to(Role.VIEWER)`), as data that a test can iterate; a route without one
is for nobody. Tokens are known by their SHA-256 alone, compared in constant time, and end by themselves.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Protocol

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.problems import Refused
from shopsync.errors import SettingsError

ROLE = "role"
"""The key under which a route's `opt` holds its role."""

SCHEME = "bearer "


class Role(IntEnum):
    """What somebody may do; each may all that is before it."""

    ANYONE = 0
    VIEWER = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Staff:
    """Who asks: `name` is for logs and for limits."""

    name: str
    role: Role


class StaffToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of SHOPSYNC_API_TOKENS."""

    name: str
    role: str
    sha256: str
    expires_at: datetime | None = None


class Doorkeeper(Protocol):
    """A way to tell who asks."""

    async def staff(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Staff | None:
        """Return who asks; None when the request carries nothing of this kind; raise Refused for what is not valid."""
        ...


class TokenDoorkeeper:
    """Knows staff by their bearer tokens."""

    def __init__(self, tokens: Sequence[StaffToken], now: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._now = now

    async def staff(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Staff | None:
        """Return whose token the Authorization header has; None without the header."""
        header = connection.headers.get("authorization")
        if header is None:
            return None
        if not header.lower().startswith(SCHEME):
            raise unauthorized("the Authorization header is not `Bearer <token>`", "invalid_request")
        digest = hash_token(header[len(SCHEME) :].strip())
        # Every one is compared, so that the time tells nothing.
        found = [token for token in self._tokens if hmac.compare_digest(token.sha256, digest)]
        live = [token for token in found if token.expires_at is None or token.expires_at > self._now()]
        if not live:
            raise unauthorized("the token has expired" if found else "the token is not known", "invalid_token")
        return Staff(live[0].name, Role[live[0].role.upper()])


def hash_token(secret: str) -> str:
    """Return what SHOPSYNC_API_TOKENS keeps of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def read_tokens(text: str) -> list[StaffToken]:
    """
    Read the value of SHOPSYNC_API_TOKENS.

    Raises:
        SettingsError: It is no list of {name, role, sha256, expires_at?}.
    """
    try:
        tokens = msgspec.json.decode(text or "[]", type=list[StaffToken])
    except msgspec.DecodeError as error:
        raise SettingsError("SHOPSYNC_API_TOKENS", f"is malformed: it expects {_EXPECTED} ({error})") from error
    for token in tokens:
        if problem := _problem(token):
            raise SettingsError("SHOPSYNC_API_TOKENS", f"is malformed: it expects {_EXPECTED} ({problem})")
    return tokens


_EXPECTED = "a JSON list of {name, role, sha256, expires_at?}"


def _problem(token: StaffToken) -> str:
    if token.role not in {"viewer", "operator"}:
        return f"the role of {token.name} is neither viewer nor operator"
    if len(token.sha256) != 64 or set(token.sha256) - set("0123456789abcdef"):
        return f"the sha256 of {token.name} is not 64 hexadecimal digits in lower case"
    if token.expires_at is not None and token.expires_at.tzinfo is None:
        return f"expires_at of {token.name} has no time zone"
    return "" if token.name.strip() else "a token has no name"


def open_to(role: Role) -> dict[str, Role]:
    """Return the `opt` of a route, or of a router, that is for a role and those above it."""
    return {ROLE: role}


def role_of(handler: BaseRouteHandler) -> Role:
    """Return whom a route is for; one that does not say is a mistake of ours."""
    role = handler.opt.get(ROLE)
    if not isinstance(role, Role):
        raise TypeError(f"the route {handler} does not say whom it is for")
    return role


def unauthorized(detail: str, error: str = "") -> Refused:
    """Return the 401 that says how to ask (RFC 6750)."""
    challenge = 'Bearer realm="shopsync"' + (f', error="{error}"' if error else "")
    return Refused(401, detail, headers={"WWW-Authenticate": challenge})


class Admission:
    """The guard of all routes: finds out who asks, and whether they may."""

    def __init__(self, doorkeepers: Sequence[Doorkeeper], spend: Callable[[Staff], None]) -> None:
        self._doorkeepers = doorkeepers
        self._spend = spend

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Let the request pass, or raise Refused: 401, 403 or 429."""
        role = role_of(handler)
        if role is Role.ANYONE:
            return
        staff = await self._who(connection)
        connection.scope["user"] = staff
        connection.scope["state"]["staff"] = staff.name
        if staff.role < role:
            raise Refused(403, f"this needs the role {role.name.lower()}; {staff.name} is {staff.role.name.lower()}")
        self._spend(staff)

    async def _who(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Staff:
        for doorkeeper in self._doorkeepers:
            if (staff := await doorkeeper.staff(connection)) is not None:
                return staff
        raise unauthorized("this needs a token: send `Authorization: Bearer <token>`")
