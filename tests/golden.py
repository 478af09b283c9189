"""
Golden orders: written by hand, every figure of theirs worked out by hand.

The shop cuts its days in New York. It is 01:00 there on Monday 23 November 2026, so the as-of day is the 22nd, and

    7 days   16 Nov .. 22 Nov     the 7 before    9 Nov .. 15 Nov
    30 days  24 Oct .. 22 Nov     the 30 before  24 Sep .. 23 Oct

Every story has products of its own, apart from the mug, whose stories meet on 18 November. Nothing is computed here
that a test compares: the numbers are literals, their arithmetic stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.simulator.shop import Shop

Node = dict[str, Any]

ZONE = "America/New_York"
CURRENCY = "USD"
REQUESTED_AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
AS_OF = date(2026, 11, 22)
# What a CAD customer sees for one USD; a figure made with it is wrong.
PRESENTMENT_RATE = Decimal("1.25")


# --- Builders: valid by default, so that an order states only what it is about -----------------------------------


@dataclass(frozen=True, eq=False)
class Line:
    """A line of an order; a line without a product is a custom item."""

    product: Node | None
    quantity: int
    price: str
    current: int | None = None
    discounts: Sequence[str] = ()
    gift_card: bool = False
    title: str = "Tip"


@dataclass(frozen=True)
class Sale:
    """A row of the ledger: what it did to which line, its total after tax and discount, and those two."""

    line: Line | None
    quantity: int | None
    total: str
    tax: str = "0.00"
    discount: str = "0.00"
    action: str = "ORDER"
    line_type: str = "PRODUCT"


@dataclass(frozen=True)
class Agreement:
    """What made sales, and when."""

    at: str
    sales: Sequence[Sale]
    reason: str = "ORDER"


SALE_KINDS = {
    "PRODUCT": "ProductSale",
    "GIFT_CARD": "GiftCardSale",
    "TIP": "TipSale",
    "SHIPPING": "ShippingLineSale",
    "ADJUSTMENT": "AdjustmentSale",
}
AGREEMENT_KINDS = {
    "ORDER": "OrderAgreement",
    "ORDER_EDIT": "OrderEditAgreement",
    "REFUND": "RefundAgreement",
    "RETURN": "ReturnAgreement",
}


def gid(kind: str, number: int) -> str:
    """Return a Shopify id."""
    return f"gid://shopify/{kind}/{number}"


def product(number: int, title: str) -> Node:
    """Return a product with one variant."""
    return {
        "__typename": "Product",
        "id": gid("Product", number),
        "title": title,
        "handle": title.lower().replace(" ", "-"),
        "vendor": "Golden Goods",
        "productType": "Things",
        "status": "ACTIVE",
        "tags": [],
        "isGiftCard": False,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-06-01T12:00:00Z",
        "variants": [
            {"__typename": "ProductVariant", "id": gid("ProductVariant", number * 10), "title": "Default Title"}
        ],
    }


def order(number: int, created: str, lines: Sequence[Line], ledger: Sequence[Agreement], **about: Any) -> Node:
    """
    Return an order of 1 to 9 lines.

    Its lines have the ids number * 10 + 1, 2, ..., its agreements number * 100 + 1, ..., its sales number * 1000 + 1.
    `about` names fields of Order; money is given as text.
    """
    currency = about.pop("currencyCode", CURRENCY)
    presentment = about.pop("presentmentCurrencyCode", currency)

    def money(amount: str) -> Node:
        rate = Decimal(1) if presentment == currency else PRESENTMENT_RATE
        return {
            "shopMoney": {"amount": Decimal(amount), "currencyCode": currency},
            "presentmentMoney": {"amount": Decimal(amount) * rate, "currencyCode": presentment},
        }

    nodes = {line: _line(number * 10 + index, line, money) for index, line in enumerate(lines, start=1)}
    sale_ids = iter(range(number * 1000 + 1, number * 1000 + 1000))
    agreements = [
        {
            "__typename": AGREEMENT_KINDS[agreement.reason],
            "id": gid("SalesAgreement", number * 100 + index),
            "happenedAt": agreement.at,
            "reason": agreement.reason,
            "sales": [_sale(next(sale_ids), sale, nodes, money) for sale in agreement.sales],
        }
        for index, agreement in enumerate(ledger, start=1)
    ]
    totals = {
        name: money(about.pop(name, "0.00"))
        for name in (
            "subtotalPriceSet",
            "totalDiscountsSet",
            "totalShippingPriceSet",
            "totalTaxSet",
            "totalPriceSet",
            "totalRefundedSet",
            "currentTotalPriceSet",
        )
    }
    refunds = [
        {
            "__typename": "Refund",
            "id": gid("Refund", number * 10 + index),
            "createdAt": at,
            "processedAt": at,
            "updatedAt": at,
            "totalRefundedSet": money(amount),
        }
        for index, (at, amount) in enumerate(about.pop("refunds", ()), start=1)
    ]
    return {
        "__typename": "Order",
        "id": gid("Order", number),
        "name": f"#{number}",
        "createdAt": created,
        "processedAt": created,
        "updatedAt": max(agreement.at for agreement in ledger),
        "closedAt": None,
        "cancelledAt": None,
        "cancelReason": None,
        "test": False,
        "edited": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "returnStatus": "NO_RETURN",
        "sourceName": "web",
        "customer": {"__typename": "Customer", "id": gid("Customer", number)},
        "tags": [],
        "currencyCode": currency,
        "presentmentCurrencyCode": presentment,
        "taxesIncluded": False,
        "fulfillments": [],
        "refunds": refunds,
        "lineItems": list(nodes.values()),
        "agreements": agreements,
        **totals,
        **about,
    }


def fulfillment(number: int, created: str, status: str = "SUCCESS", delivered: str | None = None) -> Node:
    """Return a fulfillment of one piece."""
    return {
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", number),
        "name": f"F{number}",
        "status": status,
        "displayStatus": "FULFILLED",
        "createdAt": created,
        "updatedAt": created,
        "deliveredAt": delivered,
        "totalQuantity": 1,
    }


def _line(number: int, line: Line, money: Any) -> Node:
    current = line.quantity if line.current is None else line.current
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", number),
        "title": line.product["title"] if line.product else line.title,
        "variantTitle": None,
        "sku": None,
        "vendor": line.product["vendor"] if line.product else None,
        "quantity": line.quantity,
        "currentQuantity": current,
        "unfulfilledQuantity": current,
        "isGiftCard": line.gift_card,
        "taxable": True,
        "product": line.product,
        "variant": line.product["variants"][0] if line.product else None,
        "originalUnitPriceSet": money(line.price),
        "discountAllocations": [{"allocatedAmountSet": money(amount)} for amount in line.discounts],
    }


def _sale(number: int, sale: Sale, lines: dict[Line, Node], money: Any) -> Node:
    node = {
        "__typename": SALE_KINDS[sale.line_type],
        "id": gid("Sale", number),
        "actionType": sale.action,
        "lineType": sale.line_type,
        "quantity": sale.quantity,
        "totalAmount": money(sale.total),
        "totalTaxAmount": money(sale.tax),
        "totalDiscountAmountBeforeTaxes": money(sale.discount),
        "totalDiscountAmountAfterTaxes": money(sale.discount),
    }
    return node if sale.line is None else node | {"lineItem": lines[sale.line]}


# --- The products -------------------------------------------------------------------------------------------------

MUG = product(101, "Mug")
SHIRT = product(102, "Shirt")
LAMP = product(103, "Lamp")
BOOK = product(104, "Book")
POSTER = product(105, "Poster")
CLOCK = product(106, "Clock")
KETTLE = product(107, "Kettle")
PAN = product(108, "Pan")
LID = product(109, "Lid")
GIFT_CARD = product(110, "Gift card")
STICKER = product(111, "Sticker")
CANDLE = product(112, "Candle")
BULB = product(113, "Bulb")
RUG = product(114, "Rug")
BOOTS = product(115, "Boots")
PEN = product(116, "Pen")
KITE = product(117, "Kite")
TENT = product(118, "Tent")
PRODUCTS = [
    *(MUG, SHIRT, LAMP, BOOK, POSTER, CLOCK, KETTLE, PAN, LID, GIFT_CARD, STICKER, CANDLE, BULB, RUG, BOOTS, PEN),
    *(KITE, TENT),
]


# --- The orders ---------------------------------------------------------------------------------------------------


def refund_on_a_later_day() -> Node:
    """Two mugs with 8 % tax on top on the 10th; one comes back on the 18th. Shipped twice, first attempt failed."""
    mugs = Line(MUG, 2, "20.00", current=1)
    return order(
        1,
        "2026-11-10T15:00:00Z",
        [mugs],
        [
            Agreement("2026-11-10T15:00:00Z", [Sale(mugs, 2, total="43.20", tax="3.20")]),
            Agreement(
                "2026-11-18T16:00:00Z", [Sale(mugs, -1, total="-21.60", tax="-1.60", action="RETURN")], reason="REFUND"
            ),
        ],
        displayFinancialStatus="PARTIALLY_REFUNDED",
        displayFulfillmentStatus="FULFILLED",
        tags=["first, of many", 'a "quoted" tag'],
        subtotalPriceSet="40.00",
        totalTaxSet="3.20",
        totalPriceSet="43.20",
        totalRefundedSet="21.60",
        currentTotalPriceSet="21.60",
        refunds=[("2026-11-18T16:00:00Z", "21.60")],
        fulfillments=[
            fulfillment(11, "2026-11-10T16:00:00Z", status="CANCELLED"),
            fulfillment(12, "2026-11-12T09:00:00Z"),
            fulfillment(13, "2026-11-11T09:00:00Z", delivered="2026-11-13T18:30:00Z"),
        ],
    )


def partial_refund() -> Node:
    """Three shirts with 10 % off on the 12th; one comes back on the 20th, with 5.00 for the trouble."""
    shirts = Line(SHIRT, 3, "15.00", current=2, discounts=["4.50"])
    return order(
        2,
        "2026-11-12T15:00:00Z",
        [shirts],
        [
            Agreement("2026-11-12T15:00:00Z", [Sale(shirts, 3, total="40.50", discount="4.50")]),
            Agreement(
                "2026-11-20T15:00:00Z",
                [
                    Sale(shirts, -1, total="-13.50", discount="-1.50", action="RETURN"),
                    Sale(None, None, total="-5.00", action="RETURN", line_type="ADJUSTMENT"),
                ],
                reason="REFUND",
            ),
        ],
        refunds=[("2026-11-20T15:00:00Z", "18.50")],
    )


def edit_that_adds_and_removes() -> Node:
    """A lamp and a book on the 16th; on the 17th the book is taken out and two posters are put in."""
    lamp, book, posters = Line(LAMP, 1, "60.00"), Line(BOOK, 1, "12.00", current=0), Line(POSTER, 2, "9.50")
    return order(
        3,
        "2026-11-16T17:00:00Z",
        [lamp, book, posters],
        [
            Agreement("2026-11-16T17:00:00Z", [Sale(lamp, 1, total="60.00"), Sale(book, 1, total="12.00")]),
            Agreement(
                "2026-11-17T17:00:00Z",
                [Sale(book, -1, total="-12.00", action="RETURN"), Sale(posters, 2, total="19.00")],
                reason="ORDER_EDIT",
            ),
        ],
        edited=True,
    )


def cancellation() -> Node:
    """A clock on the 14th, cancelled on the 15th: all of it comes back, the shipping too."""
    clock = Line(CLOCK, 1, "33.00", current=0)
    return order(
        4,
        "2026-11-14T15:00:00Z",
        [clock],
        [
            Agreement(
                "2026-11-14T15:00:00Z",
                [Sale(clock, 1, total="33.00"), Sale(None, None, total="5.00", line_type="SHIPPING")],
            ),
            Agreement(
                "2026-11-15T15:00:00Z",
                [
                    Sale(clock, -1, total="-33.00", action="RETURN"),
                    Sale(None, None, total="-5.00", action="RETURN", line_type="SHIPPING"),
                ],
                reason="REFUND",
            ),
        ],
        cancelledAt="2026-11-15T15:00:00Z",
        closedAt="2026-11-15T15:00:00Z",
        cancelReason="CUSTOMER",
        displayFinancialStatus="REFUNDED",
        subtotalPriceSet="33.00",
        totalShippingPriceSet="5.00",
        totalPriceSet="38.00",
        totalRefundedSet="38.00",
        currentTotalPriceSet="0.00",
        refunds=[("2026-11-15T15:00:00Z", "38.00")],
    )


def taxes_included() -> Node:
    """
    Two kettles on the 13th at 119.00 with 19 % tax in it, and 10 % off.

    238.00 - 23.80 = 214.20, of which 34.20 is tax; the discount is 23.80 with tax and 20.00 without.
    """
    kettles = Line(KETTLE, 2, "119.00", discounts=["23.80"])
    return order(
        5,
        "2026-11-13T15:00:00Z",
        [kettles],
        [Agreement("2026-11-13T15:00:00Z", [Sale(kettles, 2, total="214.20", tax="34.20", discount="20.00")])],
        taxesIncluded=True,
        subtotalPriceSet="214.20",
        totalDiscountsSet="23.80",
        totalTaxSet="34.20",
        totalPriceSet="214.20",
        currentTotalPriceSet="214.20",
    )


def tax_on_top_with_order_discount() -> Node:
    """
    A pan and a lid on the 19th, 10 % off the order (5.00 + 3.00), 8.875 % tax on top, shipping 7.00.

    Pan: 45.00 and 3.99 tax = 48.99. Lid: 27.00 and 2.40 tax = 29.40. With shipping 85.39.
    """
    pan, lid = Line(PAN, 1, "50.00", discounts=["5.00"]), Line(LID, 1, "30.00", discounts=["2.00", "1.00"])
    return order(
        6,
        "2026-11-19T15:00:00Z",
        [pan, lid],
        [
            Agreement(
                "2026-11-19T15:00:00Z",
                [
                    Sale(pan, 1, total="48.99", tax="3.99", discount="5.00"),
                    Sale(lid, 1, total="29.40", tax="2.40", discount="3.00"),
                    Sale(None, None, total="7.00", line_type="SHIPPING"),
                ],
            )
        ],
        subtotalPriceSet="72.00",
        totalDiscountsSet="8.00",
        totalShippingPriceSet="7.00",
        totalTaxSet="6.39",
        totalPriceSet="85.39",
        currentTotalPriceSet="85.39",
    )


def gift_card_and_tip() -> Node:
    """A gift card, a mug and a tip on the 18th: only the mug is a sale of a product."""
    card, mug, tip = Line(GIFT_CARD, 1, "50.00", gift_card=True), Line(MUG, 1, "20.00"), Line(None, 1, "3.00")
    return order(
        7,
        "2026-11-18T18:00:00Z",
        [card, mug, tip],
        [
            Agreement(
                "2026-11-18T18:00:00Z",
                [
                    Sale(card, 1, total="50.00", line_type="GIFT_CARD"),
                    Sale(mug, 1, total="20.00"),
                    Sale(tip, 1, total="3.00", line_type="TIP"),
                ],
            )
        ],
        customer=None,
    )


def sold_in_another_currency() -> Node:
    """A mug for 18.00 EUR on the 17th, from when the shop's currency was another."""
    mug = Line(MUG, 1, "18.00")
    return order(
        8,
        "2026-11-17T15:00:00Z",
        [mug],
        [Agreement("2026-11-17T15:00:00Z", [Sale(mug, 1, total="18.00")])],
        currencyCode="EUR",
        totalPriceSet="18.00",
    )


