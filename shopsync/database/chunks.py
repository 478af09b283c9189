"""
Chunks: the whole orders that one transaction takes.

An order is never split over two transactions, so staff never see half of one; an order beyond the budget is a chunk
of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from shopsync.records import Order, Product


@dataclass(frozen=True, slots=True)
class ChunkBudget:
    """How much a chunk may hold: table rows, and bytes of their text and numbers (an estimate)."""

    rows: int
    bytes: int


DAILY_CHUNKS = ChunkBudget(rows=2_000, bytes=1_000_000)
"""Cost per row is flat from 500 to 5,000 rows; the smaller the chunk, the less a crash repeats."""
BACKFILL_CHUNKS = ChunkBudget(rows=5_000, bytes=4_000_000)

_NUMBERS_BYTES = 160
"""What the numbers and times of a row take as text, about."""


def chunks(orders: Iterable[Order], budget: ChunkBudget) -> Iterator[list[Order]]:
    """Cut orders into lists within the budget, in their order."""
    chunk: list[Order] = []
    rows = size = 0
    for order in orders:
        order_size = _size(order)
        if chunk and (rows + order.rows > budget.rows or size + order_size > budget.bytes):
            yield chunk
            chunk, rows, size = [], 0, 0
        chunk.append(order)
        rows += order.rows
        size += order_size
    if chunk:
        yield chunk


def newest_orders(orders: Iterable[Order]) -> list[Order]:
    """Return each order once, in its newest version (the later of two equals), sorted by key."""
    newest: dict[int, Order] = {}
    for order in orders:
        known = newest.get(order.header.order_id)
        if known is None or order.header.updated_at >= known.header.updated_at:
            newest[order.header.order_id] = order
    return [newest[order_id] for order_id in sorted(newest)]


def newest_products(orders: Iterable[Order]) -> list[Product]:
    """Return each product that the orders show once, as last updated, sorted by key."""
    newest: dict[int, Product] = {}
    for order in orders:
        for product in order.products:
            known = newest.get(product.product_id)
            if known is None or product.updated_at >= known.updated_at:
                newest[product.product_id] = product
    return [newest[product_id] for product_id in sorted(newest)]


def _size(order: Order) -> int:
    rows = (order.header, *order.line_items, *order.sales)
    return sum(
        _NUMBERS_BYTES + sum(len(value) for value in msgspec.structs.astuple(row) if isinstance(value, str))
        for row in rows
    )
