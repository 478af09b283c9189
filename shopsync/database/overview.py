"""
What the overview reads: totals of days, customers, what waits to be sent, the best products, and how fresh it all is.

All of it comes from the day tables, which are written when a day is measured: what a period costs depends on its days,
not on its orders. The distinct customers of a period are the union of those of its days. Whoever reads several of these
figures reads them over one connection, in a snapshot: a day is replaced whole, and they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Row, Select, case, func, select

from shopsync.commerce import (
    MEDIAN,
    P90,
    CompletedWindow,
    Coverage,
    OrderFigures,
    SalesDay,
    SalesFigures,
    ShopDay,
    coverage,
    percentile,
    sales_day,
    sales_figures,
)
from shopsync.database import tables
from shopsync.shop_days import DayRange
from shopsync.telemetry import JobType, Status

BEST = 10
"""Products in the list of the best."""


MOST_WINDOWS = 1_000
"""Of backfills: each that is complete is also there as a whole, so that more would tell no more."""


class ShopPlace(msgspec.Struct, frozen=True):
    """The shop that the database belongs to."""

    domain: str
    timezone: str
    currency: str


class CurrencySales(msgspec.Struct, frozen=True):
    """What was sold in one currency: in the period, in the one before, and day by day."""

    currency: str
    current: SalesFigures
    previous: SalesFigures
    days: list[SalesDay]


class Backlog(msgspec.Struct, frozen=True):
    """Orders that wait to be sent, whenever they were created; aged are those created before `aged_before`."""

    unfulfilled: int
    aged: int
    aged_before: date


class TopProduct(msgspec.Struct, frozen=True):
    """One of the best products of the last 30 days, as of a day, in the shop's currency."""

    product_id: int
    title: str | None
    units_sold_7d: int
    net_sales_7d: Any
    units_sold_30d: int
    net_sales_30d: Any
    last_sold_on: date | None
    as_of: date


def shop_place(connection: Connection) -> ShopPlace | None:
    """Return the shop; None before the first run."""
    columns = tables.shop.c
    row = connection.execute(select(columns.domain, columns.timezone, columns.currency)).first()
    return None if row is None else ShopPlace(*row)


def covered(connection: Connection) -> Coverage:
    """Return since when, and up to when, all orders are in."""
    asked = (windows_query(JobType.DAILY), windows_query(JobType.BACKFILL).limit(MOST_WINDOWS))
    return coverage([CompletedWindow(*row) for query in asked for row in connection.execute(query)])


def windows_query(job_type: JobType) -> Select[Any]:
    """Ask for the windows of the completed runs of a kind, those that reach furthest first."""
    run = tables.sync_run.c
    return (
        select(run.job_type, run.window_field, run.window_start, run.window_end)
        .with_hint(tables.sync_run, "FORCE INDEX (sync_run_windows)", "mysql")
        .where(run.job_type == job_type, run.status == Status.COMPLETED, run.window_start.is_not(None))
        .order_by(run.window_end.desc(), run.window_start.desc())
    )


def owed_days(connection: Connection, days: DayRange) -> int:
    """Return how many of these days have changed since they were measured."""
    day = tables.dirty_day.c.day
    return connection.scalar(select(func.count()).where(day >= days.first, day <= days.last)) or 0


def sales_by_currency(connection: Connection, days: DayRange, home: str) -> list[CurrencySales]:
    """
    Return the sales of a period per currency, the shop's own first; amounts of two currencies are never added.

    Args:
        connection: Where from.
        days: The period; the equal one before it is read too.
        home: The shop's currency, which is there even when nothing was sold in it.
    """
    rows = connection.execute(totals_query(days.before().first, days.last))
    totals = [ShopDay(**row) for row in rows.mappings()]
    currencies = sorted({home, *(total.currency for total in totals)}, key=lambda name: (name != home, name))
    return [
        _in_currency([one for one in totals if one.currency == currency], days, currency) for currency in currencies
    ]


def totals_query(first: date, last: date) -> Select[Any]:
    """Ask for the totals of a range of days."""
    return select(tables.shop_day).where(tables.shop_day.c.day >= first, tables.shop_day.c.day <= last)


