"""
The edge: what surrounds the application, so that no answer is without it, a 404 and a 500 included.

Request ids, security headers, the limit by address, the access log and the counts of the metrics. Plain ASGI, since a
middleware of the framework never sees what is not routed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

import anyio
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from api.limits import Allowance, network_of
from api.problems import MEDIA_TYPE, Refused, problem_bytes

access_log = logging.getLogger("api.access")
log = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Set where the application did not set its own: a page that needs more than nothing says so itself."""

BODY_S = 10.0
"""How long each part of a body may be on its way."""
HEADER_BYTES = 32 * 1024
"""Of all headers: ours, a token of Cloudflare Access and a proxy's take a tenth."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Observe = Callable[[str, str, int, float], None]
"""Told each answer: method, route, status and seconds."""


class Edge:
    """An application with its surroundings."""

    def __init__(self, app: ASGIApp, allowance: Allowance, observe: Observe, body_s: float = BODY_S) -> None:
        self._body_s = body_s
        self._app = app
        self._allowance = allowance
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = cast("Scope", {**scope, "method": "GET"}), _without_body(send)
        receive = _in_time(receive, self._body_s)
        await _Exchange(scope, send).run(self._app, receive, self._allowance, self._observe)


def _without_body(send: Send) -> Send:
    """HEAD is GET whose answer has no body (RFC 9110): the framework has no such routes."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def _in_time(receive: Receive, body_s: float) -> Receive:
    """Wait for a body so long; what comes after it, the end of the connection, may take its time."""
    is_whole = False

    async def receive_soon() -> Any:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            with anyio.fail_after(body_s):
                message = await receive()
        except TimeoutError:
            raise Refused(408, f"the body did not come within {body_s:g} s", headers={"Connection": "close"}) from None
        is_whole = not message.get("more_body", False)
        return message

    return receive_soon


def _mistake(scope: Scope) -> tuple[int, str] | None:
    """Return what is wrong with the headers of a request, whatever it asks for."""
    names = {name for name, _ in scope["headers"]}
    if {b"content-length", b"transfer-encoding"} <= names:
        # Two servers that read its end differently would take a part of it for another request.
        return 400, "a body has a Content-Length or a Transfer-Encoding, not both"
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
        return 431, f"the headers have more than {HEADER_BYTES} bytes"
    return None


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Any, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._started = time.perf_counter()
        self._status = 0
        self._request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = self._request_id

    async def run(self, app: ASGIApp, receive: Receive, allowance: Allowance, observe: Observe) -> None:
        try:
            wait_s = allowance.spend(network_of(_address(self._scope)))
            if wait_s is not None:
                await self._refuse(429, f"too many requests from this address: ask again in {wait_s} s", wait_s)
            elif mistake := _mistake(self._scope):
                await self._refuse(*mistake)
            else:
                await app(self._scope, receive, self._dressed)
        except Exception:
            log.exception("the answer broke off", extra={"request_id": self._request_id})
            if not self._status:
                await self._refuse(500, "something failed that nobody foresaw; the log has it under this request_id")
        finally:
            self._tell(observe)

    async def _dressed(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            _dress(message, self._request_id)
        await self._send(message)

    async def _refuse(self, status: int, detail: str, wait_s: int | None = None) -> None:
        body = problem_bytes(status, detail, self._request_id)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        if wait_s is not None:
            headers.append((b"retry-after", str(wait_s).encode()))
        if status in {400, 431}:
            headers.append((b"connection", b"close"))
        await self._dressed({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _tell(self, observe: Observe) -> None:
        took_s = time.perf_counter() - self._started
        method, route = str(self._scope["method"]), str(self._scope.get("path_template") or "unrouted")
        observe(method, route, self._status, took_s)
        # The path without its query: what somebody searches for is none of the log's business.
        access_log.info(
            "%s %s %d",
            method,
            self._scope["path"],
            self._status,
            extra={
                "request_id": self._request_id,
                "route": route,
                "status": self._status,
                "duration_ms": round(took_s * 1000, 1),
                "staff": self._scope["state"].get("staff"),
                "address": _address(self._scope),
            },
        )


def _dress(start: HTTPResponseStartEvent, request_id: str) -> None:
    headers = list(start["headers"])
    present = {name.lower() for name, _ in headers}
    headers += [
        (name.lower().encode(), value.encode())
        for name, value in SECURITY_HEADERS.items()
        if name.lower().encode() not in present
    ]
    headers.append((b"x-request-id", request_id.encode()))
    start["headers"] = headers


def _request_id(scope: Scope) -> str:
    """Return the caller's id when it is one, so that its log and ours meet; else a new one."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _GIVEN_ID.fullmatch(given) else uuid4().hex


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"
