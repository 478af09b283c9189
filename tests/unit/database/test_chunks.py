"""How an archive's orders are cut into transactions."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shopsync.database.chunks import ChunkBudget, Chunks, newest_orders, newest_products
from shopsync.database.keys import in_batches
from shopsync.records import Order
from tests.factories import NOON, line_item, order
from tests.factories import product as a_product

LATER = NOON + timedelta(hours=1)
BUDGET = ChunkBudget(rows=10, bytes=3_000)


def _with_lines(count: int, title: str = "tea") -> Order:
    return order(1, line_items=[line_item(number, title=title) for number in range(count)], sales=[])


def test_chunk_fills_its_rows() -> None:
    """A chunk takes orders as long as their rows fit, and rows exactly at the budget fit."""
    cut = Chunks([_with_lines(4), _with_lines(4), _with_lines(0)], ChunkBudget(10, 1_000_000))

    assert [[5, 5], [1]] == [[each.rows for each in chunk] for chunk in cut]


def test_chunk_ends_at_its_bytes() -> None:
    """Long texts end a chunk before its rows do."""
    cut = Chunks([_with_lines(1, "x" * 2_000), _with_lines(1, "x" * 2_000)], BUDGET)

    assert [1, 1] == [len(chunk) for chunk in cut]


def test_large_order_is_a_chunk() -> None:
    """An order beyond the budget is not split: it is a chunk alone."""
    cut = Chunks([_with_lines(1), _with_lines(50), _with_lines(1)], BUDGET)

    assert [[2], [51], [2]] == [[each.rows for each in chunk] for chunk in cut]


def test_no_orders_no_chunk() -> None:
    """Nothing makes no chunk."""
    assert [] == list(Chunks([], BUDGET))


@given(st.lists(st.integers(0, 20)))
def test_chunks_lose_nothing(counts: list[int]) -> None:
    """Put together again, the chunks are the archive; none is empty, and those beyond the rows are one order."""
    given_orders = [_with_lines(count) for count in counts]

    cut = list(Chunks(given_orders, BUDGET))

    assert given_orders == [each for chunk in cut for each in chunk]
    assert all(len(chunk) == 1 or 0 < sum(each.rows for each in chunk) <= BUDGET.rows for chunk in cut)


def test_newest_version_by_key() -> None:
    """Of an order's versions the newest stays, of equal ones the later; they come sorted by key."""
    versions = [
        order(2, name="old"),
        order(1, name="first"),
        order(2, name="new", updated_at=LATER),
        order(1, name="second"),
        order(2, name="late"),
    ]

    assert ["second", "new"] == [each.header.name for each in newest_orders(versions)]


def test_newest_product_by_key() -> None:
    """Of a product's versions the newest stays, wherever they are shown."""
    shown = [
        [a_product(2, title="new", updated_at=LATER), a_product(1, title="first")],
        [a_product(2, title="old"), a_product(1, title="second")],
    ]

    assert ["second", "new"] == [
        each.title for each in newest_products(order(n, products=p) for n, p in enumerate(shown))
    ]


def test_batches_keep_the_order() -> None:
    """Batches hold at most their size, and the rest."""
    assert [[1, 2], [3, 4], [5]] == list(in_batches(range(1, 6), 2))
