"""
The orders of one chunk, written within the transaction of the caller.

The shop's zone is held first, then the headers that are there, then go the new ones: from then on the transaction holds
their locks, and nobody else can change these orders or their children until it ends. Only then it reads what children
there are (READ COMMITTED shows what others committed meanwhile, a snapshot from before would not), and only for orders
that were there: most are new, and whose header went in as new has none. Every transaction takes its locks in this order
and sorted by key, so that two of them wait for each other instead of dying of a deadlock.

What chunks of one archive share, the products and the marked days, comes last, in a function of its own: chunks are
written side by side but finished one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import astuple
from sqlalchemy import Connection, Row

from shopsync.database.chunks import newest_orders, newest_products
from shopsync.database.days import mark_days
from shopsync.database.figures import (
    created_at,
    figures_column,
    figures_of,
    happened_at,
    is_newer,
    is_other,
    order_figures_column,
)
from shopsync.database.keys import raw_rows_with, remove, rows_with
from shopsync.database.shops import held_zone
from shopsync.database.statements import Statements, Upsert, prepared, upsert
from shopsync.database.tables import order_header, order_line_item, order_sale, product
from shopsync.records import Order, OrderLineItem, OrderSale, Product

HEADERS = Upsert(
    order_header,
    tuple(order_header.c.keys()),
    guard="updated_at",
    newer_only=frozenset({"run_id", "synced_at"}),
)
# Lines and sales are written for orders whose header was found to be the newest, and is locked. Shopify forgets the
# product of a line once the product is deleted; we do not.
LINE_ITEMS = Upsert(order_line_item, tuple(order_line_item.c.keys()), guard=None, kept=frozenset({"product_id"}))
SALES = Upsert(order_sale, tuple(order_sale.c.keys()), guard=None, kept=frozenset({"product_id"}))
PRODUCTS = Upsert(product, Product.__struct_fields__, guard="updated_at")


@dataclass(frozen=True, slots=True)
class _Children:
    """Lines and sales, sorted by key, and the statements that write them."""

    line_items: Sequence[OrderLineItem]
    sales: Sequence[OrderSale]
    line_item_statements: Statements
    sale_statements: Statements


@dataclass(frozen=True, slots=True)
class PreparedOrders:
    """Each order of a chunk in its newest version, sorted by key, with the statements that write it."""

    orders: Sequence[Order]
    products: Sequence[Product]
    header_statements: Statements
    children: _Children


@dataclass(frozen=True, slots=True)
class Written:
    """What changed: orders new, newer or with other figures, children removed, days on which a figure is another."""

    changed: int
    removed: int
    days: frozenset[date]


def prepare_orders(dialect: str, chunk: Sequence[Order], *, run_id: str, synced_at: datetime) -> PreparedOrders:
    """
    Make ready what `write_orders` sends; it needs no connection, so one chunk is prepared while another is written.

    Args:
        dialect: Of the database, as SQLAlchemy names it.
        chunk: Orders of an archive; of an order that comes twice the newer version counts.
        run_id: Stays on the headers that are new or strictly newer.
        synced_at: Likewise.

    Raises:
        InexactMoney: An amount has more than four decimals.
        UnicodeEncodeError: A text holds half of a character.
        OverflowError: A number does not fit any column.
    """
    orders = newest_orders(chunk)
    headers = [(*astuple(order.header), run_id, synced_at) for order in orders]
    return PreparedOrders(
        orders, newest_products(chunk), prepared(dialect, HEADERS, headers), _prepare_children(dialect, orders)
    )


def write_orders(connection: Connection, chunk: PreparedOrders, zone: ZoneInfo) -> Written:
    """
    Upsert whole orders with their children, in the connection's transaction.

    Args:
        connection: Inside a transaction.
        chunk: What to write.
        zone: Cuts the days, as long as the database knows no shop.
    """
    zone = held_zone(connection) or zone
    orders, children = chunk.orders, chunk.children
    before = _held_figures(connection, orders)
    duplicates = chunk.header_statements.execute(connection)
    # SQLite has one writer at a time, from BEGIN on.
    alone = connection.dialect.name == "sqlite" or duplicates == len(before)
    there = before if alone else _overtaken(connection, orders, before)
    winners = [order for order in orders if not _is_older(order, there)]
    if len(winners) < len(orders):
        children = _prepare_children(connection.dialect.name, winners)
    changed = [each.header for each in winners if is_other(before.get(each.header.order_id), each.header)]
    parents = [order for order in winners if order.header.order_id in there]
    removed_lines = _replace_line_items(connection, parents, children)
    removed_sales, touched = _replace_sales(connection, parents, children)
    # A day has figures of the orders that were created on it, whatever happens to them later.
    touched.update(header.created_at for header in changed)
    touched.update(created_at(before[header.order_id]) for header in changed if header.order_id in before)
    days = frozenset(at.astimezone(zone).date() for at in touched)
    return Written(len(changed), removed_lines + removed_sales, days)


def finish_orders(connection: Connection, products: Sequence[Product], days: Iterable[date]) -> None:
    """Upsert the products that written orders show, sorted by key, and mark the days whose sales changed."""
    _upsert_products(connection, products)
    mark_days(connection, days)


def _prepare_children(dialect: str, orders: Sequence[Order]) -> _Children:
    lines = sorted((line for order in orders for line in order.line_items), key=lambda line: line.line_item_id)
    sales = sorted((sale for order in orders for sale in order.sales), key=lambda sale: sale.sale_id)
    return _Children(
        lines,
        sales,
        prepared(dialect, LINE_ITEMS, [astuple(line) for line in lines]),
        prepared(dialect, SALES, [astuple(sale) for sale in sales]),
    )


def _held_figures(connection: Connection, orders: Iterable[Order]) -> dict[int, str]:
    """Return the version and figures of those orders that are there; nobody else changes them any more."""
    header = order_header.c
    columns = f"order_id, {order_figures_column(connection.dialect.name)}"
    return {
        row.order_id: row.figures
        for row in raw_rows_with(connection, columns, header.order_id, _ids(orders), locked=True)
    }


def _overtaken(connection: Connection, orders: Sequence[Order], before: Mapping[int, str]) -> Mapping[int, str]:
    """Return `before` with the orders that somebody else may have stored since: after a race, or an untold count."""
    return {**before, **_held_figures(connection, (each for each in orders if each.header.order_id not in before))}


def _is_older(order: Order, there: Mapping[int, str]) -> bool:
    """Return whether a newer version of an order is stored."""
    figures = there.get(order.header.order_id)
    return figures is not None and is_newer(figures, order.header)


def _replace_line_items(connection: Connection, parents: Iterable[Order], children: _Children) -> int:
    """Write lines, remove those that `parents`, the orders that were there, have lost; return how many these were."""
    line = order_line_item.c
    stored = {row[0] for row in raw_rows_with(connection, "line_item_id", line.order_id, _ids(parents))}
    lost = sorted(stored.difference(each.line_item_id for each in children.line_items))
    remove(connection, line.line_item_id, lost)
    children.line_item_statements.execute(connection)
    return len(lost)


def _replace_sales(connection: Connection, parents: Iterable[Order], children: _Children) -> tuple[int, set[datetime]]:
    """Do the same with their sales; return also when those happened whose figures changed, the old and the new time."""
    sale, dialect = order_sale.c, connection.dialect.name
    columns = f"sale_id, product_id, {figures_column(dialect)}"
    stored = {row.sale_id: row for row in raw_rows_with(connection, columns, sale.order_id, _ids(parents))}
    lost = sorted(stored.keys() - {each.sale_id for each in children.sales})
    remove(connection, sale.sale_id, lost)
    children.sale_statements.execute(connection)
    touched = {happened_at(stored[sale_id].figures) for sale_id in lost}
    for each in children.sales:
        old = stored.get(each.sale_id)
        if old is None:
            touched.add(each.happened_at)
        elif old.figures != figures_of(dialect, each) or each.product_id not in {None, old.product_id}:
            touched.update((happened_at(old.figures), each.happened_at))
    return len(lost), touched


def _ids(orders: Iterable[Order]) -> Iterator[int]:
    return (order.header.order_id for order in orders)


def _upsert_products(connection: Connection, products: Sequence[Product]) -> None:
    """Write the products whose attributes differ: most orders show what the last ones showed."""
    columns = [product.c[name] for name in PRODUCTS.columns]
    rows = rows_with(connection, columns, product.c.product_id, (snapshot.product_id for snapshot in products))
    stored = {row.product_id: row for row in rows}
    differing = [astuple(snapshot) for snapshot in products if _differs(snapshot, stored.get(snapshot.product_id))]
    upsert(connection, PRODUCTS, differing)


def _differs(snapshot: Product, stored: Row[Any] | None) -> bool:
    if stored is None or stored.updated_at is None:
        return True
    return snapshot.updated_at >= stored.updated_at and astuple(snapshot) != tuple(stored)
