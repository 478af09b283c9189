"""Who may ask: one static token, or a Dev Dashboard app's client credentials with tokens of 24 hours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import httpx

if TYPE_CHECKING:
    from tests.simulator.shop import Shop

LIFE = timedelta(hours=24)
EXPIRES_IN = 86_399


class Tokens:
    """Checks and hands out access tokens."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.granted: dict[str, datetime] = {}

    def accepts(self, token: str | None) -> bool:
        """Whether a token opens the Admin API now."""
        if token is None:
            return False
        if self.shop.faults.expire_tokens:
            self.shop.faults.expire_tokens = False
            self.granted.clear()
        granted_at = self.granted.get(token)
        if granted_at is not None:
            return self.shop.clock.now() < granted_at + LIFE
        return token == self.shop.token and self.shop.client_id is None

    def grant(self, request: httpx.Request) -> httpx.Response:
        """Answer POST /admin/oauth/access_token, JSON or form."""
        if self.shop.faults.take("token_error"):
            return httpx.Response(503, text="Service Unavailable")
        if "json" in request.headers.get("content-type", ""):
            try:
                asked = json.loads(request.content)
            except ValueError:
                asked = {}
        else:
            asked = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        shop = self.shop
        if asked.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "The grant type is not supported")
        if shop.client_id is None or asked.get("client_id") != shop.client_id:
            return _refused("application_cannot_be_found", "The application cannot be found")
        if asked.get("client_secret") != shop.client_secret:
            return _refused("invalid_client", "Client authentication failed")
        token = f"shpat_granted_{len(self.granted) + 1:04d}_{shop.seed}"
        while token in self.granted:
            token += "x"
        self.granted[token] = shop.clock.now()
        return httpx.Response(
            200, json={"access_token": token, "scope": ",".join(shop.scopes), "expires_in": EXPIRES_IN}
        )


def _refused(error: str, description: str) -> httpx.Response:
    return httpx.Response(400, json={"error": error, "error_description": description})
