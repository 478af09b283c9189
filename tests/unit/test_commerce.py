"""The overview's figures, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from shopsync.commerce import (
    MEDIAN,
    P90,
    CompletedWindow,
    Coverage,
    ShopDay,
    coverage,
    hours_between,
    order_day,
    percentile,
    sales_figures,
    shop_days,
)
from shopsync.records import ChargeSum, OrderState
from shopsync.telemetry import JobType
from shopsync.window import WindowField
from tests.factories import NOON

DAY = date(2026, 11, 20)
HOUR = timedelta(hours=1)
DAYS = timedelta(days=1)


def _row(**overrides: Any) -> dict[str, Any]:
    """A row of measurement.sales."""
    return {
        "currency": "EUR",
        "units_sold": 3,
        "units_returned": 1,
        "gross_sales": Decimal(30),
        "discounts": Decimal(3),
        "returns": Decimal(9),
        "net_sales": Decimal(18),
        "tax": Decimal("3.42"),
    } | overrides


def _charge(line_type: str, total: str, tax: str = "0", *, placed: bool = True, currency: str = "EUR") -> ChargeSum:
    return ChargeSum(currency, line_type, placed, 1, Decimal(total), Decimal(tax))


def _state(**overrides: Any) -> OrderState:
    fields: dict[str, Any] = {
        "created_at": NOON,
        "first_fulfilled_at": None,
        "cancelled_at": None,
        "closed_at": None,
        "fulfillment_status": "UNFULFILLED",
        "customer_id": 501,
    }
    return OrderState(**fields | overrides)


def test_total_is_the_sum_of_products():
    """What measurement.sales says of the products of a day is what the day's total says, to the last digit."""
    (total,) = shop_days(DAY, [_row(), _row(gross_sales=Decimal("0.01"), net_sales=Decimal("0.01"))], [])

    assert (Decimal("30.01"), Decimal("18.01"), 6) == (total.gross_sales, total.net_sales, total.units_sold)


def test_charges_have_their_places():
    """Shipping and fees count without their tax; gift cards, tips and adjustments count nowhere."""
    charges = [
        _charge("SHIPPING", "5.95", "0.95"),
        _charge("SHIPPING", "-1.19", "-0.19", placed=False),
        _charge("DUTY", "2"),
        _charge("ADDITIONAL_FEE", "1.19", "0.19"),
        _charge("GIFT_CARD", "50"),
        _charge("TIP", "3"),
        _charge("ADJUSTMENT", "-4"),
    ]

    (total,) = shop_days(DAY, [], charges)

    assert (Decimal("4.00"), Decimal("0.76")) == (total.shipping, total.shipping_tax)
    assert (Decimal("3.00"), Decimal("0.19")) == (total.fees, total.fees_tax)


def test_average_order_value_is_as_placed():
    """Gross less discounts of the sales that placed the orders: later edits and returns do not move it."""
    placed = ChargeSum("EUR", "PRODUCT", True, 4, Decimal("119"), Decimal("19"))
    edited = ChargeSum("EUR", "PRODUCT", False, 1, Decimal("59.5"), Decimal("9.5"))

    figures = sales_figures(shop_days(DAY, [_row()], [placed, edited]))

    assert (4, Decimal("25.0000")) == (figures.orders, figures.average_order_value)


def test_currencies_are_never_added():
    """Each currency has a total of its own."""
    totals = shop_days(DAY, [_row(), _row(currency="USD")], [_charge("SHIPPING", "7", currency="CAD")])

    assert ["CAD", "EUR", "USD"] == [total.currency for total in totals]
    assert [Decimal(0), Decimal(30), Decimal(30)] == [total.gross_sales for total in totals]


def test_total_sales_are_shopifys():
    """Net sales, taxes, shipping and fees; rates have four decimals."""
    day = ShopDay(
        day=DAY,
        currency="EUR",
        units_sold=3,
        units_returned=1,
        gross_sales=Decimal(30),
        discounts=Decimal(4),
        returns=Decimal(9),
        net_sales=Decimal(17),
        tax=Decimal("3.23"),
        shipping=Decimal(5),
        shipping_tax=Decimal("0.95"),
        fees=Decimal(1),
        fees_tax=Decimal("0.19"),
    )

    figures = sales_figures([day, day])

    assert (Decimal("8.74"), Decimal("54.74")) == (figures.taxes, figures.total_sales)
    assert (Decimal("0.3333"), Decimal("0.1333")) == (figures.return_rate, figures.discount_rate)


def test_nothing_is_divided_by_nothing():
    """Without sales there is no average and no rate."""
    figures = sales_figures([])

    assert (None, None, None) == (figures.average_order_value, figures.return_rate, figures.discount_rate)
    assert "0.0000" == str(figures.total_sales)


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ({}, 1),
        ({"fulfillment_status": "PARTIALLY_FULFILLED"}, 1),
        ({"fulfillment_status": "FULFILLED"}, 0),
        ({"fulfillment_status": None}, 0),
        ({"cancelled_at": NOON}, 0),
        ({"closed_at": NOON}, 0),
    ],
)
def test_waiting_orders(state: dict[str, Any], waits: int):
    """What is neither sent, cancelled nor archived waits to be sent."""
    assert waits == order_day([_state(**state)]).unfulfilled


