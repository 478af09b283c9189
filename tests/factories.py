"""Records that are valid by default: a test overrides what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from shopsync.records import Fulfillment, Order, OrderHeader, OrderLineItem, OrderSale, Product, Refund

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When everything happens that a test says nothing about: noon in London, evening in Tokyo, the same day."""


def order(
    order_id: int = 1001,
    *,
    line_items: Sequence[OrderLineItem] | None = None,
    sales: Sequence[OrderSale] | None = None,
    products: Sequence[Product] = (),
    fulfillments: Sequence[Fulfillment] = (),
    refunds: Sequence[Refund] = (),
    **overrides: Any,
) -> Order:
    """An order with one line and its sale; given children take over its id, `updated_at` and test flag."""
    head = header(order_id=order_id, **overrides)
    lines = [line_item(order_id * 10)] if line_items is None else line_items
    ledger = [sale(order_id * 10, line_item_id=order_id * 10)] if sales is None else sales
    parent = {"order_id": order_id, "order_updated_at": head.updated_at}
    return Order(
        header=head,
        line_items=[replace(line, **parent) for line in lines],
        sales=[replace(entry, **parent, is_test=head.is_test) for entry in ledger],
        products=list(products),
        fulfillments=list(fulfillments),
        refunds=list(refunds),
    )


def header(**overrides: Any) -> OrderHeader:
    """The header of a paid order."""
    fields: dict[str, Any] = {
        "order_id": 1001,
        "name": "#1001",
        "created_at": NOON,
        "processed_at": NOON,
        "updated_at": NOON,
        "cancelled_at": None,
        "cancel_reason": None,
        "closed_at": None,
        "is_test": False,
        "financial_status": "PAID",
        "fulfillment_status": "UNFULFILLED",
        "return_status": "NO_RETURN",
        "source_name": "web",
        "customer_id": 501,
        "tags": "[]",
        "currency": "EUR",
        "presentment_currency": "EUR",
        "subtotal_price": Decimal("20.00"),
        "total_discounts": Decimal("0.00"),
        "total_shipping": Decimal("0.00"),
        "total_tax": Decimal("3.19"),
        "total_price": Decimal("20.00"),
        "total_refunded": Decimal("0.00"),
        "current_total_price": Decimal("20.00"),
        "first_fulfilled_at": None,
    }
    return OrderHeader(**fields | overrides)


def line_item(line_item_id: int = 10010, **overrides: Any) -> OrderLineItem:
    """Two pieces of product 7."""
    fields: dict[str, Any] = {
        "line_item_id": line_item_id,
        "order_id": 1001,
        "product_id": 7,
        "variant_id": 70,
        "sku": "TEA-100",
        "title": "Green tea",
        "variant_title": "100 g",
        "vendor": "Tea House",
        "quantity": 2,
        "current_quantity": 2,
        "unfulfilled_quantity": 2,
        "unit_price": Decimal("10.00"),
        "total_discount": Decimal("0.00"),
        "is_gift_card": False,
        "currency": "EUR",
        "order_updated_at": NOON,
    }
    return OrderLineItem(**fields | overrides)


def sale(sale_id: int = 10010, **overrides: Any) -> OrderSale:
    """The sale of two pieces of product 7."""
    fields: dict[str, Any] = {
        "sale_id": sale_id,
        "order_id": 1001,
        "agreement_id": 9001,
        "happened_at": NOON,
        "reason": "ORDER",
        "action_type": "ORDER",
        "line_type": "PRODUCT",
        "line_item_id": 10010,
        "product_id": 7,
        "quantity": 2,
        "total_amount": Decimal("20.00"),
        "discount_amount": Decimal("0.00"),
        "tax_amount": Decimal("3.19"),
        "currency": "EUR",
        "is_test": False,
        "order_updated_at": NOON,
    }
    return OrderSale(**fields | overrides)


def product(product_id: int = 7, **overrides: Any) -> Product:
    """A product as an order line shows it."""
    fields: dict[str, Any] = {
        "product_id": product_id,
        "title": "Green tea",
        "handle": "green-tea",
        "vendor": "Tea House",
        "product_type": "Tea",
        "status": "ACTIVE",
        "updated_at": NOON,
    }
    return Product(**fields | overrides)
