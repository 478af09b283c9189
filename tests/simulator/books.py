"""
What the simulated shop sells and has sold, as plain dicts in the schema's shape.

Knows how an order, its lines and its first agreement are written, and how every total follows from the
sales ledger. Knows nothing of HTTP, GraphQL or bulk operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulator.clock import Clock
from tests.simulator.nodes import UNIT, ZERO, Node, Till, amount, combine, decimal_text, gid, stamp

# Real ids of one shop rise by multiples of this, thirteen digits long.
ID_STEP = 32_768
FIRST_IDS = {
    "Order": 5_912_334_500_000,
    "LineItem": 6_114_890_200_000,
    "Product": 8_243_914_700_000,
    "ProductVariant": 8_644_178_100_000,
    "Customer": 7_402_556_600_000,
    "SalesAgreement": 5_530_101_300_000,
    "Sale": 6_871_245_900_000,
    "Refund": 1_092_336_800_000,
    "RefundLineItem": 1_347_221_000_000,
    "Fulfillment": 5_208_441_700_000,
    "BulkOperation": 8_072_963_391_794,
}
SALE_TYPES = {
    "PRODUCT": "ProductSale",
    "GIFT_CARD": "GiftCardSale",
    "TIP": "TipSale",
    "SHIPPING": "ShippingLineSale",
    "ADJUSTMENT": "AdjustmentSale",
    "DUTY": "DutySale",
    "FEE": "FeeSale",
    "ADDITIONAL_FEE": "AdditionalFeeSale",
}
REASONS = {
    "OrderAgreement": "ORDER",
    "OrderEditAgreement": "ORDER_EDIT",
    "RefundAgreement": "REFUND",
    "ReturnAgreement": "RETURN",
}
UNPAID = frozenset({"PENDING", "AUTHORIZED", "EXPIRED", "VOIDED"})


@dataclass(frozen=True, slots=True)
class Item:
    """What a customer puts into the cart: a product's variant, or a custom item when `product` is None."""

    product: Node | None = None
    variant: Node | None = None
    quantity: int = 1
    price: Decimal | int | str | None = None
    discount: Decimal | int | str = ZERO
    title: str | None = None
    variant_title: str | None = None
    sku: str | None = None
    vendor: str | None = None
    gift_card: bool = False
    tip: bool = False
    taxable: bool = True

    @property
    def line_type(self) -> str:
        """The kind of sale this item makes."""
        return "TIP" if self.tip else "GIFT_CARD" if self.gift_card else "PRODUCT"


@dataclass(frozen=True, slots=True)
class Amounts:
    """The figures of one sale, in the shop's currency."""

    total: Decimal
    tax: Decimal
    discount_before_taxes: Decimal
    discount_after_taxes: Decimal


