"""
The way into a shop's Admin API: its address, the pinned version, and access tokens.

A token is either given, and lives until somebody revokes it, or granted for a day in exchange for a Dev Dashboard
app's client credentials. Secrets appear in no repr and in no message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import msgspec

from shopsync.errors import TokenRefused, UnexpectedAnswer
from shopsync.shopify.answers import decoded, post, refuse_status, said

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed this long before it expires, so that none expires on its way."""


@dataclass(frozen=True, slots=True)
class ShopAccess:
    """Where the shop is, which API version it must serve, and one way to an access token."""

    url: str
    api_version: str
    token: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class AccessTokens:
    """The access token to send now: the given one, or the granted one while it lives."""

    def __init__(self, access: ShopAccess, http: httpx.Client, now: Callable[[], datetime]) -> None:
        self._access = access
        self._http = http
        self._now = now
        self._granted = ""
        self._renew_at: datetime | None = None

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be replaced."""
        return self._access.token is None

    def current(self) -> str:
        """
        Return the token, granted anew when the last one is about to expire.

        Raises:
            TokenRefused: The client credentials are not valid for this shop.
            ShopifyError: The shop does not answer, or refuses.
        """
        if self._access.token is not None:
            return self._access.token
        if self._renew_at is None or self._now() >= self._renew_at:
            self._renew()
        return self._granted

    def discard(self) -> None:
        """Forget the granted token, because Shopify refuses it."""
        self._renew_at = None

    def _renew(self) -> None:
        shop = self._access.url
        credentials = {
            "grant_type": "client_credentials",
            "client_id": self._access.client_id,
            "client_secret": self._access.client_secret,
        }
        response = post(self._http, shop, f"{shop}/admin/oauth/access_token", data=credentials)
        if response.status_code in {400, 401, 403}:
            raise TokenRefused(shop, said(response))
        refuse_status(shop, response)
        try:
            grant = msgspec.convert(decoded(shop, response), _Grant)
        except msgspec.ValidationError as error:
            raise UnexpectedAnswer(f"a token grant without token or lifetime ({error})") from error
        lifetime = timedelta(seconds=grant.expires_in)
        self._granted = grant.access_token
        self._renew_at = self._now() + max(lifetime - RENEW_BEFORE, lifetime / 2)
