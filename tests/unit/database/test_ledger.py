"""Sums of the ledger and the day-level table; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from shopsync.database import pages
from shopsync.database.ledger import last_sold_on, ledger_sums
from shopsync.database.tables import sales_day
from shopsync.records import LedgerSum
from tests.database import load, replace_sales_day, rows, rows_at_once
from tests.factories import NOON, order, sale

DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)


def _figures(product_id: int = 7, currency: str = "EUR", **overrides: Any) -> dict[str, Any]:
    """A row of measurement.sales."""
    return {
        "product_id": product_id,
        "currency": currency,
        "orders": 1,
        "units_sold": 2,
        "units_returned": 0,
        "gross_sales": Decimal("16.8100"),
        "discounts": Decimal("0.0000"),
        "returns": Decimal("0.0000"),
        "net_sales": Decimal("16.8100"),
        "tax": Decimal("3.1900"),
    } | overrides


def test_sums_are_exact(database: Engine) -> None:
    """Amounts are added as decimals: ten times 0.1 is 1."""
    amount = Decimal("0.1")
    dimes = [sale(n, total_amount=amount, tax_amount=amount, discount_amount=amount) for n in range(1, 11)]
    load(database, [order(1, sales=dimes)])

    (total,) = ledger_sums(database, NOON, NOON + DAY)

    one = Decimal("1.0000")
    assert LedgerSum(7, "EUR", False, 1, 20, one, one, one) == total
    assert ("1.0000", int) == (str(total.total_amount), type(total.quantity))


def test_groups_keep_apart(database: Engine) -> None:
    """Products, currencies and returns have sums of their own; no product is product 0."""
    sales = [
        sale(1, product_id=8),
        sale(2, product_id=None),
        sale(3, currency="USD"),
        sale(4, action_type="RETURN", quantity=-1),
        sale(5, action_type="UPDATE", quantity=None),
        sale(6),
    ]
    load(database, [order(1, sales=sales)])

    sums = ledger_sums(database, NOON, NOON + DAY)

    assert [
        (0, "EUR", False, 2),
        (7, "EUR", False, 2),
        (7, "EUR", True, -1),
        (7, "USD", False, 2),
        (8, "EUR", False, 2),
    ] == [(each.product_id, each.currency, each.is_return, each.quantity) for each in sums]


def test_orders_are_distinct(database: Engine) -> None:
    """Two sales of one order are one order."""
    load(database, [order(1, sales=[sale(1), sale(2)]), order(2)])

    (total,) = ledger_sums(database, NOON, NOON + DAY)

    assert 2 == total.orders


def test_day_is_half_open(database: Engine) -> None:
    """A sale at the start is in, one at the end is not."""
    load(database, [order(1, sales=[sale(1), sale(2, happened_at=NOON + DAY, quantity=5)])])

    (total,) = ledger_sums(database, NOON, NOON + DAY)

    assert 2 == total.quantity


def test_only_products_of_real_orders(database: Engine) -> None:
    """Shipping, tips and test orders are no sales of products."""
    load(database, [order(1, sales=[sale(1, line_type="SHIPPING")]), order(2, is_test=True)])

    assert [] == ledger_sums(database, NOON, NOON + DAY)


def test_day_is_replaced_whole(database: Engine) -> None:
    """What a day no longer has is gone; other days stay."""
    replace_sales_day(database, TODAY, [_figures(7), _figures(8)])
    replace_sales_day(database, TODAY + DAY, [_figures(9)])

    replace_sales_day(database, TODAY, [_figures(7, units_sold=3)])

    assert [
        {"day": TODAY, **_figures(7, units_sold=3)},
        {"day": TODAY + DAY, **_figures(9)},
    ] == rows(database, sales_day)


def test_large_day_is_replaced_whole(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day that had more products than one statement may delete is replaced whole."""
    monkeypatch.setattr(pages, "PAGE", 2)
    replace_sales_day(database, TODAY, [_figures(number) for number in range(1, 6)])

    replace_sales_day(database, TODAY, [_figures(7)])

    assert [{"day": TODAY, **_figures(7)}] == rows(database, sales_day)


def test_day_becomes_empty(database: Engine) -> None:
    """A day without figures has no rows."""
    replace_sales_day(database, TODAY, [_figures()])

    replace_sales_day(database, TODAY, [])

    assert [] == rows(database, sales_day)


def test_last_day_with_units_sold(database: Engine) -> None:
    """The last sale is the last day with units sold, not one with returns only, nor one after the as-of day."""
    replace_sales_day(database, TODAY - DAY, [_figures(7), _figures(7, "USD"), _figures(8, units_sold=0)])
    replace_sales_day(database, TODAY, [_figures(7), _figures(7, "USD", units_sold=0)])
    replace_sales_day(database, TODAY + DAY, [_figures(7)])

    assert {(7, "EUR"): TODAY, (7, "USD"): TODAY - DAY} == last_sold_on(database, TODAY)


@pytest.mark.parametrize("page", [1, 3, 4])
def test_sums_of_many_products(database: Engine, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However many products were sold, no statement returns more than a page of sums, and none is missed or doubled."""
    kinds = [{}, {"currency": "USD"}, {"action_type": "RETURN", "quantity": -1}]
    products = [{"product_id": product, **kind} for product in (None, 7, 8, 9) for kind in kinds]
    load(database, [order(1, sales=[sale(number, **given) for number, given in enumerate(products, 1)])])
    whole = ledger_sums(database, NOON, NOON + DAY)
    monkeypatch.setattr(pages, "PAGE", page)

    with rows_at_once(database) as counts:
        sums = ledger_sums(database, NOON, NOON + DAY)

    assert (12, whole) == (len(whole), sums)
    assert [page] * (12 // page) == counts[: 12 // page]


@pytest.mark.parametrize("page", [1, 2, 3])
def test_last_days_of_many_products(database: Engine, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However many products were ever sold, no statement returns more than a page of them, and none is missed."""
    dollars = _figures(8, "USD")
    replace_sales_day(database, TODAY - DAY, [_figures(7), _figures(8), dollars, _figures(9), _figures(10)])
    replace_sales_day(database, TODAY, [_figures(8), _figures(9, units_sold=0), _figures(11, units_sold=0)])
    monkeypatch.setattr(pages, "PAGE", page)

    with rows_at_once(database) as counts:
        found = last_sold_on(database, TODAY)

    yesterday = dict.fromkeys([(7, "EUR"), (8, "USD"), (9, "EUR"), (10, "EUR")], TODAY - DAY)
    assert {**yesterday, (8, "EUR"): TODAY} == found
    assert page == max(counts)
