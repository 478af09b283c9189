"""The Admin client: what each of Shopify's answers means."""

import json
from typing import Any

import httpx
import pytest

from shopsync.errors import (
    ApiVersionMismatch,
    MissingScopes,
    QueryRefused,
    ShopifyError,
    ShopifyUnavailable,
    ShopRefused,
    Throttled,
    TokenRefused,
    UnexpectedAnswer,
)
from shopsync.shopify.admin import REQUIRED_SCOPES, Shop, ShopAccess
from tests.unit.shopify.fakes import URL, Clock, Script, client, graphql

DATA = {"shop": {"name": "x"}}
GOOD = graphql({"data": DATA})
UNAUTHORIZED = httpx.Response(401, json={"errors": "[API] Invalid API key or access token"})


def refused(code: str, message: str = "said", **more: Any) -> httpx.Response:
    """Return a GraphQL answer with one coded error."""
    return graphql({"errors": [{"message": message, "extensions": {"code": code, **more}}], "data": DATA})


def cost(requested: Any, available: Any, rate: Any) -> dict[str, Any]:
    """Return the extensions of a throttled answer."""
    bucket = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": bucket}}


def test_sends_query_with_token() -> None:
    """A query goes to the pinned version's endpoint with the token in its header."""
    shop = Script(GOOD)

    data = client(shop).execute("{ shop { name } }", {"a": 1})

    request = shop.requests[0]
    assert data == DATA
    assert str(request.url) == f"{URL}/admin/api/2026-10/graphql.json"
    assert request.headers["x-shopify-access-token"] == "shpat_1"
    assert json.loads(request.content) == {"query": "{ shop { name } }", "variables": {"a": 1}}


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (
            httpx.Response(400, json={"errors": {"query": "Required parameter missing"}}),
            QueryRefused,
            "query: Required",
        ),
        (httpx.Response(402, json={"errors": "plan without access"}), ShopRefused, "402: plan without access"),
        (httpx.Response(403, json={"errors": [{"message": "no"}, "way"]}), ShopRefused, "403: no; way"),
        (httpx.Response(404, text="<html>"), ShopRefused, "404: Not Found"),
        (httpx.Response(430, json={}), ShopRefused, "430"),
        (httpx.Response(403, json=["x"]), ShopRefused, "403: Forbidden"),
        (
            httpx.Response(301, headers={"location": "https://new.myshopify.com/x?y"}),
            ShopRefused,
            "//new.myshopify.com now",
        ),
        (httpx.Response(408), ShopifyUnavailable, "408"),
        (httpx.Response(503, json={"errors": "An unexpected error occurred"}), ShopifyUnavailable, "503 An unexpected"),
        (httpx.ConnectError("refused"), ShopifyUnavailable, "refused. Check SHOPSYNC_SHOPIFY_URL"),
        (httpx.ReadTimeout("slow"), ShopifyUnavailable, "no answer in time"),
        (httpx.RemoteProtocolError("bad"), ShopifyUnavailable, "RemoteProtocolError"),
        (httpx.Response(200, text="<html>"), ShopifyUnavailable, "not JSON"),
        (httpx.Response(200, json=[]), ShopifyUnavailable, "no JSON object"),
        (graphql({}), ShopifyUnavailable, "neither data nor errors"),
        (graphql({"data": None}), ShopifyUnavailable, "neither data nor errors"),
        (graphql({"errors": "Not Found"}), QueryRefused, "Not Found"),
        (graphql({"errors": {"base": ["a", "b"]}}), QueryRefused, "base: a; b"),
        (refused("undefinedField", "no\nsuch field"), QueryRefused, "no such field .request req-7"),
        (refused("MAX_COST_EXCEEDED"), QueryRefused, "said"),
        (refused("INTERNAL_SERVER_ERROR"), ShopifyUnavailable, "said"),
        (refused("SHOP_INACTIVE"), ShopRefused, "200: said"),
        (refused("ACCESS_DENIED"), ShopRefused, "access denied: said"),
        (refused("ACCESS_DENIED", requiredAccess="`read_orders` access scope."), MissingScopes, "read_orders"),
        (graphql({"data": DATA}, version="2026-01"), ApiVersionMismatch, "2026-01 instead of the pinned 2026-10"),
        (httpx.Response(200, json={"data": DATA}), ApiVersionMismatch, "unknown"),
        (UNAUTHORIZED, TokenRefused, "Invalid API key"),
    ],
)
def test_names_each_failure(answer: httpx.Response | Exception, error: type[ShopifyError], text: str) -> None:
    """Each answer that is no whole success is one of our errors, named by what to do next."""
    shop = Script(answer)

    with pytest.raises(error, match=text) as caught:
        client(shop).send("{ shop { name } }")

    assert "shpat_1" not in f"{caught.value} {caught.value!r}"
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (
            graphql(
                {
                    "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
                    "extensions": cost(752, 252, 50.0),
                }
            ),
            10.0,
        ),
        (graphql({"errors": [{"extensions": {"code": "THROTTLED"}}], "extensions": cost(10, 9, 100)}), 1.0),
        (graphql({"errors": [{"extensions": {"code": "THROTTLED"}}], "extensions": cost(10, 0, 0)}), 1.0),
        (graphql({"errors": [{"extensions": {"code": "THROTTLED"}}]}), 1.0),
        (httpx.Response(429, headers={"retry-after": "4.0"}), 4.0),
        (httpx.Response(429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), 10.0),
        (httpx.Response(429), 10.0),
        (httpx.Response(423, json={"errors": "This shop is unavailable"}), 300.0),
    ],
)
def test_throttled_says_how_long(answer: httpx.Response, wait_s: float) -> None:
    """A throttled call knows its wait: from the query's cost, from Retry-After, or long for a locked shop."""
    with pytest.raises(Throttled) as caught:
        client(Script(answer)).send("{ shop { name } }")

    assert caught.value.retry_after_s == wait_s


