"""What a day has of its orders and customers; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from shopsync.database import pages
from shopsync.database.day_totals import order_states, replace_day
from shopsync.database.keys import KEYS
from shopsync.database.tables import customer, order_day
from shopsync.records import Order
from tests.database import column, load, rows, rows_at_once
from tests.factories import NOON, order

DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)
START = datetime(2026, 11, 20, tzinfo=NOON.tzinfo)


def _measure(database: Engine) -> None:
    """Replace what there is of today, by UTC's days."""
    states = order_states(database, START, START + DAY)
    replace_day(database, TODAY, (START, START + DAY), [], totals=[], states=states)


def _alone(number: int, **overrides: Any) -> Order:
    return order(number, line_items=[], sales=[], **overrides)


def _first_orders(database: Engine) -> dict[int, datetime]:
    return {row["customer_id"]: row["first_order_at"] for row in rows(database, customer)}


@pytest.mark.parametrize("page", [1, 2, 3])
def test_orders_of_a_crowded_day(database: Engine, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However many orders a day brought, no statement returns more than a page, and none is missed or doubled."""
    at_once = [order(number, customer_id=number) for number in range(1, 6)]
    before, after = order(6, created_at=START - DAY / 86_400), order(7, created_at=START + DAY)
    load(database, [*at_once, before, after, order(8, is_test=True), order(9, customer_id=9, created_at=START)])
    monkeypatch.setattr(pages, "PAGE", page)

    with rows_at_once(database) as counts:
        states = list(order_states(database, START, START + DAY))

    assert [9, 1, 2, 3, 4, 5] == [state.customer_id for state in states]
    assert page == max(counts)


def test_customers_of_a_crowded_day(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many customers came on a day, no statement returns or deletes more of them than it may name."""
    monkeypatch.setattr(pages, "PAGE", KEYS)
    customers = range(1, 2 * KEYS)
    load(database, [_alone(number, customer_id=number) for number in customers])
    _measure(database)
    assert dict.fromkeys(customers, NOON) == _first_orders(database)
    load(database, [_alone(number, updated_at=NOON + DAY, customer_id=None) for number in customers], run_id="run-2")

    with rows_at_once(database) as counts:
        _measure(database)

    assert {} == _first_orders(database)
    assert max(counts) == KEYS


def test_customer_comes_once(database: Engine) -> None:
    """A customer is one since the first order, test orders left out, whatever else was ordered on the day."""
    earlier = order(1, customer_id=501, created_at=NOON - DAY)
    again = [order(2, customer_id=501), order(3, customer_id=502), order(4, customer_id=502, created_at=START)]
    load(database, [earlier, *again, order(5, customer_id=503, is_test=True)])

    _measure(database)

    assert {501: NOON - DAY, 502: START} == _first_orders(database)
    assert [(501, 502)] == column(database, order_day, "customers")


@pytest.mark.parametrize(
    ("orders", "first_orders"),
    [
        ([order(1, updated_at=NOON + DAY, customer_id=502)], {502: NOON}),
        ([order(1, updated_at=NOON + DAY, customer_id=None)], {}),
        ([order(1, updated_at=NOON + DAY, is_test=True)], {}),
        ([order(2, created_at=NOON - DAY)], {501: NOON - DAY}),
    ],
)
def test_customer_thought_to_have_come(
    database: Engine, orders: list[Order], first_orders: dict[int, datetime]
) -> None:
    """A customer who did not come on the day after all is moved to the day that it was, or forgotten."""
    load(database, [order(1, customer_id=501)])
    _measure(database)
    load(database, orders, run_id="run-2")

    _measure(database)

    assert first_orders == _first_orders(database)


def test_day_without_orders_has_no_row(database: Engine) -> None:
    """A day that lost its orders has no counts of them."""
    load(database, [order(1)])
    _measure(database)
    load(database, [order(1, updated_at=NOON + DAY, is_test=True)], run_id="run-2")

    _measure(database)

    assert [] == rows(database, order_day)
