"""Lines of an export, valid by default; a test overrides what it is about."""

import json
from collections.abc import Iterable
from typing import Any


def bag(amount: str) -> dict[str, Any]:
    """Return a money bag of the shop's currency."""
    return {"shopMoney": {"amount": amount}}


def order(number: int = 1, **given: Any) -> dict[str, Any]:
    """Return an order's line."""
    money = ("subtotalPrice", "totalDiscounts", "totalShippingPrice", "totalTax", "totalPrice", "totalRefunded")
    return {
        "__typename": "Order",
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": "2026-11-20T10:00:00Z",
        "processedAt": "2026-11-20T10:00:01Z",
        "updatedAt": "2026-11-22T12:00:00Z",
        "cancelledAt": None,
        "cancelReason": None,
        "closedAt": None,
        "test": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "returnStatus": "NO_RETURN",
        "sourceName": "web",
        "customer": {"id": "gid://shopify/Customer/5"},
        "tags": [],
        "currencyCode": "EUR",
        "presentmentCurrencyCode": "USD",
        **{f"{name}Set": bag("10.0") for name in (*money, "currentTotalPrice")},
        "fulfillments": [],
        "refunds": [],
        **given,
    }


def line_item(number: int = 10, parent: int = 1, **given: Any) -> dict[str, Any]:
    """Return a line item of an order."""
    return {
        "__typename": "LineItem",
        "id": f"gid://shopify/LineItem/{number}",
        "title": "Tea",
        "variantTitle": "Green",
        "sku": "T-1",
        "vendor": "Acme",
        "quantity": 3,
        "currentQuantity": 2,
        "unfulfilledQuantity": 1,
        "isGiftCard": False,
        "originalUnitPriceSet": bag("4.5"),
        "discountAllocations": [],
        "product": product(),
        "variant": {"id": "gid://shopify/ProductVariant/200"},
        "__parentId": f"gid://shopify/Order/{parent}",
        **given,
    }


def product(number: int = 100) -> dict[str, Any]:
    """Return the product of a line item."""
    return {
        "id": f"gid://shopify/Product/{number}",
        "title": "Tea",
        "handle": "tea",
        "vendor": "Acme",
        "productType": "Drinks",
        "status": "ACTIVE",
        "updatedAt": "2026-10-01T00:00:00Z",
    }


def agreement(number: int = 20, parent: int = 1, **given: Any) -> dict[str, Any]:
    """Return an agreement of an order."""
    return {
        "__typename": "OrderAgreement",
        "id": f"gid://shopify/SalesAgreement/{number}",
        "happenedAt": "2026-11-20T10:00:00Z",
        "reason": "ORDER",
        "__parentId": f"gid://shopify/Order/{parent}",
        **given,
    }


def sale(number: int = 30, parent: int = 20, **given: Any) -> dict[str, Any]:
    """Return a sale of an agreement."""
    return {
        "__typename": "ProductSale",
        "id": f"gid://shopify/Sale/{number}",
        "actionType": "ORDER",
        "lineType": "PRODUCT",
        "quantity": 3,
        "totalAmount": bag("13.5"),
        "totalDiscountAmountBeforeTaxes": bag("0.0"),
        "totalTaxAmount": bag("1.23"),
        "lineItem": {"id": "gid://shopify/LineItem/10", "product": {"id": "gid://shopify/Product/100"}},
        "__parentId": f"gid://shopify/SalesAgreement/{parent}",
        **given,
    }


def without(node: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the node without some fields."""
    return {name: value for name, value in node.items() if name not in names}


def jsonl(nodes: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return the lines, with the slashes escaped as Shopify does."""
    return [json.dumps(node, ensure_ascii=False).replace("/", "\\/").encode() for node in nodes]


def family(number: int, line_items: int = 2, agreements: int = 2, sales: int = 2) -> list[dict[str, Any]]:
    """Return an order with its children in grouped order; ids are multiples of the order's number."""
    first = number * 100
    items = [line_item(first + index, number) for index in range(line_items)]
    children = [
        [agreement(first + index, number), *(sale(first + index * 10 + at, first + index) for at in range(sales))]
        for index in range(agreements)
    ]
    return [order(number), *items, *(node for child in children for node in child)]
