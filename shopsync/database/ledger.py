"""
The sales ledger in the database: its sums for a measurement, and the day-level figures that come of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select

from shopsync.database.engine import reading, writing
from shopsync.database.tables import order_sale, sales_day
from shopsync.records import LedgerSum


def ledger_sums(engine: Engine, start: datetime, end: datetime) -> list[LedgerSum]:
    """
    Sum the sales of products with `start <= happened_at < end`, test orders left out, exactly.

    A shop-local day is the time from its midnight to the next one, in UTC. A sale without a quantity (a mere change
    of price) counts 0 units.
    """
    sale = order_sale.c
    product_id = func.coalesce(sale.product_id, 0)
    is_return = sale.action_type == "RETURN"
    query = (
        select(
            product_id,
            sale.currency,
            is_return,
            func.count(sale.order_id.distinct()),
            func.sum(func.coalesce(sale.quantity, 0)),
            func.sum(sale.total_amount),
            func.sum(sale.tax_amount),
            func.sum(sale.discount_amount),
        )
        .where(sale.happened_at >= start, sale.happened_at < end)
        .where(sale.line_type == "PRODUCT", sale.is_test.is_(False))
        .group_by(product_id, sale.currency, is_return)
        .order_by(product_id, sale.currency, is_return)
    )
    with reading(engine) as connection:
        return [
            LedgerSum(product, currency, bool(returned), orders, int(quantity), *amounts)
            for product, currency, returned, orders, quantity, *amounts in connection.execute(query)
        ]


def replace_sales_day(engine: Engine, day: date, figures: Iterable[Mapping[str, Any]]) -> None:
    """Make `figures` (rows of measurement.sales) all that `sales_day` has of a day; none leaves it without."""
    values = [{"day": day, **row} for row in figures]
    with writing(engine) as connection:
        connection.execute(delete(sales_day).where(sales_day.c.day == day))
        if values:
            connection.execute(insert(sales_day), values)


def last_sold_on(engine: Engine, through: date) -> dict[tuple[int, str], date]:
    """Return per product and currency the last day, up to `through`, on which units were sold."""
    key = (sales_day.c.product_id, sales_day.c.currency)
    query = (
        select(*key, func.max(sales_day.c.day))
        .where(sales_day.c.units_sold > 0, sales_day.c.day <= through)
        .group_by(*key)
    )
    with reading(engine) as connection:
        return {(product, currency): day for product, currency, day in connection.execute(query)}