def shown_in_another_currency() -> Node:
    """Four stickers for 10.00 USD on the 17th, which the customer saw as 12.50 CAD."""
    stickers = Line(STICKER, 4, "2.50")
    return order(
        9,
        "2026-11-17T16:00:00Z",
        [stickers],
        [Agreement("2026-11-17T16:00:00Z", [Sale(stickers, 4, total="10.00")])],
        presentmentCurrencyCode="CAD",
        totalPriceSet="10.00",
    )


def at_the_stroke_of(number: int, at: str, item: Node, quantity: int, total: str, **about: Any) -> Node:
    """Return an order of one line, sold at this very second."""
    line = Line(item, quantity, "1.00")
    return order(number, at, [line], [Agreement(at, [Sale(line, quantity, total=total)])], **about)


def around_midnight() -> list[Node]:
    """Candles at 8.00 in the last second of a day, in the first of the next, and after midnight today."""
    return [
        at_the_stroke_of(10, "2026-11-21T04:59:59Z", CANDLE, 1, "8.00"),  # 20 Nov 23:59:59
        at_the_stroke_of(11, "2026-11-21T05:00:00Z", CANDLE, 2, "16.00"),  # 21 Nov 00:00:00
        at_the_stroke_of(12, "2026-11-23T05:00:00Z", CANDLE, 4, "32.00"),  # 23 Nov 00:00:00: today
    ]


