"""
One row of each table, as it comes out of an archive.

Field order is column order. Ids are the numeric tail of the gid, times are aware UTC, money is an exact Decimal in
the shop's currency. A leaf: it knows neither Shopify's JSON nor a database.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec


class OrderHeader(msgspec.Struct, frozen=True, gc=False):
    """One order, without `run_id` and `synced_at`, which the upsert adds. `tags` is a JSON array as text."""

    order_id: int
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
    customer_id: int | None
    tags: str
    currency: str
    presentment_currency: str | None
    subtotal_price: Decimal | None
    total_discounts: Decimal | None
    total_shipping: Decimal | None
    total_tax: Decimal | None
    total_price: Decimal
    total_refunded: Decimal | None
    current_total_price: Decimal | None
    first_fulfilled_at: datetime | None


class OrderLineItem(msgspec.Struct, frozen=True, gc=False):
    """One line of an order. `total_discount` is the sum of its discount allocations."""

    line_item_id: int
    order_id: int
    product_id: int | None
    variant_id: int | None
    sku: str | None
    title: str
    variant_title: str | None
    vendor: str | None
    quantity: int
    current_quantity: int
    unfulfilled_quantity: int
    unit_price: Decimal
    total_discount: Decimal
    is_gift_card: bool
    currency: str
    order_updated_at: datetime


class OrderSale(msgspec.Struct, frozen=True, gc=False):
    """One sale of an agreement, as Shopify's ledger dates it. `quantity` is null for a mere change of price."""

    sale_id: int
    order_id: int
    agreement_id: int
    happened_at: datetime
    reason: str
    action_type: str
    line_type: str
    line_item_id: int | None
    product_id: int | None
    quantity: int | None
    total_amount: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    currency: str
    is_test: bool
    order_updated_at: datetime


class Product(msgspec.Struct, frozen=True, gc=False):
    """A product as it stood when an order line was exported; its figures are written by the measurement."""

    product_id: int
    title: str
    handle: str
    vendor: str
    product_type: str
    status: str
    updated_at: datetime


class Fulfillment(msgspec.Struct, frozen=True, gc=False):
    """A shipment of an order; kept for commerce.telemetry and `first_fulfilled_at`, it has no table."""

    fulfillment_id: int
    name: str
    status: str
    display_status: str | None
    created_at: datetime
    delivered_at: datetime | None
    total_quantity: int


class Refund(msgspec.Struct, frozen=True, gc=False):
    """A refund of an order; kept for commerce.telemetry, its money is in the ledger."""

    refund_id: int
    processed_at: datetime
    total_refunded: Decimal


class Order(msgspec.Struct, frozen=True, gc=False):
    """A whole order with its children: the unit that is never split over two transactions."""

    header: OrderHeader
    line_items: list[OrderLineItem]
    sales: list[OrderSale]
    products: list[Product]
    fulfillments: list[Fulfillment]
    refunds: list[Refund]

    @property
    def rows(self) -> int:
        """How many table rows the order becomes (products not counted: they repeat from order to order)."""
        return 1 + len(self.line_items) + len(self.sales)


class LedgerSum(msgspec.Struct, frozen=True, gc=False):
    """
    Product sales of one range of time, summed: one per product, currency, and whether they are returns.

    `product_id` 0 is no product, `orders` counts distinct orders; a return's amounts and quantity are negative.
    """

    product_id: int
    currency: str
    is_return: bool
    orders: int
    quantity: int
    total_amount: Decimal
    tax_amount: Decimal
    discount_amount: Decimal


class ChargeSum(msgspec.Struct, frozen=True, gc=False):
    """
    Sales of one range of time, summed: one per currency, line type, and whether they placed their orders.

    `placed` are the sales of the agreement that made an order, before edits and returns; `orders` counts distinct ones.
    """

    currency: str
    line_type: str
    placed: bool
    orders: int
    total_amount: Decimal
    tax_amount: Decimal


class OrderState(msgspec.Struct, frozen=True, gc=False):
    """What the figures of its day ask of an order."""

    created_at: datetime
    first_fulfilled_at: datetime | None
    cancelled_at: datetime | None
    closed_at: datetime | None
    fulfillment_status: str | None
    customer_id: int | None


class ProductFigures(msgspec.Struct, frozen=True, gc=False):
    """What `product` shows of one product as of a day, in the shop's currency."""

    units_sold_7d: int
    units_sold_30d: int
    net_sales_7d: Decimal
    net_sales_30d: Decimal


class BestProduct(msgspec.Struct, frozen=True, gc=False):
    """One line of the list of best products; money in the shop's currency, `title` None when it was never seen."""

    title: str | None
    units_sold_7d: int
    net_sales_7d: Decimal
    units_sold_30d: int
    net_sales_30d: Decimal
    currency: str
