"""
The sales ledger in the database: its sums for a measurement, and the day-level figures that come of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select

from shopsync.database.pages import delete_paged, paged
from shopsync.database.tables import order_sale, sales_day
from shopsync.records import LedgerSum

_BY_PRODUCT = "FORCE INDEX (sales_day_product)"


def ledger_sums(engine: Engine, start: datetime, end: datetime) -> list[LedgerSum]:
    """
    Sum the sales of products with `start <= happened_at < end`, test orders left out, exactly.

    A shop-local day is the time from its midnight to the next one, in UTC. A sale without a quantity (a mere change
    of price) counts 0 units. Each sum is of one moment; a sale that changes meanwhile owes its day again.
    """
    sale = order_sale.c
    key = (func.coalesce(sale.product_id, 0), sale.currency, sale.action_type == "RETURN")
    query = (
        select(
            *key,
            func.count(sale.order_id.distinct()),
            func.sum(func.coalesce(sale.quantity, 0)),
            func.sum(sale.total_amount),
            func.sum(sale.tax_amount),
            func.sum(sale.discount_amount),
        )
        .where(sale.happened_at >= start, sale.happened_at < end)
        .where(sale.line_type == "PRODUCT", sale.is_test.is_(False))
        .group_by(*key)
    )
    return [
        LedgerSum(product, currency, bool(returned), orders, int(quantity), *amounts)
        for product, currency, returned, orders, quantity, *amounts in paged(engine, query, key)
    ]


def write_sales_day(connection: Connection, day: date, figures: Iterable[Mapping[str, Any]]) -> None:
    """Replace a day's rows in `sales_day`, in the connection's transaction."""
    values = [{"day": day, **row} for row in figures]
    delete_paged(connection, delete(sales_day).where(sales_day.c.day == day))
    if values:
        connection.execute(insert(sales_day), values)


def last_sold_on(engine: Engine, through: date) -> dict[tuple[int, str], date]:
    """Return per product and currency the last day, up to `through`, on which units were sold."""
    key = (sales_day.c.product_id, sales_day.c.currency)
    sold = select(*key).distinct().with_hint(sales_day, _BY_PRODUCT, "mysql")
    found = paged(engine, sold, key, lambda page: _last_days(page, through))
    return {(product, currency): day for product, currency, day in found if day is not None}


def _last_days(page: Select[Any], through: date) -> Select[Any]:
    """Ask for the last day of each: its entry in the index, however many days there are."""
    each, of = page.subquery(), sales_day.alias()
    last = (
        select(of.c.day)
        .with_hint(of, _BY_PRODUCT, "mysql")
        .where(of.c.product_id == each.c.product_id, of.c.currency == each.c.currency)
        .where(of.c.day <= through, of.c.units_sold > 0)
        .order_by(of.c.day.desc())
        .limit(1)
    )
    return select(*each.c, last.scalar_subquery()).order_by(*each.c)
