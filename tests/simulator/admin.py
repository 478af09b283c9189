"""
The GraphQL endpoint: tokens, versions, cost, faults, and the shape of every answer.

Cost: run and cancel 10 points, a node 1, a connection 4 plus its page; bucket of 2000, restored by 100 a
second, as recorded. Versions fall forward to the oldest supported one.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from graphql import (
    GraphQLError,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    execute_sync,
    get_variable_values,
    parse,
)

from tests.simulator.fields import is_connection
from tests.simulator.roots import Roots
from tests.simulator.rules import Selected, operation_of, selected
from tests.simulator.schema import checked, schema_of

if TYPE_CHECKING:
    from tests.simulator.shop import Shop

BUCKET, RESTORE = 2000, 100
MAX_COST = 1000
THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
}
BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"
PLAN = "This shop's plan does not have access to this feature"
UNAVAILABLE = "This shop is unavailable"
UNEXPECTED = "An unexpected error occurred"
TOP_LEVEL_CODES = frozenset({"INVALID_VARIABLE", "argumentLiteralsIncompatible", "BAD_REQUEST"})


@lru_cache(maxsize=256)
def root_fields(text: str) -> tuple[str, ...]:
    """Return the names of a document's root fields, none when it cannot be parsed."""
    try:
        document = parse(text)
    except GraphQLError:
        return ()
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    return tuple(
        each.name.value  # type: ignore[union-attr]
        for operation in operations
        for each in operation.selection_set.selections
        if hasattr(each, "name")
    )


def cost_of(fields: list[Selected], variables: dict[str, Any]) -> int:
    """Return what a plain query costs."""
    total = 0
    for each in fields:
        if is_connection(each.kind):
            inner = [child for edges in each.child("edges") for node in edges.child("node") for child in node.children]
            inner += [child for nodes in each.child("nodes") for child in nodes.children]
            total += 4 + _page_size(each, variables) * (1 + cost_of(inner, variables))
        elif any(kind.name == "Node" for kind in getattr(each.kind, "interfaces", ())) or each.name == "node":
            total += 1 + cost_of(each.children, variables)
        else:
            total += cost_of(each.children, variables)
    return total


def _page_size(field: Selected, variables: dict[str, Any]) -> int:
    for argument in field.node.arguments:
        if argument.name.value in ("first", "last"):
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                return int(variables.get(argument.value.name.value) or 0)
    return 0


