"""
Plain questions about orders, where a bulk operation would be too much: when was the first changed, how many are there,
and what do some of them look like?
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from shopsync.completeness import Seen, SeenOrder
from shopsync.shopify.admin import AdminClient, converted, document
from shopsync.shopify.gid import number
from shopsync.shopify.nodes import MoneyBag
from shopsync.window import SyncWindow


class _Order(msgspec.Struct, rename="camel"):
    updated_at: datetime


class _Orders(msgspec.Struct):
    nodes: list[_Order]


class _Count(msgspec.Struct):
    count: int


def first_change(client: AdminClient, window: SyncWindow) -> datetime | None:
    """Return the oldest `updated_at` among the orders of a window; None when it is empty."""
    answer = client.execute(document("first_change"), {"search": window.search()})
    found = converted(answer.get("orders"), _Orders).nodes
    return found[0].updated_at.astimezone(UTC) if found else None


def count_orders(client: AdminClient, window: SyncWindow) -> int:
    """Return how many orders Shopify finds in a window."""
    answer = client.execute(document("orders_count"), {"search": window.search()})
    return converted(answer.get("ordersCount"), _Count).count


class _Line(msgspec.Struct, rename="camel"):
    id: str
    quantity: int
    current_quantity: int


class _Lines(msgspec.Struct):
    nodes: list[_Line]


class _Sampled(msgspec.Struct, rename="camel"):
    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    test: bool
    display_financial_status: str | None
    display_fulfillment_status: str | None
    currency_code: str
    total_price_set: MoneyBag
    current_total_price_set: MoneyBag | None
    line_items: _Lines


class _Sample(msgspec.Struct):
    nodes: list[_Sampled]


def look_again(client: AdminClient, window: SyncWindow, sampled: SyncWindow) -> Seen:
    """Return how many orders Shopify finds in a window, and what the first ones of a part of it look like."""
    answer = client.execute(document("completeness"), {"search": window.search(), "sampled": sampled.search()})
    count = converted(answer.get("ordersCount"), _Count).count
    return Seen(count, [_seen(order) for order in converted(answer.get("orders"), _Sample).nodes])


def _seen(order: _Sampled) -> SeenOrder:
    current = order.current_total_price_set
    return SeenOrder(
        number(order.id),
        order.updated_at.astimezone(UTC),
        {
            "name": order.name,
            "created_at": order.created_at.astimezone(UTC),
            "is_test": order.test,
            "financial_status": order.display_financial_status,
            "fulfillment_status": order.display_fulfillment_status,
            "currency": order.currency_code,
            "total_price": Decimal(order.total_price_set.shop_money.amount),
            "current_total_price": None if current is None else Decimal(current.shop_money.amount),
        },
        {number(line.id): (line.quantity, line.current_quantity) for line in order.line_items.nodes},
    )
