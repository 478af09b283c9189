"""
Chunks: the whole orders that one transaction takes.

An order is never split over two transactions, so staff never see half of one; an order beyond the budget is a chunk
of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
_GROWTH = 16
"""How many good chunks in a row bring the whole budget back: a limit that was met once is soon met again."""


class Chunks:
    """Orders cut into lists within a budget, in their order; the budget shrinks when a server cannot take so much."""

    def __init__(self, orders: Iterable[Order], budget: ChunkBudget) -> None:
        self._orders = orders
        self._whole = budget
        self._rows = budget.rows

    def __iter__(self) -> Iterator[list[Order]]:
        chunk: list[Order] = []
        rows = size = 0
        for order in self._orders:
            order_rows, order_size = order.rows, _size(order)
            if chunk and (rows + order_rows > self._rows or size + order_size > self._bytes):
                yield chunk
                chunk, rows, size = [], 0, 0
            chunk.append(order)
            rows += order_rows
            size += order_size
        if chunk:
            yield chunk

    def shrink(self, rows: int) -> None:
        """Take at most half as many rows as a chunk had that was too large."""
        self._rows = max(1, min(self._rows, rows // 2))

    def grow(self) -> None:
        """Take a little more again, after a chunk that was not."""
        self._rows = min(self._whole.rows, self._rows + max(1, self._whole.rows // _GROWTH))

    @property
    def _bytes(self) -> int:
        return self._whole.bytes * self._rows // self._whole.rows


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
    header = order.header
    size = _NUMBERS_BYTES * order.rows + len(header.name) + len(header.tags)
    for line in order.line_items:
        size += len(line.title) + len(line.variant_title or "") + len(line.sku or "") + len(line.vendor or "")
    return size