def clocks_go_forward() -> list[Node]:
    """Bulbs around 8 March, which has 23 hours in New York; tagged in November, so that a daily run sees them."""
    tagged = "2026-11-20T12:00:00Z"
    return [
        at_the_stroke_of(13, "2026-03-08T04:59:59Z", BULB, 1, "1.00", updatedAt=tagged),  # 7 Mar 23:59:59 EST
        at_the_stroke_of(14, "2026-03-08T05:00:00Z", BULB, 8, "8.00", updatedAt=tagged),  # 8 Mar 00:00:00 EST
        at_the_stroke_of(15, "2026-03-09T03:59:59Z", BULB, 2, "2.00", updatedAt=tagged),  # 8 Mar 23:59:59 EDT
        at_the_stroke_of(16, "2026-03-09T04:00:00Z", BULB, 4, "4.00", updatedAt=tagged),  # 9 Mar 00:00:00 EDT
    ]


def clocks_go_back() -> list[Node]:
    """Bulbs around 1 November, which has 25 hours in New York, 01:30 twice."""
    return [
        at_the_stroke_of(17, "2026-11-01T03:59:59Z", BULB, 16, "16.00"),  # 31 Oct 23:59:59 EDT
        at_the_stroke_of(18, "2026-11-01T04:00:00Z", BULB, 32, "32.00"),  # 1 Nov 00:00:00 EDT
        at_the_stroke_of(19, "2026-11-01T05:30:00Z", BULB, 64, "64.00"),  # 1 Nov 01:30:00 EDT
        at_the_stroke_of(20, "2026-11-01T06:30:00Z", BULB, 128, "128.00"),  # 1 Nov 01:30:00 EST
        at_the_stroke_of(21, "2026-11-02T04:59:59Z", BULB, 256, "256.00"),  # 1 Nov 23:59:59 EST
        at_the_stroke_of(22, "2026-11-02T05:00:00Z", BULB, 512, "512.00"),  # 2 Nov 00:00:00 EST
    ]


