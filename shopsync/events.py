"""
commerce.telemetry: what happened to orders and their fulfilments, as events.

Pure functions of an archive's orders: the same archive gives the same bytes. Every fact that an order carries is told
each time the order is fetched, also what happened before the run's window: an update after the window's end hides
an order from that run, and the run that fetches it then must not lose what happened meanwhile. The stable `event_id`
lets a reader drop what it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

import msgspec

from shopsync.records import Fulfillment, Order

BATCH_ORDERS = 5_000
"""Orders whose events make one object (docs/data.md)."""

NAMESPACE = UUID("7d0c3a52-6f0b-5b52-9a51-0f6a1c7a2d11")
"""Of every `event_id`; another one would make all events new."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact; each kind adds what belongs to it. Money is text beside its currency."""

    event_id: str
    event: str
    occurred_at: datetime
    order_id: int
    order_name: str
    run_id: str
    is_test: bool


class OrderCreated(Event, frozen=True, kw_only=True):
    """`order.created`: the price is before returns, as of the export."""

    total_price: str
    currency: str
    source_name: str | None
    customer_id: int | None


class OrderUpdated(Event, frozen=True, kw_only=True):
    """`order.updated`: the order as its latest change left it."""

    financial_status: str | None
    fulfillment_status: str | None
    return_status: str | None


class OrderCancelled(Event, frozen=True, kw_only=True):
    """`order.cancelled`"""

    reason: str | None


class OrderRefunded(Event, frozen=True, kw_only=True):
    """`order.refunded`, once per refund; the amount is 0 when goods alone came back."""

    refund_id: int
    amount: str
    currency: str


class FulfillmentEvent(Event, frozen=True, kw_only=True):
    """`fulfillment.created` and `fulfillment.delivered`."""

    fulfillment_id: int
    fulfillment_name: str
    status: str
    total_quantity: int


def events_of(order: Order, shop: str, run_id: str) -> Iterator[Event]:
    """Yield every event that an order carries, the order's own first."""
    header = order.header

    def fact(event: str, occurred_at: datetime, subject_id: int = header.order_id) -> dict[str, Any]:
        at = occurred_at.astimezone(UTC)
        return {
            "event_id": str(uuid5(NAMESPACE, f"{shop} {event} {subject_id} {at.isoformat()}")),
            "event": event,
            "occurred_at": at,
            "order_id": header.order_id,
            "order_name": header.name,
            "run_id": run_id,
            "is_test": header.is_test,
        }

    yield OrderCreated(
        **fact("order.created", header.created_at),
        total_price=_plain(header.total_price),
        currency=header.currency,
        source_name=header.source_name,
        customer_id=header.customer_id,
    )
    if header.updated_at != header.created_at:
        yield OrderUpdated(
            **fact("order.updated", header.updated_at),
            financial_status=header.financial_status,
            fulfillment_status=header.fulfillment_status,
            return_status=header.return_status,
        )
    if header.cancelled_at is not None:
        yield OrderCancelled(**fact("order.cancelled", header.cancelled_at), reason=header.cancel_reason)
    if header.closed_at is not None:
        yield Event(**fact("order.closed", header.closed_at))
    for refund in order.refunds:
        yield OrderRefunded(
            **fact("order.refunded", refund.processed_at, refund.refund_id),
            refund_id=refund.refund_id,
            amount=_plain(refund.total_refunded),
            currency=header.currency,
        )
    for fulfillment in order.fulfillments:
        # A cancelled or failed one too: it was created, and whether that is told must not depend on when we looked.
        created = fact("fulfillment.created", fulfillment.created_at, fulfillment.fulfillment_id)
        yield FulfillmentEvent(**created, **_shipment(fulfillment))
        if fulfillment.delivered_at is not None:
            delivered = fact("fulfillment.delivered", fulfillment.delivered_at, fulfillment.fulfillment_id)
            yield FulfillmentEvent(**delivered, **_shipment(fulfillment))


def event_batches(orders: Iterable[Order], shop: str, run_id: str, size: int = BATCH_ORDERS) -> Iterator[bytes]:
    """
    Yield the events of `size` orders at a time as JSONL, in the order of the archive; nothing for no orders.

    An order that comes twice in a batch tells each event once.
    """
    remaining = iter(orders)
    while batch := _batch(islice(remaining, size), shop, run_id):
        yield batch


def _batch(orders: Iterable[Order], shop: str, run_id: str) -> bytes:
    encoder = msgspec.json.Encoder()
    told: set[str] = set()
    lines = bytearray()
    for order in orders:
        for event in events_of(order, shop, run_id):
            if event.event_id not in told:
                told.add(event.event_id)
                lines += encoder.encode(event) + b"\n"
    return bytes(lines)


def _shipment(fulfillment: Fulfillment) -> dict[str, Any]:
    return {
        "fulfillment_id": fulfillment.fulfillment_id,
        "fulfillment_name": fulfillment.name,
        "status": fulfillment.status,
        "total_quantity": fulfillment.total_quantity,
    }


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"
