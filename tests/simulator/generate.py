"""The history of a made-up shop, with what real shops have: late refunds, hostile titles, odd hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random

from tests.simulator.books import Item
from tests.simulator.nodes import ZERO, Node, moment
from tests.simulator.trade import Trade

HOSTILE = (
    'The "quoted" one',
    "back\\slash \\n \\u0041",
    "'; DROP TABLE order_header; --",
    "Emoji 👩‍👩‍👧‍👦 🧵🏳️‍🌈",
    "עברית مرحبا \u202eright-to-left\u202c",
    "two\nlines\r\nand\ta tab",
    "line\u2028separator\u2029paragraph\u0085next",
    "control \x01\x07\x1f\x7f characters",
    "x" * 255,
    "ß" * 255,
    "日本語の商品名",
    "\ufeffbom and zero\u200bwidth",
    " leading and trailing ",
    "a/b\\/c </script><b>&amp;",
    "%s %d {0} ${x} NULL",
    "Ẑ̷͝a̴l̸g̵o",
    "0",
)
NOUNS = (
    "Shirt",
    "Mug",
    "Candle",
    "Poster",
    "Bottle",
    "Scarf",
    "Lamp",
    "Notebook",
    "Bag",
    "Chair",
    "Clock",
    "Soap",
)
ADJECTIVES = (
    "Red",
    "Blue",
    "Tall",
    "Soft",
    "Vintage",
    "Nordic",
    "Plain",
    "Loud",
    "Tiny",
    "Heavy",
    "Ivory",
    "Wild",
)
VENDORS = ("Northwind", "Acme", "Ærø Works", "O'Neill & Søn", "Contoso")
PRESENTMENT = ("EUR", "GBP", "CAD", "JPY")
GIFT_CARD_PRICES = (10, 25, 50, 100)


def stock(shop: Trade, rng: Random, count: int, at: datetime) -> None:
    """Add products of many prices; a few titles are hostile, one product is the gift card."""
    shop.add_product("Gift Card", GIFT_CARD_PRICES, at=at, product_type="", gift_card=True, sku="GIFT")
    for index in range(count - 1):
        title = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {index}"
        if index % 9 == 4:
            title = HOSTILE[index // 9 % len(HOSTILE)]
        base = Decimal(rng.randrange(199, 19_900)) / 100
        prices = [shop.till.round(base + step * 2) for step in range(rng.choice((1, 1, 1, 2, 3, 5)))]
        status = rng.choices(("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"), (90, 6, 3, 1))[0]
        shop.add_product(
            title,
            prices,
            at=at + timedelta(hours=index),
            vendor=rng.choice(VENDORS),
            product_type=rng.choice(("Apparel", "Home", "")),
            status=status,
            sku=f"SKU-{index:04d}" if rng.random() < 0.95 else HOSTILE[index % len(HOSTILE)][:40],
        )


def random_item(shop: Trade, rng: Random, catalogue: list[Node]) -> Item:
    """Return something in a cart: mostly a variant, now and then a custom item or a gift card."""
    kind = rng.random()
    quantity = rng.choices((1, 2, 3, 5, 12, 100), (70, 15, 8, 4, 2, 1))[0]
    if kind < 0.03:
        title = rng.choice(HOSTILE) if kind < 0.01 else "Engraving"
        price = Decimal(rng.randrange(0, 9_000)) / 100
        return Item(None, quantity=quantity, price=shop.till.round(price), title=title, taxable=kind < 0.02)
    product = catalogue[int(rng.random() ** 2 * len(catalogue))]
    variant = rng.choice(product["variants"])
    if product["isGiftCard"]:
        return Item(product, variant, gift_card=True, taxable=False)
    discount = ZERO
    if rng.random() < 0.2:
        percent = rng.choice((5, 10, 15, 33, 100))
        discount = shop.till.round(Decimal(variant["price"]) * quantity * percent / 100)
    oddity = rng.random()
    return Item(
        product,
        variant,
        quantity=quantity,
        discount=discount,
        variant_title=rng.choice(HOSTILE) if oddity < 0.004 else None,
        sku=rng.choice(HOSTILE)[:60] if oddity > 0.997 else None,
    )


def random_order(
    shop: Trade,
    rng: Random,
    created: datetime,
    now: datetime,
    catalogue: list[Node] | None = None,
    size: int | None = None,
) -> Node:
    """Add an order of `created`, and what has happened to it by `now`."""
    goods = catalogue or list(shop.products.values())
    count = rng.choices((1, 2, 3, 4, 8), (55, 25, 11, 6, 3))[0] if size is None else size
    items = [random_item(shop, rng, goods) for _ in range(count)] if goods else []
    chance = rng.random
    if items and chance() < 0.03:
        items.append(Item(price=shop.till.round(Decimal(rng.randrange(100, 1500)) / 100), tip=True, taxable=False))
    imported = chance() < 0.02
    order = shop.add_order(
        items,
        at=created,
        processed_at=created - timedelta(days=rng.randrange(1, 40), seconds=rng.randrange(86_400))
        if imported
        else None,
        customer=chance() < 0.9,
        test=chance() < 0.015,
        tags=[rng.choice(HOSTILE)] if chance() < 0.03 else ["vip", "wholesale"][: rng.randrange(3)],
        source_name=rng.choices(("web", "pos", None, "shopify_draft_order", "580111"), (75, 12, 3, 7, 3))[0],
        presentment=rng.choice(PRESENTMENT) if chance() < 0.1 else None,
        financial_status=rng.choices(("PAID", "PENDING", "AUTHORIZED"), (93, 4, 3))[0],
        order_discount=rng.choice((5, 10, 25)) if chance() < 0.12 else ZERO,
        shipping=rng.choice(("4.95", "9.90", "15.00")) if chance() < 0.7 else ZERO,
        duty="3.33" if chance() < 0.01 else ZERO,
        fee="1.25" if chance() < 0.01 else ZERO,
        name=f"{rng.choice(HOSTILE)[:30]}#{rng.randrange(9999)}" if chance() < 0.003 else None,
    )
    if created < now:
        live(shop, rng, order, created, now)
    return order


def live(shop: Trade, rng: Random, order: Node, created: datetime, now: datetime) -> None:
    """Let happen what usually happens to an order between `created` and `now`."""
    at = created

    def later(low_h: float, high_h: float) -> bool:
        nonlocal at
        at += timedelta(seconds=rng.randrange(int(low_h * 3600), int(high_h * 3600)))
        return at <= now

    fate = rng.random()
    if fate < 0.04 and later(0.1, 48):
        shop.cancel(order, rng.choice(("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")), at)
        return
    if fate < 0.09 and later(0.1, 20):
        edit_somehow(shop, rng, order, at)
    if fate < 0.97 and order["lineItems"]:
        if not later(1, 72):
            return
        lines = order["lineItems"]
        partial = len(lines) > 1 and rng.random() < 0.06
        shop.fulfil(order, at, line=lines[0] if partial else None)
        if partial:
            return
        if rng.random() < 0.7 and later(20, 120):
            shop.deliver(order, at)
    if 0.1 < fate < 0.2:
        refund_somehow(shop, rng, order, later, lambda: at)
    if rng.random() < 0.25 and later(24, 400):
        shop.close(order, at)


def edit_somehow(shop: Trade, rng: Random, order: Node, at: datetime) -> None:
    """Staff change the order: a line out, a line in, or a lower price."""
    lines = [line for line in order["lineItems"] if line["currentQuantity"]]
    add = rng.choice(list(shop.products.values())) if shop.products and rng.random() < 0.7 else None
    if add is not None and add["isGiftCard"]:
        add = None
    if lines and rng.random() < 0.3:
        shop.reprice(order, rng.choice(lines), at, off=rng.choice(("0.50", "3.00")))
        return
    removed = rng.choice(lines) if lines and (add is None or rng.random() < 0.7) else None
    shop.edit(order, add=add, remove=removed, vanish=rng.random() < 0.4, at=at)


def refund_somehow(shop: Trade, rng: Random, order: Node, later, at) -> None:
    """Customers send things back, days or weeks later, all of it or a part, once or twice."""
    for _ in range(rng.choices((1, 2), (85, 15))[0]):
        lines = [line for line in order["lineItems"] if line["currentQuantity"]]
        if not lines or not later(24, 24 * 45):
            return
        line = rng.choice(lines)
        pieces = line["currentQuantity"] if rng.random() < 0.6 else rng.randint(1, line["currentQuantity"])
        shop.refund(
            order,
            line,
            pieces,
            at(),
            shipping=rng.random() < 0.15,
            adjustment="2.50" if rng.random() < 0.06 else ZERO,
            as_return=rng.random() < 0.2,
        )


def odd_moments(shop: Trade, start: datetime, end: datetime) -> list[datetime]:
    """Return moments beside local midnights and beside every clock change between start and end."""
    odd: list[datetime] = []
    day = start.astimezone(shop.timezone).date()
    while (midnight := datetime.combine(day, time(0), shop.timezone).astimezone(UTC)) < end:
        if day.day % 10 == 1:
            odd += [midnight + timedelta(seconds=delta) for delta in (-1, 0, 1)]
        day += timedelta(days=1)
        following = datetime.combine(day, time(0), shop.timezone).astimezone(UTC)
        if following - midnight != timedelta(days=1):
            odd += [midnight + timedelta(minutes=minutes) for minutes in range(-90, 1590, 60)]
    return [each for each in odd if start <= each < end]


def populate(shop: Trade, count: int, days: float) -> None:
    """Fill the shop with `count` orders of the last `days` days, the same for the same seed."""
    rng, now = Random(shop.seed), shop.clock.now()
    start = now - timedelta(days=days)
    stock(shop, rng, 12 if count < 50 else 60 + min(count // 50, 500), start - timedelta(days=60))
    if not count:
        return
    odd = odd_moments(shop, start, now)
    rng.shuffle(odd)
    moments = odd[: count // 8]
    span = int((now - start).total_seconds())
    moments += [start + timedelta(seconds=rng.randrange(span)) for _ in range(count - len(moments))]
    catalogue = list(shop.products.values())
    rng.shuffle(catalogue)
    big = {rng.randrange(count) for _ in range(max(1, count // 2000))} if count >= 200 else set()
    for index, created in enumerate(sorted(moments)):
        size = rng.randrange(150, 400) if index in big else 0 if index % 331 == 97 else None
        random_order(shop, rng, created.replace(microsecond=0), now, catalogue, size)
    _tie(shop, rng, now)
    for product in rng.sample(catalogue, len(catalogue) // 25):
        shop.delete_product(product)
    shop.changed_at.clear()


def _tie(shop: Trade, rng: Random, now: datetime) -> None:
    """An app tags many orders within one second, twice."""
    for days_ago in (3, 20):
        at = (now - timedelta(days=days_ago, seconds=rng.randrange(50_000))).replace(microsecond=0)
        for order in shop.orders.values():
            if rng.random() < 0.03 and moment(order["updatedAt"]) < at:
                shop.touch(order, at, tag="campaign")