def mugs_nobody_bought() -> Node:
    """Five mugs that nobody bought."""
    return at_the_stroke_of(23, "2026-11-19T16:00:00Z", MUG, 5, "100.00", test=True)


def custom_item() -> Node:
    """Something without a product, for 40.00 on the 19th."""
    engraving = Line(None, 1, "40.00", title="Engraving")
    return order(
        24,
        "2026-11-19T17:00:00Z",
        [engraving],
        [Agreement("2026-11-19T17:00:00Z", [Sale(engraving, 1, total="40.00")])],
    )


def price_update() -> Node:
    """A rug on the 9th; on the 16th it becomes 20.00 cheaper, which moves no piece."""
    rug = Line(RUG, 1, "200.00", discounts=["20.00"])
    return order(
        25,
        "2026-11-09T15:00:00Z",
        [rug],
        [
            Agreement("2026-11-09T15:00:00Z", [Sale(rug, 1, total="200.00")]),
            Agreement(
                "2026-11-16T15:00:00Z",
                [Sale(rug, None, total="-20.00", discount="20.00", action="UPDATE")],
                reason="ORDER_EDIT",
            ),
        ],
    )


def exchange_on_one_day() -> Node:
    """Boots for 80.00 on the 13th; on the 21st they come back and another pair for 85.00 goes out."""
    small, large = Line(BOOTS, 1, "80.00", current=0), Line(BOOTS, 1, "85.00")
    return order(
        26,
        "2026-11-13T15:00:00Z",
        [small, large],
        [
            Agreement("2026-11-13T15:00:00Z", [Sale(small, 1, total="80.00")]),
            Agreement(
                "2026-11-21T15:00:00Z",
                [Sale(small, -1, total="-80.00", action="RETURN"), Sale(large, 1, total="85.00")],
                reason="RETURN",
            ),
        ],
    )


