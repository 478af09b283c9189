"""The overview says what measurement.sales says: on any range, in any time zone, in each currency by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, Engine

from shopsync.commerce import SalesFigures
from shopsync.database import tables
from shopsync.database.days import dirty_days
from shopsync.database.engine import open_database, snapshot
from shopsync.database.overview import CurrencySales, order_figures, sales_by_currency
from shopsync.lake import open_lake
from shopsync.records import Order, OrderSale
from shopsync.shop_days import DayRange
from tasks.measure import write_sales
from tests import reference
from tests.database import load, rows
from tests.factories import order, sale
from tests.lake_reader import read_sales
from tests.unit.database.conftest import migrated  # noqa: F401 - a fixture

# ruff: noqa: F811

START = datetime(2026, 3, 25, 20, tzinfo=UTC)
"""Days on which clocks change are in all ranges."""
HOME = "EUR"
SUMS = ("gross_sales", "discounts", "returns", "net_sales", "units_sold", "units_returned")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "Pacific/Kiritimati"]

cents = st.integers(0, 50_000).map(lambda number: Decimal(number) / 100)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Order]:
    """Orders of ten days, each with a few sales of every kind, some of them made days later."""
    return [draw(_orders(number)) for number in range(1, draw(st.integers(1, 8)) + 1)]


@st.composite
def _orders(draw: st.DrawFn, number: int) -> Order:
    created = START + timedelta(minutes=draw(st.integers(0, 10 * 24 * 60)))
    currency = draw(st.sampled_from(["EUR", "EUR", "USD"]))
    sales = [draw(_sales(number * 10 + each, created, currency)) for each in range(draw(st.integers(1, 4)))]
    return order(
        number,
        created_at=created,
        is_test=draw(st.integers(0, 9)) == 0,
        customer_id=draw(st.sampled_from([None, 1, 2, 3])),
        line_items=[],
        sales=sales,
    )


@st.composite
def _sales(draw: st.DrawFn, sale_id: int, created: datetime, currency: str) -> OrderSale:
    action = draw(st.sampled_from(["ORDER", "ORDER", "UPDATE", "RETURN"]))
    sign = -1 if action == "RETURN" else 1
    later = timedelta(minutes=0 if action == "ORDER" else draw(st.integers(0, 5 * 24 * 60)))
    total, share = draw(cents), draw(st.integers(0, 20))
    return sale(
        sale_id,
        happened_at=created + later,
        reason="ORDER" if action == "ORDER" else draw(st.sampled_from(["ORDER_EDIT", "RETURN", "REFUND"])),
        action_type=action,
        line_type=draw(st.sampled_from(["PRODUCT", "PRODUCT", "PRODUCT", "SHIPPING", "TIP", "DUTY"])),
        product_id=draw(st.sampled_from([None, 7, 8])),
        quantity=draw(st.sampled_from([None, 1, 2])) and sign * draw(st.integers(1, 3)),
        total_amount=sign * total,
        discount_amount=sign * draw(cents),
        tax_amount=sign * (total * share / 100).quantize(Decimal("0.01")),
        currency=currency,
    )


@given(
    orders=ledgers(),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    first=st.integers(-3, 14),
    length=st.integers(1, 16),
)
@settings(max_examples=40, deadline=None)
def test_overview_is_measurement_sales(migrated: Path, orders: list[Order], zone: ZoneInfo, first: int, length: int):
    """The sums of a period, of the one before it and of each day are the sums of the partitions, to the last digit."""
    start = START.date() + timedelta(days=first)
    days = DayRange(start, start + timedelta(days=length - 1))

    with TemporaryDirectory() as folder:
        database = _measured(migrated, Path(folder), orders, zone)
        with snapshot(database) as connection:
            found = sales_by_currency(connection, days, HOME)
            figures, _ = order_figures(connection, days, zone)
        ledger = rows(database, tables.order_sale)
        measured = read_sales(Path(folder) / "lake")
        database.dispose()

    assert sorted({one.currency for one in found} - {HOME}) in ([], ["USD"])
    assert [_true(measured, days, one.currency) for one in found] == [_sums(one.current) for one in found]
    assert [_true(measured, days.before(), one.currency) for one in found] == [_sums(one.previous) for one in found]
    assert [_true_days(measured, days, one.currency) for one in found] == [_day_sums(one) for one in found]
    assert [_true_charges(ledger, days, zone, one.currency) for one in found] == [_charges(one) for one in found]
    assert _true_customers(orders, days, zone) == (figures.new_customers, figures.returning_customers)


def _measured(migrated: Path, folder: Path, orders: Sequence[Order], zone: ZoneInfo) -> Engine:
    """Return a database with these orders, every day of it measured; the lake is beside it."""
    copyfile(migrated, folder / "shopsync.db")
    database = open_database(URL.create("sqlite", database=str(folder / "shopsync.db")))
    load(database, orders, zone=zone)
    lake = open_lake((folder / "lake").as_uri())
    for day, _ in dirty_days(database):
        write_sales(database, lake, day, zone)
    return database


def _sums(figures: SalesFigures) -> dict[str, Decimal | int]:
    return {name: getattr(figures, name) for name in SUMS}


def _true(measured: dict[date, dict[reference.Key, reference.Figures]], days: DayRange, currency: str) -> object:
    picked = [
        figures
        for day, keys in measured.items()
        for (_, sold_in), figures in keys.items()
        if days.first <= day <= days.last and sold_in == currency
    ]
    return {name: sum(figures[name] for figures in picked) for name in SUMS}


def _day_sums(sales: CurrencySales) -> list[object]:
    return [{name: getattr(day, name) for name in SUMS} for day in sales.days]


def _true_days(measured: dict[date, dict[reference.Key, reference.Figures]], days: DayRange, currency: str) -> object:
    return [_true(measured, DayRange(day, day), currency) for day in days.days()]


def _charges(sales: CurrencySales) -> tuple[Decimal, Decimal, Decimal, int]:
    current = sales.current
    return current.shipping, current.fees, current.taxes, current.orders


def _true_charges(
    ledger: list[reference.Row], days: DayRange, zone: ZoneInfo, currency: str
) -> tuple[Decimal, Decimal, Decimal, int]:
    within = [
        sale
        for sale in ledger
        if not sale["is_test"]
        and sale["currency"] == currency
        and days.first <= reference.day_of(sale, zone.key) <= days.last
    ]
    net = {
        kind: sum((one["total_amount"] - one["tax_amount"] for one in within if one["line_type"] == kind), Decimal(0))
        for kind in ("SHIPPING", "DUTY")
    }
    taxes = sum((one["tax_amount"] for one in within if one["line_type"] != "TIP"), Decimal(0))
    placed = {one["order_id"] for one in within if one["line_type"] == "PRODUCT" and one["reason"] == "ORDER"}
    return net["SHIPPING"], net["DUTY"], taxes, len(placed)


def _true_customers(orders: list[Order], days: DayRange, zone: ZoneInfo) -> tuple[int, int]:
    placed = [
        (each.header.customer_id, each.header.created_at.astimezone(zone).date())
        for each in orders
        if each.header.customer_id is not None and not each.header.is_test
    ]
    firsts = {who: min(day for one, day in placed if one == who) for who, _ in placed}
    here = {who for who, day in placed if days.first <= day <= days.last}
    new = {who for who in here if firsts[who] >= days.first}
    return len(new), len(here - new)