def test_orders_of_a_day_are_counted():
    """By how they stand, and by the hours until they went out."""
    counted = order_day(
        [
            _state(first_fulfilled_at=NOON + HOUR),
            _state(first_fulfilled_at=NOON + 1.5 * HOUR),
            _state(first_fulfilled_at=NOON + 2 * HOUR),
            _state(cancelled_at=NOON),
        ]
    )

    assert (4, 1, {1: 1, 2: 2}) == (counted.orders, counted.cancelled, counted.hours)


def test_customers_of_a_day_are_distinct():
    """Who ordered twice is one; who left no name is none."""
    counted = order_day([_state(customer_id=each) for each in (7, 5, 7, None)])

    assert {5, 7} == counted.customers


def test_clock_that_went_back_took_no_time():
    """A fulfilment before the order's creation, as imports have it, took no hour."""
    assert 0 == hours_between(NOON, NOON - HOUR)


@pytest.mark.parametrize(
    ("share", "value"), [(MEDIAN, 2), (P90, 9), (Fraction(1), 10), (Fraction(1, 10), 1), (Fraction(3, 10), 2)]
)
def test_percentile_is_the_nearest_rank(share: Fraction, value: int):
    """The smallest value that at least that share does not exceed."""
    assert value == percentile({1: 2, 2: 3, 8: 3, 9: 1, 10: 1}, share)


def test_percentile_of_none():
    """Of nothing there is none."""
    assert percentile(dict[int, int](), MEDIAN) is None


def _daily(start: int, end: int, field: str | None = WindowField.UPDATED) -> CompletedWindow:
    """A daily run's window, from so many days before noon to so many."""
    return CompletedWindow(JobType.DAILY, field, NOON - start * DAYS, NOON - end * DAYS)


def _backfill(start: int, end: int, field: str | None = WindowField.CREATED) -> CompletedWindow:
    return CompletedWindow(JobType.BACKFILL, field, NOON - start * DAYS, NOON - end * DAYS)


@pytest.mark.parametrize(
    ("windows", "since"),
    [
        ([_daily(128, 2), _daily(3, 1), _daily(2, 0)], 128),
        ([_daily(128, 0, field=None)], 128),
        ([_daily(400, 300), _daily(128, 0)], 128),
        ([_daily(128, 0), _backfill(900, 128)], 900),
        ([_daily(128, 0), _backfill(900, 500), _backfill(500, 200), _backfill(200, 100)], 900),
        ([_daily(128, 0), _backfill(900, 129)], 128),
        ([_daily(400, 300), _daily(128, 0), _backfill(310, 120)], 400),
        ([_daily(128, 0), _backfill(60, 30)], 128),
        ([_daily(128, 1), _backfill(900, 0)], 900),
        ([_daily(128, 0), _backfill(300, 128, WindowField.UPDATED)], 300),
        ([_daily(128, 0), _backfill(300, 128), _backfill(900, 300, WindowField.UPDATED)], 300),
        ([_daily(128, 0), _backfill(300, 128, None)], 300),
        ([_daily(128, 0), _backfill(300, 128, None), _backfill(900, 300, WindowField.UPDATED)], 300),
    ],
    ids=[
        "runs that overlap",
        "runs of before",
        "a gap beyond the floor",
        "a backfill up to them",
        "several backfills",
        "a backfill that ends too early",
        "a backfill over a gap",
        "a backfill in the midst",
        "a backfill beyond them",
        "a backfill by change",
        "by change behind one by creation",
        "a backfill of before",
        "by change behind one of before",
    ],
)
def test_orders_are_in_as_far_as_windows_touch(windows: list[CompletedWindow], since: int) -> None:
    """Backwards from the newest daily window; what lies behind a gap does not count, in whatever order they ran."""
    assert NOON - since * DAYS == coverage(windows).since == coverage(windows[::-1]).since


def test_data_reaches_as_far_as_daily_runs() -> None:
    """A backfill brings in orders, and not what changes from then on."""
    assert NOON - DAYS == coverage([_daily(128, 1), _daily(200, 5), _backfill(900, 0)]).as_of
    assert Coverage(None, None) == coverage([_backfill(900, 0)])


@pytest.mark.parametrize(
    ("start", "end", "lacks"), [(128, 0, False), (129, 0, True), (128, -1, True), (60, 30, False), (900, 500, True)]
)
def test_range_outside_lacks_orders(start: int, end: int, lacks: bool) -> None:
    """At either end."""
    assert lacks is coverage([_daily(128, 0)]).lacks(NOON - start * DAYS, NOON - end * DAYS)


def test_without_daily_runs_all_is_lacking() -> None:
    """Nobody knows then what has changed."""
    assert Coverage(None, None).lacks(NOON, NOON)
