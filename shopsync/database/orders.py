"""
The orders of one chunk, written within the transaction of the caller.

The shop's zone is held first, then go the headers: from then on the transaction holds their locks, and nobody else can
change these orders or their children until it ends. Only then it reads which version won and what children there are
(READ COMMITTED shows what others committed meanwhile, a snapshot from before would not). Every transaction takes its
locks in this order and sorted by key, so that two of them wait for each other instead of dying of a deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import astuple
from sqlalchemy import Column, Connection, Row, delete, select

from shopsync.database.batches import in_batches
from shopsync.database.chunks import newest_orders, newest_products
from shopsync.database.days import mark_days
from shopsync.database.shops import held_zone
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import order_header, order_line_item, order_sale, product
from shopsync.records import Order, OrderSale, Product

HEADERS = Upsert(
    order_header,
    tuple(order_header.c.keys()),
    guard="updated_at",
    newer_only=frozenset({"run_id", "synced_at"}),
)
# Shopify forgets the product of a line once the product is deleted; we do not.
LINE_ITEMS = Upsert(
    order_line_item, tuple(order_line_item.c.keys()), guard="order_updated_at", kept=frozenset({"product_id"})
)
SALES = Upsert(order_sale, tuple(order_sale.c.keys()), guard="order_updated_at", kept=frozenset({"product_id"}))
PRODUCTS = Upsert(product, Product.__struct_fields__, guard="updated_at")

_FIGURES = tuple(
    order_sale.c[name]
    for name in (
        "sale_id",
        "product_id",
        "happened_at",
        "action_type",
        "line_type",
        "quantity",
        "total_amount",
        "discount_amount",
        "tax_amount",
        "currency",
        "is_test",
    )
)
"""What a day's figures are made of, in the order of `_figures`."""


@dataclass(frozen=True, slots=True)
class Written:
    """What changed: orders that were new or newer, children removed."""

    changed: int
    removed: int


def write_orders(
    connection: Connection, chunk: Sequence[Order], *, run_id: str, synced_at: datetime, zone: ZoneInfo
) -> Written:
    """
    Upsert whole orders with their children and products, and mark the days whose sales changed.

    Args:
        connection: Inside a transaction.
        chunk: Orders of an archive; of an order that comes twice the newer version counts.
        run_id: Stays on the headers that are new or strictly newer.
        synced_at: Likewise.
        zone: Cuts the days that are marked, as long as the database knows no shop.
    """
    zone = held_zone(connection) or zone
    orders = newest_orders(chunk)
    before = _versions(connection, orders)
    changed = sum(_is_newer(order, before.get(order.header.order_id)) for order in orders)
    upsert(connection, HEADERS, [(*astuple(order.header), run_id, synced_at) for order in orders])
    # Whichever version won, ours or a newer one, this transaction has it locked now.
    won = _versions(connection, orders)
    orders = [order for order in orders if order.header.updated_at >= won[order.header.order_id]]
    removed_lines = _replace_line_items(connection, orders)
    removed_sales, days = _replace_sales(connection, orders, zone)
    _upsert_products(connection, newest_products(chunk))
    mark_days(connection, days)
    return Written(changed, removed_lines + removed_sales)


def _versions(connection: Connection, orders: Iterable[Order]) -> dict[int, datetime]:
    key, updated_at = order_header.c.order_id, order_header.c.updated_at
    found = _found(connection, [key, updated_at], key, (order.header.order_id for order in orders))
    return {row.order_id: row.updated_at for row in found}


def _is_newer(order: Order, stored: datetime | None) -> bool:
    return stored is None or order.header.updated_at > stored


def _replace_line_items(connection: Connection, orders: Iterable[Order]) -> int:
    """Write the lines of orders, remove those that they lost, and return how many these were."""
    key = order_line_item.c.line_item_id
    lines = sorted((line for order in orders for line in order.line_items), key=lambda line: line.line_item_id)
    stored = {row[0] for row in _children(connection, [key], orders)}
    lost = sorted(stored.difference(line.line_item_id for line in lines))
    upsert(connection, LINE_ITEMS, [astuple(line) for line in lines])
    _remove(connection, key, lost)
    return len(lost)


def _replace_sales(connection: Connection, orders: Iterable[Order], zone: ZoneInfo) -> tuple[int, set[date]]:
    """Do the same with their sales; return also the days on which the figures changed, old ones and new ones."""
    sales = sorted((sale for order in orders for sale in order.sales), key=lambda sale: sale.sale_id)
    stored = {row.sale_id: row for row in _children(connection, _FIGURES, orders)}
    lost = sorted(stored.keys() - {sale.sale_id for sale in sales})
    upsert(connection, SALES, [astuple(sale) for sale in sales])
    _remove(connection, order_sale.c.sale_id, lost)
    touched = [stored[sale_id].happened_at for sale_id in lost]
    for sale in sales:
        old = stored.get(sale.sale_id)
        if old is None:
            touched.append(sale.happened_at)
        elif _figures(sale, old.product_id) != tuple(old):
            touched += [old.happened_at, sale.happened_at]
    return len(lost), {at.astimezone(zone).date() for at in touched}


def _figures(sale: OrderSale, stored_product_id: int | None) -> tuple[Any, ...]:
    return (
        sale.sale_id,
        stored_product_id if sale.product_id is None else sale.product_id,
        sale.happened_at,
        sale.action_type,
        sale.line_type,
        sale.quantity,
        sale.total_amount,
        sale.discount_amount,
        sale.tax_amount,
        sale.currency,
        sale.is_test,
    )


def _upsert_products(connection: Connection, products: Sequence[Product]) -> None:
    """Write the products whose attributes differ: most orders show what the last ones showed."""
    columns = [product.c[name] for name in PRODUCTS.columns]
    ids = (snapshot.product_id for snapshot in products)
    stored = {row.product_id: row for row in _found(connection, columns, product.c.product_id, ids)}
    rows = [astuple(snapshot) for snapshot in products if _differs(snapshot, stored.get(snapshot.product_id))]
    upsert(connection, PRODUCTS, rows)


def _differs(snapshot: Product, stored: Row[Any] | None) -> bool:
    if stored is None or stored.updated_at is None:
        return True
    return snapshot.updated_at >= stored.updated_at and astuple(snapshot) != tuple(stored)


def _children(connection: Connection, columns: Sequence[Column[Any]], orders: Iterable[Order]) -> list[Row[Any]]:
    parent = columns[0].table.c.order_id
    return _found(connection, columns, parent, (order.header.order_id for order in orders))


def _found(
    connection: Connection, columns: Sequence[Column[Any]], key: Column[Any], ids: Iterable[int]
) -> list[Row[Any]]:
    query = select(*columns)
    return [row for batch in in_batches(ids) for row in connection.execute(query.where(key.in_(batch)))]


def _remove(connection: Connection, key: Column[Any], ids: Iterable[int]) -> None:
    for batch in in_batches(ids):
        connection.execute(delete(key.table).where(key.in_(batch)))
