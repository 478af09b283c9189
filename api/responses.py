"""
The shapes of answers: one struct per endpoint, and the list that every listing has.

Ids and money are strings, since JavaScript loses digits of both; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a listing."""

    data: list[T]
    has_more: bool
    next_cursor: str | None
    """What `cursor` takes for the next page, with the same filters; null on the last one."""
    limit: int
    """How many rows a page has at most."""


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The header of an order; money is in `currency`, the shop's."""

    order_id: str
    name: str
    created_at: datetime
    processed_at: datetime | None
    updated_at: datetime
    cancelled_at: datetime | None
    cancel_reason: str | None
    closed_at: datetime | None
    is_test: bool
    financial_status: str | None
    fulfillment_status: str | None
    return_status: str | None
    source_name: str | None
    customer_id: str | None
    tags: list[str]
    currency: str
    presentment_currency: str | None
    subtotal_price: str | None
    total_discounts: str | None
    total_shipping: str | None
    total_tax: str | None
    total_price: str
    total_refunded: str | None
    current_total_price: str | None
    first_fulfilled_at: datetime | None
    run_id: str
    """The run that brought this version."""
    synced_at: datetime


class LineItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order; `total_discount` is the sum of its discount allocations."""

    line_item_id: str
    product_id: str | None
    variant_id: str | None
    sku: str | None
    title: str
    variant_title: str | None
    vendor: str | None
    quantity: int
    current_quantity: int
    unfulfilled_quantity: int
    unit_price: str
    total_discount: str
    is_gift_card: bool
    currency: str


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """One sale of Shopify's ledger; a return has negative amounts. `quantity` is null for a mere change of price."""

    sale_id: str
    agreement_id: str
    happened_at: datetime
    reason: str
    action_type: str
    line_type: str
    line_item_id: str | None
    product_id: str | None
    quantity: int | None
    total_amount: str
    discount_amount: str
    tax_amount: str
    currency: str
    is_test: bool


class Order(OrderSummary, frozen=True, kw_only=True):
    """An order with its lines and its sales."""

    line_items: list[LineItem]
    sales: list[Sale]


class RunStarted(msgspec.Struct, frozen=True):
    """The run that a trigger got; `url` is where it is followed."""

    run_id: str
    status: str
    url: str
    coalesced: bool
    """Whether it was waiting already when this request came."""