def at_the_edges_of_the_windows() -> Node:
    """One order that grows on the first and the last day of every window; powers of two tell the days apart."""
    pens = Line(PEN, 511, "1.00")
    days = {
        "2026-09-23": 256,
        "2026-09-24": 128,
        "2026-10-23": 64,
        "2026-10-24": 32,
        "2026-11-08": 16,
        "2026-11-09": 8,
        "2026-11-15": 4,
        "2026-11-16": 2,
        "2026-11-22": 1,
    }
    ledger = [
        Agreement(f"{day}T17:00:00Z", [Sale(pens, quantity, total=f"{quantity}.00")], reason="ORDER_EDIT")
        for day, quantity in days.items()
    ]
    return order(27, "2026-09-23T17:00:00Z", [pens], ledger)


def sold_in_the_month_before() -> Node:
    """Three kites at 7.00 on 1 October."""
    return at_the_stroke_of(28, "2026-10-01T15:00:00Z", KITE, 3, "21.00")


def returned_long_after() -> Node:
    """A tent for 150.00 on 1 August, which comes back on 20 November."""
    tent = Line(TENT, 1, "150.00", current=0)
    return order(
        29,
        "2026-08-01T15:00:00Z",
        [tent],
        [
            Agreement("2026-08-01T15:00:00Z", [Sale(tent, 1, total="150.00")]),
            Agreement("2026-11-20T15:00:00Z", [Sale(tent, -1, total="-150.00", action="RETURN")], reason="RETURN"),
        ],
    )


def golden_orders() -> list[Node]:
    """Return every golden order, newly built."""
    return [
        refund_on_a_later_day(),
        partial_refund(),
        edit_that_adds_and_removes(),
        cancellation(),
        taxes_included(),
        tax_on_top_with_order_discount(),
        gift_card_and_tip(),
        sold_in_another_currency(),
        shown_in_another_currency(),
        *around_midnight(),
        *clocks_go_forward(),
        *clocks_go_back(),
        mugs_nobody_bought(),
        custom_item(),
        price_update(),
        exchange_on_one_day(),
        at_the_edges_of_the_windows(),
        sold_in_the_month_before(),
        returned_long_after(),
    ]


def golden_shop(**settings: Any) -> Shop:
    """Return a simulated shop that holds the golden orders and no other."""
    shop = Shop(**{"orders": 0, "now": REQUESTED_AT, "timezone": ZONE, "currency": CURRENCY, **settings})
    # Copied in one go, so that lines still point at the shop's products, and no test changes another's.
    products, orders = deepcopy((PRODUCTS, golden_orders()))
    shop.products.update({each["id"]: each for each in products})
    shop.orders.update({each["id"]: each for each in orders})
    return shop


# --- Worked out by hand: measurement.sales ------------------------------------------------------------------------


def sold(
    orders: int = 0,
    *,
    units: int = 0,
    returned: int = 0,
    gross: str = "0",
    discounts: str = "0",
    returns: str = "0",
    net: str = "0",
    tax: str = "0",
) -> dict[str, Any]:
    """Return one row of measurement.sales."""
    return {
        "orders": orders,
        "units_sold": units,
        "units_returned": returned,
        "gross_sales": Decimal(gross),
        "discounts": Decimal(discounts),
        "returns": Decimal(returns),
        "net_sales": Decimal(net),
        "tax": Decimal(tax),
    }


