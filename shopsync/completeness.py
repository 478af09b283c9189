"""
Whether what is here is what Shopify has: its own count of a window's orders, and a sample of them field by field.

A leaf of values and rules. An export may miss an order, or leave lines out, and count only what it has: so the shop is
asked once more, by another question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopsync.window import stamp

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """An order as somebody sees it: some of its fields, and (quantity, current quantity) by line item."""

    order_id: int
    updated_at: datetime
    fields: Mapping[str, Any]
    lines: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """How many orders of a window somebody has, and some of them."""

    count: int
    sample: Sequence[SeenOrder]


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Where orders differ from Shopify's, in words, and whether the next run is to ask for their window again.

    It asks again once: what differs after that too is not mended by asking, and must not hold the watermark for ever.
    """

    differences: list[str]
    ask_again: bool


def differences(shopify: Seen, here: Seen, until: datetime) -> list[str]:
    """
    Return in words what Shopify has, and is not so here; at most twenty.

    Orders that are here and not there any more are none: they were changed meanwhile, or deleted. Neither are orders
    that are newer here, nor those that Shopify changed after `until`, the end of the compared window: its search finds
    them under their old time for a while, and the next run brings them.
    """
    known = {order.order_id: order for order in here.sample}
    settled = [order for order in shopify.sample if order.updated_at <= until]
    found = [told for order in settled for told in _of_order(order, known.get(order.order_id))]
    if shopify.count > here.count:
        found.insert(0, f"Shopify counts {shopify.count:,} orders in the window, {here.count:,} of them are here")
    return found[:MOST_TOLD]


def _of_order(order: SeenOrder, here: SeenOrder | None) -> Iterator[str]:
    if here is None:
        yield f"order {order.order_id} is not here"
    elif here.updated_at < order.updated_at:
        at, newer = stamp(here.updated_at), stamp(order.updated_at)
        yield f"order {order.order_id} is here as of {at}, Shopify's is of {newer}"
    elif here.updated_at == order.updated_at:
        for name, value in order.fields.items():
            if here.fields[name] != value:
                yield f"order {order.order_id} has another {name} here"
        if any(here.lines.get(line) != quantities for line, quantities in order.lines.items()):
            yield f"order {order.order_id} has other line items here"
