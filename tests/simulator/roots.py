"""The root fields of plain queries and mutations: what each of them answers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    Undefined,
    get_named_type,
)

from tests.simulator.fields import is_connection, reader
from tests.simulator.nodes import Node
from tests.simulator.operations import Operation
from tests.simulator.pages import page, sort_key
from tests.simulator.rules import SCOPES
from tests.simulator.search import OPERATION_VALUES, OPERATIONS, EmptyBoundError, Search, parse_search, report

if TYPE_CHECKING:
    from tests.simulator.shop import Shop

GID = re.compile(r"gid://shopify/(?P<kind>\w+)/\d+")
CAPITAL = re.compile("[A-Z]")
SORT_FIELDS = {
    "UPDATED_AT": "updatedAt",
    "CREATED_AT": "createdAt",
    "PROCESSED_AT": "processedAt",
    "COMPLETED_AT": "completedAt",
    "TITLE": "title",
    "VENDOR": "vendor",
    "PRODUCT_TYPE": "productType",
    "FINANCIAL_STATUS": "displayFinancialStatus",
    "FULFILLMENT_STATUS": "displayFulfillmentStatus",
}


def access_denied(field: str, scope: str) -> GraphQLError:
    """Return Shopify's error for a field that the token may not read."""
    return GraphQLError(
        f"Access denied for {field} field. Required access: `{scope}` access scope.",
        extensions={
            "code": "ACCESS_DENIED",
            "documentation": "https://shopify.dev/api/usage/access-scopes",
            "requiredAccess": f"`{scope}` access scope.",
        },
    )


def _colon(offset: str) -> str:
    return f"{offset[:3]}:{offset[3:]}"