GOLDEN_SALES: dict[date, dict[tuple[int, str], dict[str, Any]]] = {
    date(2026, 3, 7): {(113, "USD"): sold(1, units=1, gross="1.00", net="1.00")},
    # 8 + 2 bulbs, on a day of 23 hours.
    date(2026, 3, 8): {(113, "USD"): sold(2, units=10, gross="10.00", net="10.00")},
    date(2026, 3, 9): {(113, "USD"): sold(1, units=4, gross="4.00", net="4.00")},
    date(2026, 8, 1): {(118, "USD"): sold(1, units=1, gross="150.00", net="150.00")},
    date(2026, 9, 23): {(116, "USD"): sold(1, units=256, gross="256.00", net="256.00")},
    date(2026, 9, 24): {(116, "USD"): sold(1, units=128, gross="128.00", net="128.00")},
    date(2026, 10, 1): {(117, "USD"): sold(1, units=3, gross="21.00", net="21.00")},
    date(2026, 10, 23): {(116, "USD"): sold(1, units=64, gross="64.00", net="64.00")},
    date(2026, 10, 24): {(116, "USD"): sold(1, units=32, gross="32.00", net="32.00")},
    date(2026, 10, 31): {(113, "USD"): sold(1, units=16, gross="16.00", net="16.00")},
    # 32 + 64 + 128 + 256 bulbs, on a day of 25 hours.
    date(2026, 11, 1): {(113, "USD"): sold(4, units=480, gross="480.00", net="480.00")},
    date(2026, 11, 2): {(113, "USD"): sold(1, units=512, gross="512.00", net="512.00")},
    date(2026, 11, 8): {(116, "USD"): sold(1, units=16, gross="16.00", net="16.00")},
    date(2026, 11, 9): {
        (114, "USD"): sold(1, units=1, gross="200.00", net="200.00"),
        (116, "USD"): sold(1, units=8, gross="8.00", net="8.00"),
    },
    # 43.20 - 3.20 tax = 40.00.
    date(2026, 11, 10): {(101, "USD"): sold(1, units=2, gross="40.00", net="40.00", tax="3.20")},
    # net 40.50, gross 40.50 + 4.50 = 45.00.
    date(2026, 11, 12): {(102, "USD"): sold(1, units=3, gross="45.00", discounts="4.50", net="40.50")},
    date(2026, 11, 13): {
        # net 214.20 - 34.20 = 180.00, gross 180.00 + 20.00 = 200.00: twice 119.00 without its 19 %.
        (107, "USD"): sold(1, units=2, gross="200.00", discounts="20.00", net="180.00", tax="34.20"),
        (115, "USD"): sold(1, units=1, gross="80.00", net="80.00"),
    },
    date(2026, 11, 14): {(106, "USD"): sold(1, units=1, gross="33.00", net="33.00")},
    date(2026, 11, 15): {
        (106, "USD"): sold(0, returned=1, returns="33.00", net="-33.00"),
        (116, "USD"): sold(1, units=4, gross="4.00", net="4.00"),
    },
    date(2026, 11, 16): {
        (103, "USD"): sold(1, units=1, gross="60.00", net="60.00"),
        (104, "USD"): sold(1, units=1, gross="12.00", net="12.00"),
        # net -20.00, gross -20.00 + 20.00 = 0: only a discount, of an order that counts.
        (114, "USD"): sold(1, discounts="20.00", net="-20.00"),
        (116, "USD"): sold(1, units=2, gross="2.00", net="2.00"),
    },
    date(2026, 11, 17): {
        (101, "EUR"): sold(1, units=1, gross="18.00", net="18.00"),
        (104, "USD"): sold(0, returned=1, returns="12.00", net="-12.00"),
        (105, "USD"): sold(1, units=2, gross="19.00", net="19.00"),
        (111, "USD"): sold(1, units=4, gross="10.00", net="10.00"),
    },
    # One mug is sold beside the gift card (20.00), one comes back: -21.60 + 1.60 tax = -20.00.
    date(2026, 11, 18): {
        (101, "USD"): sold(1, units=1, returned=1, gross="20.00", returns="20.00", net="0.00", tax="-1.60")
    },
    date(2026, 11, 19): {
        (0, "USD"): sold(1, units=1, gross="40.00", net="40.00"),
        # net 48.99 - 3.99 = 45.00, gross 45.00 + 5.00 = 50.00.
        (108, "USD"): sold(1, units=1, gross="50.00", discounts="5.00", net="45.00", tax="3.99"),
        # net 29.40 - 2.40 = 27.00, gross 27.00 + 3.00 = 30.00.
        (109, "USD"): sold(1, units=1, gross="30.00", discounts="3.00", net="27.00", tax="2.40"),
    },
    date(2026, 11, 20): {
        # The discount that comes back with the shirt (-1.50) is in its net of -13.50, and nowhere else.
        (102, "USD"): sold(0, returned=1, returns="13.50", net="-13.50"),
        (112, "USD"): sold(1, units=1, gross="8.00", net="8.00"),
        (118, "USD"): sold(0, returned=1, returns="150.00", net="-150.00"),
    },
    date(2026, 11, 21): {
        (112, "USD"): sold(1, units=2, gross="16.00", net="16.00"),
        # 85.00 goes out, 80.00 comes back.
        (115, "USD"): sold(1, units=1, returned=1, gross="85.00", returns="80.00", net="5.00"),
    },
    date(2026, 11, 22): {(116, "USD"): sold(1, units=1, gross="1.00", net="1.00")},
    date(2026, 11, 23): {(112, "USD"): sold(1, units=4, gross="32.00", net="32.00")},
}


# --- Worked out by hand: measurement.performance as of 22 November ------------------------------------------------


def window(
    orders: int = 0,
    *,
    units: int = 0,
    returned: int = 0,
    gross: str = "0",
    discounts: str = "0",
    returns: str = "0",
    net: str = "0",
    before: tuple[int, str] = (0, "0"),
) -> dict[str, Any]:
    """Return the figures of one window; `before` is units sold and net sales of the one before it."""
    return {
        "units_sold": units,
        "units_returned": returned,
        "gross_sales": Decimal(gross),
        "discounts": Decimal(discounts),
        "returns": Decimal(returns),
        "net_sales": Decimal(net),
        "orders": orders,
        "units_sold_prev": before[0],
        "net_sales_prev": Decimal(before[1]),
    }


NOTHING = window()