def _document(content: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    text, variables = body.get("query"), body.get("variables") or {}
    return (text, variables) if isinstance(text, str) and isinstance(variables, dict) else None


class Admin:
    """Answers POST /admin/api/{version}/graphql.json."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.available: float = BUCKET
        self._filled_at: datetime = shop.clock.now()
        self._answers = 0

    def request_id(self) -> str:
        """Return the id of the current answer."""
        return f"{UUID(int=(self.shop.seed << 64) + self._answers)}-{int(self.shop.clock.now().timestamp())}"

    def respond(self, request: httpx.Request, version: str) -> httpx.Response:
        """Answer a GraphQL request, or do what the faults say."""
        self._answers += 1
        served = self._served_version(version)
        if served is None:
            return self._answer(404, {"errors": "Not Found"}, None)
        broken = self._fault(request, served)
        if broken is not None:
            return broken
        if not self.shop.tokens.accepts(request.headers.get("x-shopify-access-token")):
            return self._answer(401, {"errors": BAD_TOKEN}, served)
        asked = _document(request.content)
        if asked is None:
            return self._answer(400, {"errors": {"query": "Required parameter missing or invalid"}}, served)
        return self._run(request, served, *asked)

    def _served_version(self, version: str) -> str | None:
        """Return the version that answers: an old one falls forward to the oldest supported."""
        supported = self.shop.api_versions
        if version == "unstable":
            return max(supported)
        later = [each for each in sorted(supported) if each >= version]
        return later[0] if later and len(version) == 7 else None

    def _answer(self, status: int, content: Any, version: str | None, **headers: str) -> httpx.Response:
        more = {"X-Request-Id": self.request_id(), **headers}
        if version is not None:
            more["X-Shopify-API-Version"] = self.shop.faults.served_version or version
        return httpx.Response(status, json=content, headers=more)

    def _fault(self, request: httpx.Request, version: str) -> httpx.Response | None:
        faults = self.shop.faults
        if faults.take("let_pass"):
            return None
        if faults.take("connect_error"):
            raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
        if faults.take("connection_reset"):
            raise httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
        if faults.take("redirect"):
            return self._answer(301, "", version, Location=f"{faults.redirect_to}{request.url.raw_path.decode()}")
        if faults.take("not_json"):
            return httpx.Response(200, html="<!DOCTYPE html><title>Something went wrong</title>")
        if faults.take("too_many_requests"):
            headers = {"Retry-After": f"{faults.retry_after_s:.1f}"}
            return self._answer(429, {"errors": "Exceeded 2 calls per second for api client."}, version, **headers)
        for name, status, text in (
            ("unauthorized", 401, BAD_TOKEN),
            ("payment_required", 402, PLAN),
            ("forbidden", 403, "User does not have access"),
            ("not_found", 404, "Not Found"),
            ("security_rejection", 430, "Security Rejection"),
            ("locked", 423, UNAVAILABLE),
            ("server_error", faults.server_error_status, UNEXPECTED),
        ):
            if faults.take(name):
                return self._answer(status, {"errors": text}, version)
        if faults.take("throttled"):
            return self._answer(200, {"errors": [THROTTLED], "extensions": self._cost(752, None)}, version)
        if faults.take("shop_inactive"):
            inactive = {"message": UNAVAILABLE, "extensions": {"code": "SHOP_INACTIVE"}}
            return self._answer(200, {"errors": [inactive]}, version)
        if faults.take("too_dear"):
            return self._answer(200, {"errors": [_too_dear(MAX_COST + 1)]}, version)
        if faults.take("internal_server_error"):
            return self._answer(200, self._internal(), version)
        return None

    def _internal(self) -> dict[str, Any]:
        request_id = self.request_id()
        message = (
            "Internal error. Looks like something went wrong on our end.\n"
            f"Request ID: {request_id} (include this in support requests)."
        )
        extensions = {"requestId": request_id, "code": "INTERNAL_SERVER_ERROR"}
        return {"errors": [{"message": message, "extensions": extensions}], "data": None}

    def _refill(self) -> None:
        now = self.shop.clock.now()
        passed = max(0.0, (now - self._filled_at).total_seconds())
        self.available = min(BUCKET, self.available + passed * RESTORE)
        self._filled_at = now

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        return {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": actual,
                "throttleStatus": {
                    "maximumAvailable": BUCKET,
                    "currentlyAvailable": int(self.available),
                    "restoreRate": RESTORE,
                },
            }
        }

    def _run(self, request: httpx.Request, version: str, text: str, variables: dict[str, Any]) -> httpx.Response:
        schema = schema_of(version)
        document, errors = checked(schema, text)
        if document is None:
            return self._answer(200, {"errors": errors}, version)
        operation = operation_of(document)
        coerced = get_variable_values(schema, operation.variable_definitions or (), variables)
        if isinstance(coerced, list):
            return self._answer(200, {"errors": [_bad_variable(each) for each in coerced]}, version)
        fields = selected(schema, document)
        is_mutation = operation.operation is OperationType.MUTATION
        cost = 10 * len(fields) if is_mutation else cost_of(fields, coerced)
        self._refill()
        if cost > MAX_COST:
            return self._answer(200, {"errors": [_too_dear(cost)]}, version)
        if cost > self.available:
            return self._answer(200, {"errors": [THROTTLED], "extensions": self._cost(cost, None)}, version)
        self.available -= cost
        roots = Roots(self.shop, version)
        result = execute_sync(
            schema, document, variable_values=variables, field_resolver=roots.resolve, type_resolver=_typename
        )
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer = self._with_errors(result.data, list(result.errors))
        answer["extensions"] = self._cost(cost, cost)
        if roots.reports:
            answer["extensions"]["search"] = roots.reports
        if self.shop.faults.take("partial_data"):
            denied = {"message": "Access denied for customer field.", "extensions": {"code": "ACCESS_DENIED"}}
            answer["errors"] = [*answer.get("errors", ()), {**denied, "path": [*(result.data or {})][:1]}]
        if roots.started is not None and self.shop.faults.take("lost_answer"):
            return self._lose(request, version)
        return self._answer(200, answer, version)

    def _with_errors(self, data: Any, errors: list[GraphQLError]) -> dict[str, Any]:
        codes = {str((each.extensions or {}).get("code")) for each in errors}
        if "INTERNAL_SERVER_ERROR" in codes or any(each.original_error for each in errors if not each.extensions):
            unexpected = [each for each in errors if not each.extensions]
            if unexpected:
                raise unexpected[0]  # a bug of the simulator, or a node that lacks a field: show it
            return self._internal()
        formatted = [dict(each.formatted) for each in errors]
        return {"errors": formatted} if codes & TOP_LEVEL_CODES else {"errors": formatted, "data": data}

    def _lose(self, request: httpx.Request, version: str) -> httpx.Response:
        status = self.shop.faults.lost_answer_status
        if status is None:
            raise httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
        return self._answer(status, {"errors": UNEXPECTED}, version)


def _typename(value: Any, *_: Any) -> str:
    return value["__typename"]


def _bad_variable(error: GraphQLError) -> dict[str, Any]:
    name = error.message.split("'")[1].strip("$") if "'" in error.message else ""
    message = f"Variable ${name.split('.')[0].split('[')[0]} was provided invalid value"
    return {
        "message": message,
        "extensions": {"code": "INVALID_VARIABLE", "problems": [{"explanation": error.message}]},
    }


def _too_dear(cost: int) -> dict[str, Any]:
    return {
        "message": f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_COST}).",
        "extensions": {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": MAX_COST},
    }
