"""
The lines of an order export, as the inner query (`queries/orders.graphql`) selects them.

Shapes only: field names are Shopify's in camel case. Enum values stay text, since Shopify adds to them.
Source: Admin API 2026-10.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import msgspec

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Shape(msgspec.Struct, rename="camel", gc=False):
    """An object of the export."""


class Money(Shape):
    """MoneyV2; the amount is a decimal as text."""

    amount: str


class MoneyBag(Shape):
    """MoneyBag, of which only the shop's currency is selected."""

    shop_money: Money


class Reference(Shape):
    """An object of which only the id is selected."""

    id: str


class NodeHead(Shape):
    """What every line has: what it is, its id, and its parent's unless it is an order."""

    id: str
    typename: str = msgspec.field(name="__typename", default="")
    parent_id: str | None = msgspec.field(name="__parentId", default=None)


class FulfillmentNode(Shape):
    """Fulfillment, a list within the order's line."""

    id: str
    name: str
    status: str
    display_status: str | None
    created_at: Time
    delivered_at: Time | None
    total_quantity: int


class RefundNode(Shape):
    """Refund, a list within the order's line."""

    id: str
    processed_at: Time
    total_refunded_set: MoneyBag


class OrderNode(Shape):
    """Order."""

    id: str
    name: str
    created_at: Time
    processed_at: Time | None
    updated_at: Time
    cancelled_at: Time | None
    cancel_reason: str | None
    closed_at: Time | None
    test: bool
    display_financial_status: str | None
    display_fulfillment_status: str | None
    return_status: str | None
    source_name: str | None
    customer: Reference | None
    tags: list[str]
    currency_code: str
    presentment_currency_code: str | None
    subtotal_price_set: MoneyBag | None
    total_discounts_set: MoneyBag | None
    total_shipping_price_set: MoneyBag | None
    total_tax_set: MoneyBag | None
    total_price_set: MoneyBag
    total_refunded_set: MoneyBag | None
    current_total_price_set: MoneyBag | None
    fulfillments: list[FulfillmentNode]
    refunds: list[RefundNode]


class ProductNode(Shape):
    """Product, as it stands within a line item."""

    id: str
    title: str
    handle: str
    vendor: str
    product_type: str
    status: str
    updated_at: Time


class DiscountNode(Shape):
    """DiscountAllocation."""

    allocated_amount_set: MoneyBag


class LineItemNode(Shape):
    """LineItem; `product` and `variant` are null once deleted, or for a custom item."""

    id: str
    title: str
    variant_title: str | None
    sku: str | None
    vendor: str | None
    quantity: int
    current_quantity: int
    unfulfilled_quantity: int
    is_gift_card: bool
    original_unit_price_set: MoneyBag
    discount_allocations: list[DiscountNode]
    product: ProductNode | None
    variant: Reference | None


class AgreementNode(Shape):
    """SalesAgreement, whichever implements it."""

    id: str
    happened_at: Time
    reason: str


class SaleLineItemNode(Shape):
    """The line item that a sale is about."""

    id: str
    product: Reference | None


class SaleNode(Shape):
    """Sale, whichever implements it; only some kinds have a line item."""

    id: str
    action_type: str
    line_type: str
    quantity: int | None
    total_amount: MoneyBag
    total_discount_amount_before_taxes: MoneyBag
    total_tax_amount: MoneyBag
    line_item: SaleLineItemNode | None = None


def _known(typename: str, shape: type[Shape]) -> type[Shape]:
    """Return a shape that is told by its `__typename`, and has its parent's id, None for an order."""
    parent_id = ("parent_id", str | None, msgspec.field(name="__parentId", default=None))
    known = msgspec.defstruct(
        typename, [parent_id], bases=(shape,), tag_field="__typename", tag=typename, rename="camel", gc=False
    )
    return cast("type[Shape]", known)


AGREEMENTS = ("OrderAgreement", "OrderEditAgreement", "RefundAgreement", "ReturnAgreement")
SALES = (
    "AdditionalFeeSale",
    "AdjustmentSale",
    "DutySale",
    "FeeSale",
    "GiftCardSale",
    "ProductSale",
    "ShippingLineSale",
    "TipSale",
    "UnknownSale",
)
KNOWN: dict[type[Shape], type[Shape]] = {
    _known(typename, shape): shape
    for shape, typenames in (
        (OrderNode, ("Order",)),
        (LineItemNode, ("LineItem",)),
        (AgreementNode, AGREEMENTS),
        (SaleNode, SALES),
    )
    for typename in typenames
}
"""What a line usually is, with its shape: one look tells which, and reads it."""
