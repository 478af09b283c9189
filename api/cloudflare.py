"""
Staff who come through Cloudflare Access: the signed token that its edge adds to each request.

Whom Access lets in is Access's policy; here the token is believed when the team's own key signed it, for this
application and not too long ago. The public keys are fetched when first needed and kept. A token that names another
key has them fetched again, twice a minute at most: made-up names cost nothing.
Source: Cloudflare One, "Validate JWTs" and "Application token".
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import jwt
import msgspec
from litestar.connection import ASGIConnection

from api.problems import RETRY_AFTER_S, Refused
from api.staff import Role, Staff, unauthorized
from shopsync.settings import Settings

HEADER = "cf-access-jwt-assertion"
CERTS = "/cdn-cgi/access/certs"
ALGORITHM = "RS256"
"""The only one that Access signs with: a token may not choose how it is checked."""

LEEWAY_S = 30
"""What Cloudflare's clock and ours may differ by."""
PATIENCE_S = 2
"""For the keys: somebody waits behind them."""
PAUSE_S = 30
"""Between two fetches, however many tokens ask for one."""
FRESH_S = 3_600
"""After this the keys are fetched again, so that one which was withdrawn is not believed for long."""

log = logging.getLogger(__name__)


class _Certs(msgspec.Struct):
    keys: list[dict[str, Any]]


class TeamKeys:
    """The public keys of a team, by their names."""

    def __init__(self, team_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = team_url + CERTS
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = -math.inf
        self._failed = False
        self._lock = anyio.Lock()

    async def key(self, name: str) -> jwt.PyJWK | None:
        """
        Return a key; None when the team has none of this name.

        Raises:
            Refused: The keys cannot be had (503).
        """
        if self._is_due(name):
            async with self._lock:
                if self._is_due(name):  # whoever waited finds that it was done meanwhile
                    await self._fetch()
        if name not in self._keys and self._failed:
            detail = f"Cloudflare Access's keys cannot be had, to check its token: ask again in {RETRY_AFTER_S} s"
            raise Refused(503, detail, kind="access-unavailable", headers={"Retry-After": str(RETRY_AFTER_S)})
        return self._keys.get(name)

    def _is_due(self, name: str) -> bool:
        age_s = self._clock() - self._asked_at
        return age_s >= PAUSE_S and (name not in self._keys or self._failed or age_s >= FRESH_S)

    async def _fetch(self) -> None:
        """Fetch the keys; those that are known stay while that fails."""
        try:
            with anyio.fail_after(PATIENCE_S):
                async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
                    answer = await http.get(self._url)
            self._keys = _read(answer.raise_for_status().content)
            self._failed = False
        except (httpx.HTTPError, TimeoutError, msgspec.MsgspecError, jwt.PyJWTError) as error:
            log.warning("the keys of Cloudflare Access cannot be had from %s: %r", self._url, error)
            self._failed = True
        self._asked_at = self._clock()


class AccessDoorkeeper:
    """Knows staff by Cloudflare Access's tokens; who is not named as an operator is a viewer."""

    def __init__(self, settings: Settings, keys: TeamKeys) -> None:
        self._team_url = settings.access_team_url
        self._audience = settings.access_audience
        self._operators = {name.lower() for name in settings.access_operators}
        self._keys = keys

    async def staff(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Staff | None:
        """Return whom the token names; None without one."""
        token = connection.headers.get(HEADER)
        if token is None:
            return None
        claims = await self._claims(token)
        name = str(claims.get("email") or claims.get("common_name") or "").lower()
        if not name:
            raise _refused("names neither a person nor a service")
        return Staff(name, Role.OPERATOR if name in self._operators else Role.VIEWER)

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            name = jwt.get_unverified_header(token).get("kid")
            key = await self._keys.key(str(name))
            if key is None:
                raise _refused("is signed with a key that the team does not have")
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._team_url,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise _refused(_WORDS.get(type(error), "is not valid")) from error


_WORDS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "has expired: sign in again",
    jwt.ImmatureSignatureError: "is not valid yet: a clock is wrong",
    jwt.InvalidAudienceError: "is for another application",
    jwt.InvalidIssuerError: "is of another team",
}


def doorkeepers(settings: Settings) -> list[AccessDoorkeeper]:
    """
    Return the doorkeeper of the settings; none when Access is not configured.

    Raises:
        SettingsError: It is half configured.
    """
    settings.require_access()
    if settings.access_team_url is None:
        return []
    return [AccessDoorkeeper(settings, TeamKeys(settings.access_team_url))]


def _read(certs: bytes) -> dict[str, jwt.PyJWK]:
    known = jwt.PyJWKSet.from_dict(msgspec.structs.asdict(msgspec.json.decode(certs, type=_Certs)))
    return {key.key_id: key for key in known.keys if key.key_id and key.algorithm_name == ALGORITHM}


def _refused(problem: str) -> Refused:
    return unauthorized(f"the Cloudflare Access token {problem}", "invalid_token")