def test_asks_again_after_failures() -> None:
    """Failures that may pass are asked again, with the waits that they deserve."""
    clock = Clock()
    shop = Script(httpx.ConnectError("x"), httpx.Response(429, headers={"retry-after": "9"}), GOOD)

    data = client(shop, clock).execute("{ shop { name } }")

    assert (data, clock.naps) == (DATA, [2, 9])


def test_partial_data_is_refused() -> None:
    """Data beside an error is not taken for the whole."""
    with pytest.raises(QueryRefused):
        client(Script(refused("SOME_ERROR"))).execute("{ shop { name } }")


def test_static_token_is_refused_at_once() -> None:
    """A token that was given cannot be renewed."""
    shop = Script(UNAUTHORIZED)

    with pytest.raises(TokenRefused):
        client(shop).execute("{ shop { name } }")

    assert len(shop.requests) == 1


CREDENTIALS: dict[str, Any] = {"client_id": "app-1", "client_secret": "hush-hush"}


def granted(token: str, expires_in: float = 86399) -> httpx.Response:
    """Return the answer of a token grant."""
    return httpx.Response(200, json={"access_token": token, "scope": "read_orders", "expires_in": expires_in})


def test_grants_a_token_once() -> None:
    """Client credentials are exchanged for a token, which is kept while it lives."""
    shop = Script(granted("t1"), GOOD, GOOD)
    admin = client(shop, **CREDENTIALS)

    admin.execute("{ shop { name } }")
    admin.execute("{ shop { name } }")

    assert str(shop.requests[0].url) == f"{URL}/admin/oauth/access_token"
    assert shop.requests[0].content == b"grant_type=client_credentials&client_id=app-1&client_secret=hush-hush"
    assert [request.headers["x-shopify-access-token"] for request in shop.requests[1:]] == ["t1", "t1"]


def test_renews_before_expiry() -> None:
    """A token is renewed shortly before it expires."""
    clock = Clock()
    shop = Script(granted("t1"), GOOD, granted("t2"), GOOD)
    admin = client(shop, clock, **CREDENTIALS)

    admin.execute("{ shop { name } }")
    clock.sleep(86399 - 200)
    admin.execute("{ shop { name } }")

    assert shop.requests[3].headers["x-shopify-access-token"] == "t2"


def test_renews_a_refused_token() -> None:
    """A granted token that is refused in mid-run is renewed once."""
    shop = Script(granted("t1"), UNAUTHORIZED, granted("t2"), GOOD)

    assert client(shop, **CREDENTIALS).execute("{ shop { name } }") == DATA


def test_renews_only_once() -> None:
    """A fresh token that is refused too is not renewed again."""
    shop = Script(granted("t1"), UNAUTHORIZED, granted("t2"), UNAUTHORIZED)

    with pytest.raises(TokenRefused):
        client(shop, **CREDENTIALS).execute("{ shop { name } }")


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (httpx.Response(400, text="<p>Oauth error app_not_installed: no</p>"), TokenRefused, "app_not_installed: no"),
        (httpx.Response(401, json={"error": "invalid_client"}), TokenRefused, "invalid_client"),
        (httpx.Response(404), ShopRefused, "404"),
        (httpx.Response(502), ShopifyUnavailable, "502"),
        (httpx.Response(200, json={"access_token": "t1"}), UnexpectedAnswer, "token grant"),
    ],
)
def test_grant_may_be_refused(answer: httpx.Response, error: type[ShopifyError], text: str) -> None:
    """Refused credentials are told from a shop that does not answer."""
    with pytest.raises(error, match=text) as caught:
        client(Script(answer), **CREDENTIALS).send("{ shop { name } }")

    assert "hush-hush" not in f"{caught.value} {caught.value!r}"


def test_secrets_are_not_shown() -> None:
    """The repr of an access holds no secret."""
    assert "s3cret" not in repr(ShopAccess(URL, "2026-10", "s3cret-1", "id", "s3cret-2"))


def shop_answer(*scopes: str) -> httpx.Response:
    """Return what the shop says of itself."""
    shop = {"myshopifyDomain": "shop.myshopify.com", "ianaTimezone": "Europe/Berlin", "currencyCode": "EUR"}
    installation = {"accessScopes": [{"handle": scope} for scope in scopes]}
    return graphql({"data": {"shop": shop, "currentAppInstallation": installation}})


def test_shop_tells_of_itself() -> None:
    """One query tells the shop's domain, time zone, currency and the app's scopes."""
    shop = client(Script(shop_answer(*REQUIRED_SCOPES))).shop()

    assert Shop("shop.myshopify.com", "Europe/Berlin", "EUR", frozenset(REQUIRED_SCOPES)) == shop
    shop.require_scopes()


def test_missing_scope_is_named() -> None:
    """A scope without which orders would be missing silently is named before the request."""
    shop = client(Script(shop_answer("read_orders", "read_products", "read_customers"))).shop()

    with pytest.raises(MissingScopes, match="scope read_all_orders:"):
        shop.require_scopes()


def test_unknown_shape_is_told() -> None:
    """An answer of another shape than the query's is not guessed at."""
    with pytest.raises(UnexpectedAnswer, match="currentAppInstallation"):
        client(
            Script(graphql({"data": {"shop": {"myshopifyDomain": "a", "ianaTimezone": "b", "currencyCode": "c"}}}))
        ).shop()