def performance(week: dict[str, Any], month: dict[str, Any], last_sold_on: date) -> dict[str, Any]:
    """Return one row of measurement.performance."""
    seven = {f"{name}_7d": value for name, value in week.items()}
    thirty = {f"{name}_30d": value for name, value in month.items()}
    return seven | thirty | {"last_sold_on": last_sold_on}


def november(day: int) -> date:
    """Return a day of November 2026."""
    return date(2026, 11, day)


LAMPS = window(1, units=1, gross="60.00", net="60.00")
BOOKS = window(1, units=1, returned=1, gross="12.00", returns="12.00", net="0.00")
POSTERS = window(1, units=2, gross="19.00", net="19.00")
PANS = window(1, units=1, gross="50.00", discounts="5.00", net="45.00")
LIDS = window(1, units=1, gross="30.00", discounts="3.00", net="27.00")
STICKERS = window(1, units=4, gross="10.00", net="10.00")
CUSTOM = window(1, units=1, gross="40.00", net="40.00")
EUROS = window(1, units=1, gross="18.00", net="18.00")
# 1 on the 20th and 2 on the 21st; today's 4 are in no window.
CANDLES = window(2, units=3, gross="24.00", net="24.00")
# Only the return is in the windows.
TENTS = window(0, returned=1, returns="150.00", net="-150.00")

GOLDEN_PERFORMANCE: dict[tuple[int, str], dict[str, Any]] = {
    (0, "USD"): performance(CUSTOM, CUSTOM, november(19)),
    (101, "EUR"): performance(EUROS, EUROS, november(17)),
    (101, "USD"): performance(
        # The 18th alone; the 10th is in the seven days before.
        window(1, units=1, returned=1, gross="20.00", returns="20.00", net="0.00", before=(2, "40.00")),
        # 2 + 1 mugs for 40.00 + 20.00; 40.00 + 0.00 net; orders 1 and 7.
        window(2, units=3, returned=1, gross="60.00", returns="20.00", net="40.00"),
        november(18),
    ),
    (102, "USD"): performance(
        window(0, returned=1, returns="13.50", net="-13.50", before=(3, "40.50")),
        # 45.00 - 4.50 - 13.50 = 27.00.
        window(1, units=3, returned=1, gross="45.00", discounts="4.50", returns="13.50", net="27.00"),
        november(12),
    ),
    (103, "USD"): performance(LAMPS, LAMPS, november(16)),
    (104, "USD"): performance(BOOKS, BOOKS, november(16)),
    (105, "USD"): performance(POSTERS, POSTERS, november(17)),
    (106, "USD"): performance(
        # Sold and cancelled in the seven days before: 33.00 - 33.00.
        window(before=(1, "0.00")),
        window(1, units=1, returned=1, gross="33.00", returns="33.00", net="0.00"),
        november(14),
    ),
    (107, "USD"): performance(
        window(before=(2, "180.00")),
        window(1, units=2, gross="200.00", discounts="20.00", net="180.00"),
        november(13),
    ),
    (108, "USD"): performance(PANS, PANS, november(19)),
    (109, "USD"): performance(LIDS, LIDS, november(19)),
    (111, "USD"): performance(STICKERS, STICKERS, november(17)),
    (112, "USD"): performance(CANDLES, CANDLES, november(21)),
    (113, "USD"): performance(
        NOTHING,
        # 16 + 480 + 512 bulbs in 1 + 4 + 1 orders.
        window(6, units=1008, gross="1008.00", net="1008.00"),
        november(2),
    ),
    (114, "USD"): performance(
        window(1, discounts="20.00", net="-20.00", before=(1, "200.00")),
        # Two sales of one order: 200.00 - 20.00.
        window(1, units=1, gross="200.00", discounts="20.00", net="180.00"),
        november(9),
    ),
    (115, "USD"): performance(
        window(1, units=1, returned=1, gross="85.00", returns="80.00", net="5.00", before=(1, "80.00")),
        # 80.00 + 85.00 - 80.00, all in one order.
        window(1, units=2, returned=1, gross="165.00", returns="80.00", net="85.00"),
        november(21),
    ),
    (116, "USD"): performance(
        # 1 + 2, before them 4 + 8.
        window(1, units=3, gross="3.00", net="3.00", before=(12, "12.00")),
        # 1 + 2 + 4 + 8 + 16 + 32, before them 64 + 128; the 256 are older. One order, however many days.
        window(1, units=63, gross="63.00", net="63.00", before=(192, "192.00")),
        november(22),
    ),
    # Nothing in the windows, but in the 30 days before.
    (117, "USD"): performance(NOTHING, window(before=(3, "21.00")), date(2026, 10, 1)),
    (118, "USD"): performance(TENTS, TENTS, date(2026, 8, 1)),
}

