"""Orders as staff read them; tests/services runs this on MariaDB too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Row

from shopsync.database.orders_read import OrderFilters, OrderPosition, read_order, read_orders
from tests.database import load
from tests.factories import NOON, line_item, order, sale

ALL = OrderFilters()
HOUR = timedelta(hours=1)


def ids(found: Sequence[Row[Any]]) -> list[int]:
    return [row.order_id for row in found]


def end_of(found: Sequence[Row[Any]]) -> OrderPosition:
    return OrderPosition(found[-1].created_at, found[-1].order_id)


def test_newest_orders_come_first(database: Engine) -> None:
    """By creation, whatever their ids."""
    load(database, [order(1, created_at=NOON), order(2, created_at=NOON - HOUR), order(3, created_at=NOON + HOUR)])

    assert [3, 1, 2] == ids(read_orders(database, ALL, None, 10))


def test_ties_are_ordered_by_id(database: Engine) -> None:
    """Orders of the same second have an order too, so that no page repeats or skips one."""
    load(database, [order(number) for number in (2, 1, 4, 3)])

    first = read_orders(database, ALL, None, 2)

    assert [4, 3] == ids(first)
    assert [2, 1] == ids(read_orders(database, ALL, end_of(first), 2))


def test_pages_stand_while_orders_arrive(database: Engine) -> None:
    """A page that follows begins where the one before ended, whatever came in meanwhile."""
    load(database, [order(number, created_at=NOON + number * HOUR) for number in (1, 2, 3, 4)])
    first = read_orders(database, ALL, None, 2)

    load(database, [order(9, created_at=NOON + 9 * HOUR)], run_id="later", archive="b" * 64)

    assert [2, 1] == ids(read_orders(database, ALL, end_of(first), 2))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (OrderFilters(financial_status="REFUNDED"), [2]),
        (OrderFilters(fulfillment_status="FULFILLED"), [3, 2]),
        (OrderFilters(name="#3"), [3]),
        (OrderFilters(created_at_min=NOON + 2 * HOUR), [3, 2]),
        (OrderFilters(created_at_max=NOON + 2 * HOUR), [2, 1]),
        (OrderFilters(financial_status="PAID", fulfillment_status="FULFILLED"), [3]),
        (OrderFilters(name="#"), []),
    ],
)
def test_filters_choose_orders(database: Engine, filters: OrderFilters, expected: list[int]) -> None:
    """Each filter alone and two at once; both bounds are included, and a name is the whole name."""
    load(
        database,
        [
            order(1, name="#1", created_at=NOON + HOUR),
            order(
                2,
                name="#2",
                created_at=NOON + 2 * HOUR,
                financial_status="REFUNDED",
                fulfillment_status="FULFILLED",
            ),
            order(3, name="#3", created_at=NOON + 3 * HOUR, fulfillment_status="FULFILLED"),
        ],
    )

    assert expected == ids(read_orders(database, filters, None, 10))


def test_filters_hold_on_the_next_page(database: Engine) -> None:
    """A position goes with the filters."""
    load(database, [order(1), order(2, financial_status="REFUNDED"), order(3), order(4)])
    paid = OrderFilters(financial_status="PAID")

    assert [1] == ids(read_orders(database, paid, end_of(read_orders(database, paid, None, 2)), 2))


def test_one_order_is_read_whole(database: Engine) -> None:
    """Its header, its lines and its sales, and nobody else's."""
    load(database, [order(1, line_items=[line_item(11), line_item(12)], sales=[sale(21)]), order(2)])

    found = read_order(database, 1)

    assert found is not None
    assert 1 == found.header.order_id
    assert ([11, 12], [21]) == ([row.line_item_id for row in found.line_items], [row.sale_id for row in found.sales])


def test_order_that_is_not_there(database: Engine) -> None:
    """It is None, not an error."""
    assert read_order(database, 1) is None
