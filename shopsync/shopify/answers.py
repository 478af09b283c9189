"""
Shopify's answers, and what each failure among them means.

It knows HTTP statuses, the three shapes of `errors` (text, list, object) and the codes inside; it never waits.
Source: shopify.dev, Admin API response codes and rate limits.
"""

from __future__ import annotations

import logging
import re
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import httpx

from shopsync.errors import MissingScopes, QueryRefused, ShopifyUnavailable, ShopRefused, Throttled

TIMEOUT = httpx.Timeout(60, connect=10)
"""Shopify ends its own work after about 30 s; a minute without a byte is an outage."""

EDGE_WAIT_S = 10.0
"""Wait after a 429 that does not say how long."""

LOCKED_WAIT_S = 300.0
"""Wait after a 423: the shop is locked after too many violations of limits, asking soon prolongs it."""

LONGEST_QUOTE = 300

_log = logging.getLogger(__name__)


def post(http: httpx.Client, shop: str, url: str, **content: Any) -> httpx.Response:
    """
    Send one POST, never following a redirect (which would make it a GET), and return whatever is answered.

    Raises:
        ShopifyUnavailable: Nothing was answered; what was sent may nevertheless have been done.
    """
    try:
        response = http.post(url, timeout=TIMEOUT, follow_redirects=False, **content)
    except httpx.TimeoutException as error:
        raise ShopifyUnavailable(shop, f"no answer in time ({type(error).__name__})") from error
    except httpx.ConnectError as error:
        problem = f"{error or 'no connection'}. Check SHOPSYNC_SHOPIFY_URL and the network"
        raise ShopifyUnavailable(shop, problem) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ShopifyUnavailable(shop, f"{type(error).__name__}: {error}") from error
    _log.debug("%s answered %s, request %s", shop, response.status_code, request_id(response))
    return response


def decoded(shop: str, response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, or raise ShopifyUnavailable: something on the way answered instead."""
    try:
        body = response.json()
    except ValueError as error:
        raise ShopifyUnavailable(shop, f"an answer that is not JSON{_named(response)}") from error
    if not isinstance(body, dict):
        raise ShopifyUnavailable(shop, f"an answer that is no JSON object{_named(response)}")
    return cast("dict[str, Any]", body)


def refuse_status(shop: str, response: httpx.Response) -> None:
    """
    Raise what an HTTP status other than 200 means; 401 is the caller's to judge first.

    Raises:
        Throttled: 429, or 423, which asks for a long wait.
        ShopifyUnavailable: 408 or 5xx.
        QueryRefused: 400.
        ShopRefused: A redirect, or any other status that waiting does not mend.
    """
    status = response.status_code
    if status == 200:
        return
    if status == 429:
        raise Throttled(_retry_after_s(response, EDGE_WAIT_S))
    if status == 423:
        _log.warning("%s is locked: %s", shop, said(response))
        raise Throttled(_retry_after_s(response, LOCKED_WAIT_S))
    if status == 408 or status >= 500:
        raise ShopifyUnavailable(shop, f"{status} {said(response)}")
    if status == 400:
        raise QueryRefused(said(response))
    if response.has_redirect_location:
        target = urlsplit(response.headers["location"])
        raise ShopRefused(shop, status, f"the shop is at {target.scheme}://{target.netloc} now")
    raise ShopRefused(shop, status, said(response))


def refuse_errors(shop: str, body: dict[str, Any], response: httpx.Response) -> None:
    """
    Raise what the `errors` of a GraphQL answer mean; data beside errors is partial and never used.

    Raises:
        Throttled: The app's bucket is empty; the wait is computed from the query's cost.
        ShopifyUnavailable: An internal error of Shopify's.
        MissingScopes: Access is denied, and Shopify says which scope it takes.
        ShopRefused: Access is denied without a scope that would mend it, or the shop is inactive.
        QueryRefused: Anything else.
    """
    errors = body.get("errors")
    if not errors:
        return
    codes = _codes(errors)
    message = _text(errors) + _named(response)
    if "THROTTLED" in codes:
        raise Throttled(_bucket_wait_s(body))
    if codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"}:
        raise ShopifyUnavailable(shop, message)
    if "ACCESS_DENIED" in codes:
        _refuse_access(shop, errors, message)
    if "SHOP_INACTIVE" in codes:
        raise ShopRefused(shop, response.status_code, message)
    raise QueryRefused(message)


def said(response: httpx.Response) -> str:
    """Return in one short line what a refusal says, with the id that Shopify's support asks for."""
    try:
        body = response.json()
    except ValueError:
        # Shopify's OAuth errors are web pages.
        found = re.search(r"Oauth error [^<\n]*", response.text)
        text = found.group() if found else response.reason_phrase
    else:
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        words = fields.get("errors") or fields.get("error_description") or fields.get("error")
        text = _text(words) if words else response.reason_phrase
    return text[:LONGEST_QUOTE] + _named(response)


def request_id(response: httpx.Response) -> str:
    """Return Shopify's id of the request, by which its support finds it."""
    return response.headers.get("x-request-id", "")


def _named(response: httpx.Response) -> str:
    name = request_id(response)
    return f" (request {name})" if name else ""


def _text(errors: Any) -> str:
    """Return the words of `errors`, be it a text, a list of objects or an object."""
    if isinstance(errors, list):
        listed = cast("list[Any]", errors)
        text = "; ".join(_text(error) for error in listed)
    elif isinstance(errors, dict):
        fields = cast("dict[str, Any]", errors)
        message = fields.get("message")
        text = str(message) if message else "; ".join(f"{name}: {_text(what)}" for name, what in fields.items())
    else:
        text = str(errors)
    return " ".join(text.split())[:LONGEST_QUOTE]


def _codes(errors: Any) -> set[str]:
    return {str(extensions.get("code")) for extensions in _extensions(errors)}


def _extensions(errors: Any) -> list[dict[str, Any]]:
    listed = cast("list[Any]", errors) if isinstance(errors, list) else [errors]
    objects = [cast("dict[str, Any]", error) for error in listed if isinstance(error, dict)]
    found = [error.get("extensions") for error in objects]
    return [cast("dict[str, Any]", extensions) for extensions in found if isinstance(extensions, dict)]


def _refuse_access(shop: str, errors: Any, message: str) -> NoReturn:
    required = " ".join(str(extensions.get("requiredAccess", "")) for extensions in _extensions(errors))
    scopes = sorted(set(re.findall(r"\b(?:read|write)_[a-z_]+", f"{required} {message}")))
    if scopes:
        raise MissingScopes(tuple(scopes))
    raise ShopRefused(shop, 200, f"access denied: {message}")


def _bucket_wait_s(body: dict[str, Any]) -> float:
    """Return how long the bucket takes to hold the query's cost, at least a second."""
    try:
        cost = body["extensions"]["cost"]
        bucket = cost["throttleStatus"]
        lacking = float(cost["requestedQueryCost"]) - float(bucket["currentlyAvailable"])
        return max(1.0, lacking / float(bucket["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0


def _retry_after_s(response: httpx.Response, otherwise_s: float) -> float:
    try:
        return max(1.0, float(response.headers.get("retry-after", otherwise_s)))
    except ValueError:
        return otherwise_s