# Of the table `product`: units of 7 and 30 days, net sales of 7 and 30 days (in USD), last day sold.
GOLDEN_PRODUCTS: dict[int, tuple[int, int, str, str, date]] = {
    101: (1, 3, "0.00", "40.00", november(18)),
    102: (0, 3, "-13.50", "27.00", november(12)),
    103: (1, 1, "60.00", "60.00", november(16)),
    104: (1, 1, "0.00", "0.00", november(16)),
    105: (2, 2, "19.00", "19.00", november(17)),
    106: (0, 1, "0.00", "0.00", november(14)),
    107: (0, 2, "0.00", "180.00", november(13)),
    108: (1, 1, "45.00", "45.00", november(19)),
    109: (1, 1, "27.00", "27.00", november(19)),
    111: (4, 4, "10.00", "10.00", november(17)),
    112: (3, 3, "24.00", "24.00", november(21)),
    113: (0, 1008, "0.00", "1008.00", november(2)),
    114: (0, 1, "-20.00", "180.00", november(9)),
    115: (1, 2, "5.00", "85.00", november(21)),
    116: (3, 63, "3.00", "63.00", november(22)),
    117: (0, 0, "0.00", "0.00", date(2026, 10, 1)),
    118: (0, 0, "-150.00", "-150.00", date(2026, 8, 1)),
}


# --- Worked out by hand: some rows, some columns ------------------------------------------------------------------


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


GOLDEN_HEADERS: dict[int, dict[str, Any]] = {
    1: {
        "name": "#1",
        "created_at": utc(10, 15),
        "updated_at": utc(18, 16),
        "is_test": False,
        "financial_status": "PARTIALLY_REFUNDED",
        "fulfillment_status": "FULFILLED",
        "customer_id": 1,
        "tags": ["first, of many", 'a "quoted" tag'],
        "currency": "USD",
        "subtotal_price": Decimal("40.00"),
        "total_tax": Decimal("3.20"),
        "total_price": Decimal("43.20"),
        "total_refunded": Decimal("21.60"),
        # The attempt of the 10th was cancelled; of the others that of the 11th is the earlier.
        "first_fulfilled_at": utc(11, 9),
    },
    4: {
        "cancelled_at": utc(15, 15),
        "closed_at": utc(15, 15),
        "cancel_reason": "CUSTOMER",
        "total_shipping": Decimal("5.00"),
        "total_refunded": Decimal("38.00"),
        "current_total_price": Decimal("0.00"),
        "first_fulfilled_at": None,
    },
    6: {"total_discounts": Decimal("8.00"), "total_tax": Decimal("6.39"), "total_price": Decimal("85.39")},
    7: {"customer_id": None},
    8: {"currency": "EUR", "presentment_currency": "EUR", "total_price": Decimal("18.00")},
    9: {"currency": "USD", "presentment_currency": "CAD", "total_price": Decimal("10.00")},
    23: {"is_test": True},
}

GOLDEN_LINES: dict[int, dict[str, Any]] = {
    11: {"order_id": 1, "product_id": 101, "variant_id": 1010, "quantity": 2, "current_quantity": 1},
    32: {"title": "Book", "quantity": 1, "current_quantity": 0},
    # With tax, as Shopify allocates it where prices include it.
    51: {"unit_price": Decimal("119.00"), "total_discount": Decimal("23.80")},
    # 2.00 + 1.00.
    62: {"unit_price": Decimal("30.00"), "total_discount": Decimal("3.00")},
    71: {"product_id": 110, "is_gift_card": True},
    241: {"product_id": None, "variant_id": None, "title": "Engraving", "vendor": None},
}

GOLDEN_LEDGER: dict[int, dict[str, Any]] = {
    1002: {
        "order_id": 1,
        "agreement_id": 102,
        "happened_at": utc(18, 16),
        "reason": "REFUND",
        "action_type": "RETURN",
        "line_type": "PRODUCT",
        "line_item_id": 11,
        "product_id": 101,
        "quantity": -1,
        "total_amount": Decimal("-21.60"),
        "tax_amount": Decimal("-1.60"),
    },
    2003: {"line_type": "ADJUSTMENT", "line_item_id": None, "product_id": None, "quantity": None},
    # Before taxes, unlike the allocation of its line.
    5001: {"discount_amount": Decimal("20.00"), "tax_amount": Decimal("34.20")},
    7001: {"line_type": "GIFT_CARD", "line_item_id": 71, "product_id": 110},
    7003: {"line_type": "TIP", "line_item_id": 73, "product_id": None},
    8001: {"currency": "EUR", "total_amount": Decimal("18.00")},
    9001: {"currency": "USD", "total_amount": Decimal("10.00")},
    25002: {"action_type": "UPDATE", "quantity": None, "discount_amount": Decimal("20.00")},
}

GOLDEN_EVENTS: dict[int, list[tuple[str, datetime]]] = {
    1: [
        ("order.created", utc(10, 15)),
        ("order.updated", utc(18, 16)),
        ("order.refunded", utc(18, 16)),
        ("fulfillment.created", utc(10, 16)),
        ("fulfillment.created", utc(11, 9)),
        ("fulfillment.created", utc(12, 9)),
        ("fulfillment.delivered", utc(13, 18, 30)),
    ],
    4: [
        ("order.created", utc(14, 15)),
        ("order.updated", utc(15, 15)),
        ("order.cancelled", utc(15, 15)),
        ("order.closed", utc(15, 15)),
        ("order.refunded", utc(15, 15)),
    ],
    # Never touched again.
    9: [("order.created", utc(17, 16))],
    # A test order is told of too.
    23: [("order.created", utc(19, 16))],
}
