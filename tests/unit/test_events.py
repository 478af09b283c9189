"""Every fact that an order carries is told, always with the same id and the same bytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shopsync.events import event_batches, events_of
from shopsync.records import Fulfillment, Order, Refund
from tests.factories import order

SHOP = "tea.myshopify.com"
RUN = "2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11"


def day(number: int) -> datetime:
    """Noon of a day in November."""
    return datetime(2026, 11, number, 12, tzinfo=UTC)


def fulfillment(**overrides: Any) -> Fulfillment:
    """A shipment of two pieces."""
    fields: dict[str, Any] = {
        "fulfillment_id": 801,
        "name": "#1001-F1",
        "status": "SUCCESS",
        "display_status": "IN_TRANSIT",
        "created_at": day(21),
        "delivered_at": None,
        "total_quantity": 2,
    }
    return Fulfillment(**fields | overrides)


def told(*orders: Order) -> list[dict[str, Any]]:
    """The events of orders in one batch, as a reader of the lake sees them."""
    return [json.loads(line) for batch in event_batches(orders, SHOP, RUN) for line in batch.splitlines()]


def names(*orders: Order) -> list[str]:
    """What is told, without the rest."""
    return [event["event"] for event in told(*orders)]


def test_created_order_is_told() -> None:
    """An event has its identity first, then what belongs to it; money is text beside its currency."""
    (line,) = next(event_batches([order(1001, total_price=Decimal("1E+2"))], SHOP, RUN)).splitlines()

    assert line.decode() == (
        '{"event_id":"787a1dbd-ac4a-5960-bd08-2227b7734edf","event":"order.created",'
        '"occurred_at":"2026-11-20T12:00:00Z","order_id":1001,"order_name":"#1001",'
        f'"run_id":"{RUN}","is_test":false,'
        '"total_price":"100","currency":"EUR","source_name":"web","customer_id":501}'
    )


def test_untouched_order_is_not_updated() -> None:
    """An order whose latest change is its creation was created only."""
    assert names(order(created_at=day(20), updated_at=day(20))) == ["order.created"]


def test_changed_order_is_updated() -> None:
    """A later change is an update at its own time."""
    created, updated = told(order(created_at=day(20), updated_at=day(22)))

    assert (created["event"], created["occurred_at"]) == ("order.created", "2026-11-20T12:00:00Z")
    assert (updated["event"], updated["occurred_at"]) == ("order.updated", "2026-11-22T12:00:00Z")
    assert updated["financial_status"] == "PAID"


def test_cancelled_order_tells_why() -> None:
    """A cancellation carries its reason."""
    cancelled = told(order(cancelled_at=day(20), cancel_reason="FRAUD"))[1]

    assert (cancelled["event"], cancelled["reason"]) == ("order.cancelled", "FRAUD")


def test_closed_order_is_told() -> None:
    """Closing an order is a fact of its own."""
    closed = told(order(closed_at=day(23)))[1]

    assert (closed["event"], closed["occurred_at"]) == ("order.closed", "2026-11-23T12:00:00Z")


def test_each_refund_is_told() -> None:
    """Refunds of the same second are two facts, each with its amount."""
    refunds = [Refund(71, day(22), Decimal("4.50")), Refund(72, day(22), Decimal("0.00"))]

    _, first, second = told(order(refunds=refunds))

    assert (first["event"], first["refund_id"], first["amount"], first["currency"]) == (
        "order.refunded",
        71,
        "4.50",
        "EUR",
    )
    assert (second["refund_id"], second["amount"]) == (72, "0.00")
    assert first["event_id"] != second["event_id"]


def test_delivered_fulfillment_is_two_facts() -> None:
    """A shipment is created, and delivered later."""
    _, created, delivered = told(order(fulfillments=[fulfillment(delivered_at=day(24))]))

    assert (created["event"], created["occurred_at"]) == ("fulfillment.created", "2026-11-21T12:00:00Z")
    assert (delivered["event"], delivered["occurred_at"]) == ("fulfillment.delivered", "2026-11-24T12:00:00Z")
    assert delivered["fulfillment_id"] == 801


def test_cancelled_fulfillment_was_created() -> None:
    """Whether a creation is told does not depend on what became of it."""
    created = told(order(fulfillments=[fulfillment(status="CANCELLED")]))[1]

    assert (created["event"], created["status"]) == ("fulfillment.created", "CANCELLED")


def test_test_order_is_told() -> None:
    """Test orders are in the stream, and say so."""
    assert [event["is_test"] for event in told(order(is_test=True))] == [True]


def test_id_survives_later_changes() -> None:
    """The same fact has the same id in every run, whatever happened to the order since."""
    (then,) = events_of(order(1001), SHOP, RUN)

    now = next(events_of(order(1001, updated_at=day(25), total_price=Decimal(5)), SHOP, "another run"))

    assert then.event_id == now.event_id


def test_each_update_is_new() -> None:
    """Another change at another time is another fact."""
    first = told(order(updated_at=day(22)))[1]
    second = told(order(updated_at=day(23)))[1]

    assert first["event_id"] != second["event_id"]


def test_shops_share_no_ids() -> None:
    """Two shops may number their orders alike."""
    here, there = (next(events_of(order(1001), shop, RUN)) for shop in (SHOP, "coffee.myshopify.com"))

    assert here.event_id != there.event_id


def test_order_fetched_twice_is_told_once() -> None:
    """An archive that holds an order twice tells its events once."""
    assert names(order(1001), order(1002), order(1001)) == ["order.created", "order.created"]


def test_no_orders_make_no_batch() -> None:
    """An empty archive has no batch, rather than an empty one."""
    assert list(event_batches([], SHOP, RUN)) == []


def test_batches_hold_whole_orders() -> None:
    """A batch ends after so many orders, in the order of the archive."""
    orders = [order(number, closed_at=day(23)) for number in range(5)]

    batches = list(event_batches(orders, SHOP, RUN, size=2))

    assert [batch.count(b"\n") for batch in batches] == [4, 4, 2]
    assert b"".join(batches) == b"".join(event_batches(orders, SHOP, RUN))


@dataclass
class Source:
    """Orders that count how many were taken."""

    taken: list[int] = field(default_factory=list[int])

    def orders(self) -> Iterator[Order]:
        """Yield orders without end."""
        yield from (self._take(number) for number in range(1_000_000))

    def _take(self, number: int) -> Order:
        self.taken.append(number)
        return order(number)


def test_batches_are_made_on_demand() -> None:
    """Only the orders of the batch at hand are read, so memory does not grow with the archive."""
    source = Source()

    next(event_batches(source.orders(), SHOP, RUN, size=10))

    assert len(source.taken) == 10


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(1, 5))
def test_repeats_write_identical_bytes(ids: list[int], size: int) -> None:
    """Batches are a pure function of the orders."""
    orders = [order(number, name=f"#{number} ä\u2028", updated_at=day(21)) for number in ids]

    once, again = (list(event_batches(orders, SHOP, RUN, size)) for _ in range(2))

    assert once == again


@pytest.mark.parametrize("offset_hours", [-11, 0, 14])
def test_id_ignores_the_offset(offset_hours: int) -> None:
    """One instant is one fact, in whatever offset it was written."""
    elsewhere = day(20).astimezone(timezone(timedelta(hours=offset_hours)))
    here = order(1001, created_at=day(20), updated_at=day(20))

    there = replace(here, header=replace(here.header, created_at=elsewhere))

    assert told(here) == told(there)
