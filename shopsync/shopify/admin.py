"""
The Admin GraphQL client: one query in, its whole data out, or one of our errors.

It knows tokens, the pinned version and which failures are worth asking again; waiting is the business of its Patience.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar, cast

import httpx
import msgspec

from shopsync.errors import (
    ApiVersionMismatch,
    MissingScopes,
    ShopifyUnavailable,
    TokenRefused,
    UnexpectedAnswer,
)
from shopsync.patience import Patience
from shopsync.shopify.access import AccessTokens, ShopAccess
from shopsync.shopify.answers import decoded, post, refuse_errors, refuse_status, said

REQUIRED_SCOPES = {
    "read_orders": "orders, their lines, refunds and sales",
    "read_all_orders": "orders older than 60 days, which are silently left out otherwise",
    "read_products": "the product of an order line",
    "read_customers": "the customer of an order",
}
"""Access scopes without which an export fails or is silently incomplete, and what each is for."""

_Shape = TypeVar("_Shape")


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop behind the address: its permanent domain, its time zone (IANA), its currency, the app's scopes."""

    domain: str
    timezone: str
    currency: str
    scopes: frozenset[str]

    def require_scopes(self) -> None:
        """Raise MissingScopes when the app lacks one of REQUIRED_SCOPES."""
        missing = tuple(scope for scope in REQUIRED_SCOPES if scope not in self.scopes)
        if missing:
            raise MissingScopes(missing)


class _Scope(msgspec.Struct):
    handle: str


class _Installation(msgspec.Struct, rename="camel"):
    access_scopes: list[_Scope]


class _Shop(msgspec.Struct):
    domain: str = msgspec.field(name="myshopifyDomain")
    timezone: str = msgspec.field(name="ianaTimezone")
    currency: str = msgspec.field(name="currencyCode")


class _ShopAnswer(msgspec.Struct):
    shop: _Shop
    installation: _Installation = msgspec.field(name="currentAppInstallation")


class AdminClient:
    """
    One shop's Admin API.

    Args:
        access: The shop, the pinned version and its credentials.
        http: Its timeouts and redirects are overruled; it is the caller's to close.
        patience: How long failures that may pass are retried.
    """

    def __init__(self, access: ShopAccess, http: httpx.Client, patience: Patience) -> None:
        self.http = http
        self.url = access.url
        self._access = access
        self._patience = patience
        self._tokens = AccessTokens(access, http, patience.now)

    def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Return the whole data of a query, asking again while that may help.

        Raises:
            ShopifyError: Shopify refuses; see `send`.
            RetryBudgetSpent: It did not answer until the patience's deadline.
        """
        return self._patience.call(lambda: self.send(query, variables))

    def send(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Return the whole data of a query or mutation, sent once.

        Raises:
            Throttled: Wait, then send again: nothing was done.
            ShopifyUnavailable: No usable answer; a mutation may have been done nevertheless.
            TokenRefused: The token is not valid, also after its renewal.
            ApiVersionMismatch: Another version than the pinned one was served.
            ShopifyError: Refused in another way, see `answers`.
        """
        shop = self._access.url
        response = self._post({"query": query, "variables": variables or {}})
        if response.status_code == 401:
            raise TokenRefused(shop, said(response))
        refuse_status(shop, response)
        body = decoded(shop, response)
        served = response.headers.get("x-shopify-api-version", "")
        if served != self._access.api_version:
            raise ApiVersionMismatch(self._access.api_version, served)
        refuse_errors(shop, body, response)
        data = body.get("data")
        if not isinstance(data, dict):
            raise ShopifyUnavailable(shop, "an answer with neither data nor errors")
        return cast("dict[str, Any]", data)

    def shop(self) -> Shop:
        """Return the shop and the app's scopes."""
        answer = converted(self.execute(document("shop")), _ShopAnswer)
        scopes = frozenset(scope.handle for scope in answer.installation.access_scopes)
        return Shop(answer.shop.domain, answer.shop.timezone, answer.shop.currency, scopes)

    def _post(self, content: dict[str, Any]) -> httpx.Response:
        response = self._post_once(content)
        if response.status_code == 401 and self._tokens.renewable:
            self._tokens.discard()
            response = self._post_once(content)
        return response

    def _post_once(self, content: dict[str, Any]) -> httpx.Response:
        access = self._access
        headers = {"X-Shopify-Access-Token": self._tokens.current(), "Accept": "application/json"}
        url = f"{access.url}/admin/api/{access.api_version}/graphql.json"
        return post(self.http, access.url, url, json=content, headers=headers)


@cache
def document(name: str) -> str:
    """Return a GraphQL document of this package."""
    return (files("shopsync.shopify") / "queries" / f"{name}.graphql").read_text("utf-8")


def converted(data: Any, shape: type[_Shape]) -> _Shape:
    """Return data in the shape that the query asked for, or raise UnexpectedAnswer."""
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswer(str(error)) from error
