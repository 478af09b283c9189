"""
How a field of a node is read: from the node's dict, derived from its other fields, or the type's zero.

Only what is not stored is here, so that a node stays small and a test can override any field by
writing it into the dict.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    is_interface_type,
    is_list_type,
    is_object_type,
)

from tests.simulator.books import line_total
from tests.simulator.nodes import Node, combine

Read = Callable[[Node], Any]


def is_connection(kind: Any) -> bool:
    """Whether a named type is a connection."""
    return is_object_type(kind) and kind.name.endswith("Connection")


def _allocated(line: Node) -> Node:
    return combine(
        (0, line["originalUnitPriceSet"]),
        *((1, each["allocatedAmountSet"]) for each in line["discountAllocations"]),
    )


def _zero_like(bag_key: str) -> Read:
    return lambda node: combine((0, node[bag_key]))


def _discounted(line: Node) -> Node:
    return combine((1, line_total(line)), (-1, _allocated(line)))


def _discounted_unit(line: Node) -> Node:
    return combine((Decimal(1) / max(1, line["quantity"]), _discounted(line)))


def _quantity(key: str) -> Read:
    return lambda order: sum(line[key] for line in order["lineItems"])


DERIVED: dict[tuple[str, str], Read] = {
    ("Order", "number"): lambda order: int("0" + "".join(c for c in order["name"] if "0" <= c <= "9")[-9:]),
    ("Order", "closed"): lambda order: order["closedAt"] is not None,
    ("Order", "confirmed"): lambda order: True,
    ("Order", "fullyPaid"): lambda order: order["displayFinancialStatus"] == "PAID",
    ("Order", "unpaid"): lambda order: order["displayFinancialStatus"] in ("PENDING", "EXPIRED"),
    ("Order", "subtotalLineItemsQuantity"): _quantity("quantity"),
    ("Order", "currentSubtotalLineItemsQuantity"): _quantity("currentQuantity"),
    ("Order", "totalOutstandingSet"): _zero_like("totalPriceSet"),
    ("Order", "totalCapturableSet"): _zero_like("totalPriceSet"),
    ("Order", "currentCartDiscountAmountSet"): lambda order: order["currentTotalDiscountsSet"],
    ("Order", "cartDiscountAmountSet"): lambda order: order["totalDiscountsSet"],
    ("Order", "statusPageUrl"): lambda order: f"https://sim-shop.myshopify.com/orders/{order['id'][-13:]}",
    ("LineItem", "name"): lambda line: " - ".join(part for part in (line["title"], line["variantTitle"]) if part),
    ("LineItem", "originalTotalSet"): line_total,
    ("LineItem", "refundableQuantity"): lambda line: line["currentQuantity"],
    ("LineItem", "nonFulfillableQuantity"): lambda line: line["quantity"] - line["currentQuantity"],
    ("LineItem", "requiresShipping"): lambda line: not line["isGiftCard"],
    ("LineItem", "restockable"): lambda line: line["product"] is not None,
    ("LineItem", "merchantEditable"): lambda line: True,
    ("LineItem", "totalDiscountSet"): _allocated,
    ("LineItem", "discountedTotalSet"): _discounted,
    ("LineItem", "discountedUnitPriceSet"): _discounted_unit,
    ("LineItem", "discountedUnitPriceAfterAllDiscountsSet"): _discounted_unit,
    ("LineItem", "priceAfterAllDiscountsBeforeTaxesSet"): _discounted,
    ("LineItem", "unfulfilledOriginalTotalSet"): lambda line: combine(
        (line["unfulfilledQuantity"], line["originalUnitPriceSet"])
    ),
    ("LineItem", "unfulfilledDiscountedTotalSet"): lambda line: combine(
        (line["unfulfilledQuantity"], line["originalUnitPriceSet"])
    ),
    ("Product", "defaultCursor"): lambda product: product["id"][-13:],
    ("Product", "hasOnlyDefaultVariant"): lambda product: len(product["variants"]) == 1,
    ("ProductVariant", "displayName"): lambda variant: variant["title"],
    ("ProductVariant", "taxable"): lambda variant: True,
    ("ProductVariant", "inventoryPolicy"): lambda variant: "DENY",
    ("Customer", "state"): lambda customer: "DISABLED",
}
ZEROES = {
    "Boolean": False,
    "Int": 0,
    "Float": 0.0,
    "String": "",
    "HTML": "",
    "UnsignedInt64": 0,
    "Money": "0.00",
}


def _zero(kind: Any) -> Any:
    if not isinstance(kind, GraphQLNonNull):
        return None
    inner: Any = kind.of_type
    if is_list_type(inner) or is_connection(inner):
        return []
    if inner.name == "MoneyBag":
        nothing = {"amount": Decimal(0), "currencyCode": "USD"}
        return {"shopMoney": nothing, "presentmentMoney": nothing}
    if is_object_type(inner) or is_interface_type(inner):
        return None
    return ZEROES.get(inner.name)


def reader(parent: GraphQLObjectType, name: str, field: GraphQLField) -> Read:
    """Return the function that reads this field of a node."""
    derive = DERIVED.get((parent.name, name))
    if name == "legacyResourceId":
        derive = _legacy_id
    zero = _zero(field.type)

    def read(node: Node) -> Any:
        try:
            return node[name]
        except KeyError:
            return derive(node) if derive else zero

    return read


def _legacy_id(node: Node) -> str:
    return node["id"].rsplit("/", 1)[1]