class Roots:
    """Resolves one document against a shop; collects what search had to say."""

    def __init__(self, shop: Shop, version: str) -> None:
        self.shop, self.version = shop, version
        self.reports: list[dict[str, Any]] = []
        self.started: Operation | None = None

    def resolve(self, source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        """Resolve any field: a root by its method, others from the node's dict."""
        schema = info.schema
        kind = get_named_type(info.return_type)
        assert kind is not None
        scope = SCOPES.get(kind.name.removesuffix("Connection"))
        if info.field_name == "ordersCount":
            scope = "read_orders"
        if scope and scope not in self.shop.scopes:
            raise access_denied(info.field_name, scope)
        if info.parent_type in (schema.query_type, schema.mutation_type):
            method = CAPITAL.sub(lambda found: f"_{found[0].lower()}", info.field_name)
            return getattr(self, f"_{method}")(info, arguments)
        value = reader(info.parent_type, info.field_name, info.parent_type.fields[info.field_name])(source)
        if is_connection(kind) and isinstance(value, list):
            nodes = value[::-1] if arguments.get("reverse") else value
            return page(nodes, arguments, sort_key("id"))
        if arguments.get("first") is not None and isinstance(value, list):
            return value[: arguments["first"]]
        return value

    def _checked(self, info: GraphQLResolveInfo, given: str, kind: str | None = None) -> str:
        found = GID.fullmatch(given)
        if not found:
            is_variable = any(argument.value.kind == "variable" for argument in info.field_nodes[0].arguments)
            code = "INVALID_VARIABLE" if is_variable else "argumentLiteralsIncompatible"
            raise GraphQLError(f"Invalid global id '{given}'", extensions={"code": code})
        if kind and found["kind"] != kind:
            raise GraphQLError(f"Invalid id: {given}", extensions={"code": "RESOURCE_NOT_FOUND"})
        return given

    def _search(self, info: GraphQLResolveInfo, search: Search, text: str | None) -> Search:
        if search.warnings:
            self.reports.append(report([info.path.key], text or "", search))
        return search

    # --- bulk operations ---

    def _bulk_operation_run_query(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        operation, errors = self.shop.bulk.run(arguments["query"], arguments["groupObjects"], self.version)
        self.started = operation
        return {"bulkOperation": self.shop.bulk.node(operation) if operation else None, "userErrors": errors}

    def _bulk_operation_cancel(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        operation, errors = self.shop.bulk.cancel(self._checked(info, arguments["id"], "BulkOperation"))
        return {"bulkOperation": self.shop.bulk.node(operation) if operation else None, "userErrors": errors}

    def _bulk_operation(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node | None:
        operation = self.shop.bulk.get(self._checked(info, arguments["id"], "BulkOperation"))
        if self.shop.faults.take("null_node"):
            return None
        return self.shop.bulk.node(operation) if operation else None

    def _current_bulk_operation(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node | None:
        self.shop.bulk.settle()
        if arguments.get("type") != "QUERY" or not self.shop.operations:
            return None
        return self.shop.bulk.node(self.shop.operations[-1])

    def _bulk_operations(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        self.shop.bulk.settle()
        text = arguments.get("query")
        search = parse_search(text, OPERATIONS, self.shop.clock.now(), self.shop.timezone, OPERATION_VALUES)
        self._search(info, search, text)
        key = sort_key(SORT_FIELDS[arguments["sortKey"]])
        nodes = [node for each in self.shop.operations if search.matches(node := self.shop.bulk.node(each))]
        nodes.sort(key=key, reverse=not arguments.get("reverse"))
        return page(nodes, arguments, key)

    # --- nodes ---

    def _node(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node | None:
        given = self._checked(info, arguments["id"])
        if "/BulkOperation/" in given:
            return self._bulk_operation(info, arguments)
        if "/Product/" in given:
            return self.shop.products.get(given)
        order = self.shop.orders.get(given)
        return order if order and self.shop.may_see(order) else None

    def _nodes(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> list[Node | None]:
        return [self._node(info, {"id": each}) for each in arguments["ids"]]

    def _order(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node | None:
        order = self.shop.orders.get(self._checked(info, arguments["id"], "Order"))
        return order if order and self.shop.may_see(order) else None

    def _product(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node | None:
        return self.shop.products.get(self._checked(info, arguments["id"], "Product"))

    def _found(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> list[Node]:
        name = "orders" if info.field_name == "ordersCount" else info.field_name
        try:
            search = self.shop.search_of(name, arguments.get("query"))
        except EmptyBoundError as error:
            raise GraphQLError("Internal error", extensions={"code": "INTERNAL_SERVER_ERROR"}) from error
        self._search(info, search, arguments.get("query"))
        return self.shop.find(name, arguments)

    def _orders(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        return page(self._found(info, arguments), arguments, sort_key(SORT_FIELDS.get(arguments["sortKey"], "id")))

    _products = _orders

    def _orders_count(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        count, limit = len(self._found(info, arguments)), arguments.get("limit")
        if limit is not None and limit is not Undefined and count > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": count, "precision": "EXACT"}

    # --- the shop ---

    def _shop(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        offset = datetime.now(self.shop.timezone) if not self.shop.clock.is_frozen else self.shop.clock.now()
        return {
            "__typename": "Shop",
            "id": "gid://shopify/Shop/61344841970",
            "name": "Simulated shop",
            "myshopifyDomain": self.shop.domain,
            "currencyCode": self.shop.currency,
            "ianaTimezone": self.shop.timezone_name,
            "timezoneOffset": _colon(offset.astimezone(self.shop.timezone).strftime("%z")),
        }

    def _current_app_installation(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        scopes = [{"handle": each, "description": each.replace("_", " ")} for each in self.shop.scopes]
        return {"id": "gid://shopify/AppInstallation/484189", "accessScopes": scopes}

    def _public_api_versions(self, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> list[Node]:
        versions = [{"handle": each, "displayName": each, "supported": True} for each in self.shop.api_versions]
        return [*versions, {"handle": "unstable", "displayName": "unstable", "supported": False}]