def _in_currency(totals: Sequence[ShopDay], days: DayRange, currency: str) -> CurrencySales:
    by_day = {total.day: total for total in totals}
    series = [by_day.get(day, ShopDay(day=day, currency=currency)) for day in days.days()]
    return CurrencySales(
        currency,
        current=sales_figures(series),
        previous=sales_figures(total for total in totals if total.day < days.first),
        days=[sales_day(day) for day in series],
    )


def order_figures(connection: Connection, days: DayRange, zone: ZoneInfo) -> tuple[OrderFigures, OrderFigures]:
    """Return the figures of the orders created in a period, and in the equal one before it."""
    hours = connection.execute(hours_query(days)).all()

    def figures(period: DayRange, *, is_current: bool) -> OrderFigures:
        return _figures(
            connection.execute(days_query(period)),
            {row.hours: int(row.orders) for row in hours if bool(row.is_current) is is_current},
            connection.scalar(new_customers_query(*period.bounds(zone))) or 0,
        )

    return figures(days, is_current=True), figures(days.before(), is_current=False)


def days_query(period: DayRange) -> Select[Any]:
    """Ask for the orders and the customers of each day of a period."""
    counted = tables.order_day.c
    return select(counted.orders, counted.cancelled, counted.customers).where(
        counted.day >= period.first, counted.day <= period.last
    )


def hours_query(days: DayRange) -> Select[Any]:
    """Ask how many orders of both periods took how many hours to go out."""
    counted = tables.fulfilment_day.c
    is_current = case((counted.day >= days.first, 1), else_=0).label("is_current")
    return (
        select(is_current, counted.hours, func.sum(counted.orders).label("orders"))
        .where(counted.day >= days.before().first, counted.day <= days.last)
        .group_by(is_current, counted.hours)
    )


def new_customers_query(start: datetime, end: datetime) -> Select[Any]:
    """Ask for the customers whose first order was created in a range of time."""
    first = tables.customer.c.first_order_at
    return select(func.count()).where(first >= start, first < end)


def backlog(connection: Connection, aged_before: date) -> Backlog:
    """Return how many orders wait to be sent; those created before `aged_before` are aged."""
    waiting, aged = connection.execute(backlog_query(aged_before)).one()
    return Backlog(int(waiting or 0), int(aged or 0), aged_before)


def backlog_query(aged_before: date) -> Select[Any]:
    """Ask for what waits: one row a day of the shop's life."""
    counted = tables.order_day.c
    aged = case((counted.day < aged_before, counted.unfulfilled), else_=0)
    return select(func.sum(counted.unfulfilled), func.sum(aged))


def top_products(connection: Connection, currency: str) -> list[TopProduct]:
    """Return the products with the greatest net sales of the last 30 days that sold at all, best first."""
    return [TopProduct(*row) for row in connection.execute(best_query(currency))]


def best_query(currency: str) -> Select[Any]:
    """Ask for the best products, from the end of their index."""
    product = tables.product.c
    return (
        select(
            product.product_id,
            product.title,
            product.units_sold_7d,
            product.net_sales_7d,
            product.units_sold_30d,
            product.net_sales_30d,
            product.last_sold_on,
            product.metrics_as_of,
        )
        .where(product.currency == currency, product.net_sales_30d > 0)
        .order_by(product.net_sales_30d.desc(), product.product_id.desc())
        .limit(BEST)
    )


def _figures(days: Iterable[Row[Any]], hours: Mapping[int, int], new: int) -> OrderFigures:
    created = cancelled = 0
    customers = set[int]()
    for row in days:  # a day at a time: each may have thousands of customers, most of them those of other days
        created += row.orders
        cancelled += row.cancelled
        customers.update(row.customers)
    return OrderFigures(
        created=created,
        cancelled=cancelled,
        fulfilled=sum(hours.values()),
        hours_to_fulfilment_median=percentile(hours, MEDIAN),
        hours_to_fulfilment_p90=percentile(hours, P90),
        new_customers=new,
        # Days that are owed may know of fewer customers than have come.
        returning_customers=max(0, len(customers) - new),
    )
