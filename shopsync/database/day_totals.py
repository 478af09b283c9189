"""
The totals of a shop-local day, for the overview: sales per currency, orders created, and each customer's first order.

They are written when the day is measured. The percentiles and customers of months would be too slow from the orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, and_, delete, func, insert, select

from shopsync.commerce import ShopDay, order_day
from shopsync.database import tables
from shopsync.database.engine import reading, writing
from shopsync.database.keys import in_batches, remove, rows_with
from shopsync.database.ledger import write_sales_day
from shopsync.database.pages import paged
from shopsync.database.statements import Upsert, upsert
from shopsync.records import ChargeSum, OrderState

_CUSTOMERS = Upsert(tables.customer, ("customer_id", "first_order_at"), guard=None)


def charge_sums(engine: Engine, start: datetime, end: datetime) -> list[ChargeSum]:
    """Sum the sales of every kind with `start <= happened_at < end`, test orders left out, exactly."""
    sale = tables.order_sale.c
    placed = and_(sale.reason == "ORDER", sale.action_type != "RETURN")
    query = (
        select(
            sale.currency,
            sale.line_type,
            placed,
            func.count(sale.order_id.distinct()),
            func.sum(sale.total_amount),
            func.sum(sale.tax_amount),
        )
        .where(sale.happened_at >= start, sale.happened_at < end, sale.is_test.is_(False))
        .group_by(sale.currency, sale.line_type, placed)
    )
    with reading(engine) as connection:
        return [
            ChargeSum(currency, line_type, bool(by_order), orders, total, tax)
            for currency, line_type, by_order, orders, total, tax in connection.execute(query)
        ]


def order_states(engine: Engine, start: datetime, end: datetime) -> Iterator[OrderState]:
    """Yield how the orders with `start <= created_at < end` stand, test orders left out; a change owes their day."""
    header = tables.order_header.c
    key = (header.created_at, header.order_id)
    query = (
        select(*key, *(header[name] for name in OrderState.__struct_fields__[1:]))
        .with_hint(tables.order_header, "FORCE INDEX (order_header_newest)", "mysql")
        .where(header.created_at >= start, header.created_at < end, header.is_test.is_(False))
    )
    for created_at, _, *others in paged(engine, query, key):
        yield OrderState(created_at, *others)


def replace_day(
    engine: Engine,
    day: date,
    bounds: tuple[datetime, datetime],
    figures: Sequence[Mapping[str, Any]],
    *,
    totals: Iterable[ShopDay],
    states: Iterable[OrderState],
) -> None:
    """
    Make these all that the database has of a day, at once: readers meet sums that agree.

    Only the customers follow one by one, while the day is still owed: a day that brought many would outlast the time
    that PlanetScale gives a transaction.

    Args:
        engine: Where to.
        day: The shop-local day.
        bounds: Its first instant, and the first of the day after.
        figures: Its rows of measurement.sales, for `sales_day`.
        totals: Their sums per currency, for `shop_day`.
        states: The orders created on it, for `order_day`, `fulfilment_day` and `customer`.
    """
    counted = order_day(states)
    hours = [{"day": day, "hours": took, "orders": orders} for took, orders in sorted(counted.hours.items())]
    counts = {"day": day, **{name: value for name, value in asdict(counted).items() if name != "hours"}}
    with writing(engine) as connection:
        write_sales_day(connection, day, figures)
        _replace(connection, tables.shop_day, day, [asdict(total) for total in totals])
        _replace(connection, tables.order_day, day, [counts] if counted.orders else [])
        _replace(connection, tables.fulfilment_day, day, hours)
    _refresh_customers(engine, bounds, counted.customers)


def _replace(connection: Connection, table: Any, day: date, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(delete(table).where(table.c.day == day))
    if rows:
        connection.execute(insert(table), list(rows))


def _refresh_customers(engine: Engine, bounds: tuple[datetime, datetime], ids: Iterable[int]) -> None:
    """Store anew when those first ordered who ordered on the day, or were thought to have come on it."""
    start, end = bounds
    customer = tables.customer.c
    key = (customer.first_order_at, customer.customer_id)
    thought = paged(engine, select(*key).where(customer.first_order_at >= start, customer.first_order_at < end), key)
    for batch in in_batches(sorted({*ids, *(row.customer_id for row in thought)})):
        with writing(engine) as connection:
            stored = rows_with(connection, list(reversed(key)), customer.customer_id, batch)
            before = {row.customer_id: row.first_order_at for row in stored}
            now = _first_orders(connection, batch)
            upsert(connection, _CUSTOMERS, [new for new in now.items() if before.get(new[0]) != new[1]])
            remove(connection, customer.customer_id, sorted(before.keys() - now.keys()))


def _first_orders(connection: Connection, customers: Sequence[int]) -> dict[int, datetime]:
    header = tables.order_header.c
    query = (
        select(header.customer_id, func.min(header.created_at).label("first_order_at"))
        .with_hint(tables.order_header, "FORCE INDEX (order_header_customer)", "mysql")
        .where(header.customer_id.in_(customers), header.is_test.is_(False))
        .group_by(header.customer_id)
        .order_by(header.customer_id)
    )
    return {row.customer_id: row.first_order_at for row in connection.execute(query)}
