"""
Orders as staff read them: newest first, page by page, and one of them whole.

A page begins after a position, never at an offset, so that each costs the same at any depth and shows the same rows
while orders arrive: an order's creation never moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, UnaryExpression, and_, or_, select

from shopsync.database.engine import reading, snapshot
from shopsync.database.tables import order_header, order_line_item, order_sale


@dataclass(frozen=True, slots=True)
class OrderFilters:
    """Which orders; None where a filter does not apply. Both bounds of `created_at` are included."""

    created_at_min: datetime | None = None
    created_at_max: datetime | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPosition:
    """Where a page ended: the creation and the id of its last order."""

    created_at: datetime
    order_id: int


@dataclass(frozen=True, slots=True)
class WholeOrder:
    """The rows of one order, from one moment: its header, its lines and its sales by id."""

    header: Row[Any]
    line_items: Sequence[Row[Any]]
    sales: Sequence[Row[Any]]


def read_orders(engine: Engine, filters: OrderFilters, after: OrderPosition | None, limit: int) -> Sequence[Row[Any]]:
    """Return at most `limit` headers, newest first by creation, ties by id; after a position if there is one."""
    with reading(engine) as connection:
        return connection.execute(orders_query(filters, after, limit, engine.dialect.name)).all()


def orders_query(filters: OrderFilters, after: OrderPosition | None, limit: int, dialect: str) -> Select[Any]:
    """Return the query of one page, in words that the dialect's planner understands."""
    table = order_header.c
    wanted = {name: value for name in _EQUAL if (value := getattr(filters, name)) is not None}
    query = select(order_header).order_by(*_newest_first(wanted)).limit(limit)
    if after is not None:
        # In this form, because MariaDB scans the whole index for a row constructor, (created_at, order_id) < (?, ?).
        older = or_(table.created_at < after.created_at, table.order_id < after.order_id)
        query = query.where(and_(table.created_at <= after.created_at, older))
    if filters.created_at_min is not None:
        query = query.where(table.created_at >= filters.created_at_min)
    if filters.created_at_max is not None:
        query = query.where(table.created_at <= filters.created_at_max)
    return query.where(*(_is(table[name], value, dialect) for name, value in wanted.items()))


_EQUAL = ("financial_status", "fulfillment_status", "name")


def _is(column: ColumnElement[str], wanted: str, dialect: str) -> ColumnElement[bool]:
    # For an equality MariaDB looks up the status alone, and walks through all its orders down to the position. Two
    # bounds are a range, in which the position counts. SQLite has it the other way round.
    return column == wanted if dialect == "sqlite" else and_(column >= wanted, column <= wanted)


def _newest_first(wanted: Mapping[str, str]) -> list[UnaryExpression[Any]]:
    """Return the order of the rows by all columns of the filter's index: else a range is sorted once more."""
    first = [name for name in wanted if name != "name"] or [*wanted]
    return [order_header.c[name].desc() for name in (*first, "created_at", "order_id")]


def read_order(engine: Engine, order_id: int) -> WholeOrder | None:
    """Return one order with its lines and sales; None when there is none."""
    with snapshot(engine) as connection:
        header = connection.execute(select(order_header).where(order_header.c.order_id == order_id)).one_or_none()
        if header is None:
            return None
        lines, sales = (
            connection.execute(select(table).where(table.c.order_id == order_id).order_by(*table.primary_key)).all()
            for table in (order_line_item, order_sale)
        )
        return WholeOrder(header, lines, sales)