class Books:
    """Products and orders, and the ids, money and time they are written with."""

    def __init__(self, *, seed: int, now: datetime, timezone: str, currency: str, taxes_included: bool) -> None:
        self.seed = seed
        self.clock = Clock.frozen(now)
        self.timezone = ZoneInfo(timezone)
        self.timezone_name = timezone
        self.currency = currency
        self.taxes_included = taxes_included
        self.tax_rate = Decimal("0.19") if taxes_included else Decimal("0.08875")
        self.till = Till(currency)
        self.orders: dict[str, Node] = {}
        self.products: dict[str, Node] = {}
        self.deleted_products: dict[str, Node] = {}
        self.changed_at: dict[str, datetime] = {}
        self.random = Random(seed)
        self._ids = dict(FIRST_IDS)
        self._names = 1000

    def before_change(self) -> None:
        """Called before anything changes, so that operations due by now read the shop as it was."""

    def next_number(self, kind: str) -> int:
        """Return the next, higher id number of a kind of node."""
        self._ids[kind] += ID_STEP
        return self._ids[kind]

    def next_id(self, kind: str) -> str:
        """Return the next global id of a kind of node."""
        return gid(kind, self.next_number(kind))

    def add_product(
        self,
        title: str = "Plain T-shirt",
        prices: Sequence[Decimal | str | int] = ("20.00",),
        *,
        at: datetime | None = None,
        vendor: str = "Northwind",
        product_type: str = "Apparel",
        status: str = "ACTIVE",
        gift_card: bool = False,
        sku: str | None = None,
    ) -> Node:
        """Add a product with one variant per price."""
        self.before_change()
        written = stamp(at or self.clock.now())
        product: Node = {
            "__typename": "Product",
            "id": self.next_id("Product"),
            "title": title,
            "handle": "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title.lower()).split()),
            "vendor": vendor,
            "productType": product_type,
            "status": status,
            "tags": [],
            "isGiftCard": gift_card,
            "createdAt": written,
            "updatedAt": written,
        }
        product["handle"] = product["handle"][:80] or product["id"].rsplit("/", 1)[1]
        product["variants"] = [
            {
                "__typename": "ProductVariant",
                "id": self.next_id("ProductVariant"),
                "title": "Default Title" if len(prices) == 1 else ("S", "M", "L", "XL", "XXL")[index % 5],
                "sku": f"{sku or product['handle'][:12].upper()}-{index + 1}",
                "price": decimal_text(Decimal(price)),
                "position": index + 1,
                "createdAt": written,
                "updatedAt": written,
            }
            for index, price in enumerate(prices)
        ]
        self.products[product["id"]] = product
        self.changed_at[product["id"]] = self.clock.now()
        return product

    def add_order(
        self,
        lines: Sequence[Item | dict[str, Any]] | None = None,
        *,
        at: datetime | None = None,
        processed_at: datetime | None = None,
        updated_at: datetime | None = None,
        name: str | None = None,
        customer: bool = True,
        test: bool = False,
        tags: Sequence[str] = (),
        source_name: str | None = "web",
        presentment: str | None = None,
        financial_status: str = "PAID",
        order_discount: Decimal | int | str = ZERO,
        shipping: Decimal | int | str = ZERO,
        duty: Decimal | int | str = ZERO,
        fee: Decimal | int | str = ZERO,
    ) -> Node:
        """
        Add an order with its OrderAgreement; without `lines`, one piece of the shop's first product.

        `at` is its creation (default: now), `processed_at` the sale's moment (earlier for imports).
        """
        self.before_change()
        created = at or self.clock.now()
        self._names += 1
        order: Node = {
            "__typename": "Order",
            "id": self.next_id("Order"),
            "name": name or f"#{self._names}",
            "createdAt": stamp(created),
            "processedAt": stamp(processed_at or created),
            "updatedAt": stamp(updated_at or created),
            "closedAt": None,
            "cancelledAt": None,
            "cancelReason": None,
            "test": test,
            "edited": False,
            "displayFinancialStatus": financial_status,
            "displayFulfillmentStatus": "UNFULFILLED",
            "returnStatus": "NO_RETURN",
            "sourceName": source_name,
            "customer": {"__typename": "Customer", "id": self.next_id("Customer")} if customer else None,
            "tags": list(tags),
            "currencyCode": self.currency,
            "presentmentCurrencyCode": presentment or self.currency,
            "taxesIncluded": self.taxes_included,
            "lineItems": [],
            "agreements": [],
            "fulfillments": [],
            "refunds": [],
        }
        wanted = [item if isinstance(item, Item) else Item(**item) for item in self._cart(lines)]
        shares = self._shares(wanted, Decimal(order_discount))
        sales = [self.line_sale(order, item, share) for item, share in zip(wanted, shares, strict=True)]
        for line_type, price in (("SHIPPING", shipping), ("DUTY", duty), ("ADDITIONAL_FEE", fee)):
            if Decimal(price):
                taxed = self.amounts(Decimal(price), ZERO, taxable=line_type == "SHIPPING")
                sales.append(self.sale(order, "ORDER", line_type, None, taxed))
        self.agree(order, "OrderAgreement", sales, processed_at or created)
        self.settle(order)
        self.orders[order["id"]] = order
        self.changed_at[order["id"]] = self.clock.now()
        return order

    def _cart(self, lines: Sequence[Item | dict[str, Any]] | None) -> Sequence[Item | dict[str, Any]]:
        if lines is not None:
            return lines
        return [Item(next(iter(self.products.values()), None) or self.add_product())]

    def _shares(self, items: Sequence[Item], discount: Decimal) -> list[Decimal]:
        """Spread an order-level discount over the product lines, to the cent."""
        worth = [
            self.price_of(item) * item.quantity - Decimal(item.discount) if item.line_type == "PRODUCT" else ZERO
            for item in items
        ]
        whole = sum(worth, ZERO)
        left = min(discount, whole)
        shares: list[Decimal] = []
        for value in worth:
            share = self.till.round(left * value / whole) if whole else ZERO
            shares.append(share)
            left -= share
            whole -= value
        return shares

    def price_of(self, item: Item) -> Decimal:
        """Return an item's unit price: its own, or its variant's."""
        if item.price is not None:
            return Decimal(item.price)
        if item.product is None:
            return Decimal(10)
        return Decimal((item.variant or item.product["variants"][0])["price"])

    def amounts(self, price: Decimal, discount: Decimal, *, taxable: bool = True) -> Amounts:
        """Return the figures of a sale of something with this price and discount, as the shop taxes it."""
        rate = self.tax_rate if taxable else ZERO
        net, gross_up = price - discount, UNIT + rate
        if self.taxes_included:
            before = self.till.round(discount / gross_up)
            return Amounts(net, self.till.round(net * rate / gross_up), before, discount)
        tax = self.till.round(net * rate)
        return Amounts(net + tax, tax, discount, self.till.round(discount * gross_up))

    def line_sale(self, order: Node, item: Item, share: Decimal = ZERO) -> Node:
        """Append an item to the order's lines and return the sale that records it."""
        product, price = item.product, self.price_of(item)
        discount = Decimal(item.discount)
        variant = (item.variant or product["variants"][0]) if product else None
        currency = order["presentmentCurrencyCode"]
        variant_title = item.variant_title
        if variant and variant_title is None and variant["title"] != "Default Title":
            variant_title = variant["title"]
        line: Node = {
            "__typename": "LineItem",
            "id": self.next_id("LineItem"),
            "title": item.title or ("Tip" if item.tip else product["title"] if product else "Custom item"),
            "variantTitle": variant_title,
            "sku": item.sku if item.sku is not None else (variant["sku"] if variant else None),
            "vendor": item.vendor if item.vendor is not None else (product["vendor"] if product else None),
            "quantity": item.quantity,
            "currentQuantity": item.quantity,
            "unfulfilledQuantity": 0 if item.tip else item.quantity,
            "isGiftCard": item.gift_card,
            "taxable": item.taxable and item.line_type == "PRODUCT",
            "product": product,
            "variant": variant,
            "originalUnitPriceSet": self.till.bag(price, currency),
            "discountAllocations": [
                {"allocatedAmountSet": self.till.bag(part, currency)} for part in (discount, share) if part
            ],
        }
        order["lineItems"].append(line)
        figures = self.amounts(price * item.quantity, discount + share, taxable=line["taxable"])
        return self.sale(order, "ORDER", item.line_type, item.quantity, figures, line)

    def sale(
        self,
        order: Node,
        action: str,
        line_type: str,
        quantity: int | None,
        figures: Amounts,
        line: Node | None = None,
    ) -> Node:
        """Return one row of the sales ledger."""
        currency = order["presentmentCurrencyCode"]
        row: Node = {
            "__typename": SALE_TYPES[line_type],
            "id": self.next_id("Sale"),
            "actionType": action,
            "lineType": line_type,
            "quantity": quantity,
            "totalAmount": self.till.bag(figures.total, currency),
            "totalTaxAmount": self.till.bag(figures.tax, currency),
            "totalDiscountAmountBeforeTaxes": self.till.bag(figures.discount_before_taxes, currency),
            "totalDiscountAmountAfterTaxes": self.till.bag(figures.discount_after_taxes, currency),
        }
        if line is not None:
            row["lineItem"] = line
        return row

    def agree(self, order: Node, kind: str, sales: list[Node], at: datetime, **more: Any) -> Node:
        """Append an agreement to the order's ledger."""
        agreement: Node = {
            "__typename": kind,
            "id": self.next_id("SalesAgreement"),
            "happenedAt": stamp(at),
            "reason": REASONS[kind],
            "sales": sales,
            **more,
        }
        order["agreements"].append(agreement)
        return agreement

    def settle(self, order: Node) -> None:
        """Write every total of the order anew from its ledger and refunds."""
        included = order["taxesIncluded"]
        discount_key = "totalDiscountAmountAfterTaxes" if included else "totalDiscountAmountBeforeTaxes"
        sold, current = [ZERO] * 5, [ZERO] * 5
        original = tips = shipping_back = discrepancy = ZERO
        for index, agreement in enumerate(order["agreements"]):
            is_return = agreement["__typename"] in ("RefundAgreement", "ReturnAgreement")
            for sale in agreement["sales"]:
                total, line_type = amount(sale["totalAmount"]), sale["lineType"]
                if line_type == "ADJUSTMENT":
                    discrepancy += total
                    continue
                tax = amount(sale["totalTaxAmount"])
                price = total if included else total - tax
                figures = (
                    total,
                    tax,
                    amount(sale[discount_key]),
                    price if line_type in ("PRODUCT", "GIFT_CARD") else ZERO,
                    price if line_type == "SHIPPING" else ZERO,
                )
                current = [a + b for a, b in zip(current, figures, strict=True)]
                if is_return:
                    shipping_back -= total if line_type == "SHIPPING" else ZERO
                    continue
                sold = [a + b for a, b in zip(sold, figures, strict=True)]
                original += ZERO if index else total
                tips += total if line_type == "TIP" else ZERO
        refunded = sum((amount(refund["totalRefundedSet"]) for refund in order["refunds"]), ZERO)
        received = ZERO if order["displayFinancialStatus"] in UNPAID else sold[0]
        bag, currency = self.till.bag, order["presentmentCurrencyCode"]
        for name, value in (
            ("totalPriceSet", sold[0]),
            ("totalTaxSet", sold[1]),
            ("totalDiscountsSet", sold[2]),
            ("subtotalPriceSet", sold[3]),
            ("totalShippingPriceSet", sold[4]),
            ("currentTotalPriceSet", current[0]),
            ("currentTotalTaxSet", current[1]),
            ("currentTotalDiscountsSet", current[2]),
            ("currentSubtotalPriceSet", current[3]),
            ("currentShippingPriceSet", current[4]),
            ("originalTotalPriceSet", original),
            ("totalTipReceivedSet", tips),
            ("totalRefundedSet", refunded),
            ("totalRefundedShippingSet", shipping_back),
            ("refundDiscrepancySet", discrepancy),
            ("totalReceivedSet", received),
            ("netPaymentSet", received - refunded),
        ):
            order[name] = bag(value, currency)
        if refunded and order["displayFinancialStatus"] not in UNPAID:
            order["displayFinancialStatus"] = "REFUNDED" if refunded >= received else "PARTIALLY_REFUNDED"


def line_total(line: Node) -> Node:
    """Return a line's price before discounts, in both currencies."""
    return combine((line["quantity"], line["originalUnitPriceSet"]))
