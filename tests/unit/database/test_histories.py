"""Random histories of orders against a model of two lines; tests/services runs this on MariaDB too."""

from __future__ import annotations

import itertools
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from shopsync.database.chunks import ChunkBudget
from shopsync.database.tables import order_header, order_line_item, order_sale
from shopsync.records import Order
from tests.database import load, rows
from tests.factories import NOON, line_item, order, sale

NUMBERS = itertools.count(1)
ORDER_IDS = (1, 2, 3)


def _version(order_id: int, age: int) -> Order:
    """Version `age` of an order: its name, its lines and its sales are those of no other version."""
    first = order_id * 1_000
    children = [first + child for child in range(8) if (age >> child % 3) & 1 or child == age]
    return order(
        order_id,
        updated_at=NOON + timedelta(minutes=age),
        name=f"#{order_id}, version {age}",
        line_items=[line_item(child, title=f"version {age}") for child in children],
        sales=[sale(child, quantity=age) for child in children],
    )


VERSIONS = st.builds(_version, st.sampled_from(ORDER_IDS), st.integers(0, 7))


@given(archives=st.lists(st.lists(VERSIONS, max_size=6), min_size=1, max_size=4), budget_rows=st.integers(1, 20))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_newest_version_survives(database: Engine, archives: list[list[Order]], budget_rows: int) -> None:
    """However versions are spread over archives and chunks, the newest of each order is there, whole, and no other."""
    with database.begin() as connection:
        _ = [connection.execute(table.delete()) for table in (order_header, order_line_item, order_sale)]
    given_orders = list(itertools.chain.from_iterable(archives))
    newest = {each.header.order_id: each for each in sorted(given_orders, key=lambda each: each.header.updated_at)}

    _ = [load(database, each, archive=str(next(NUMBERS)), budget=ChunkBudget(budget_rows, 10_000)) for each in archives]

    expected = [newest[order_id] for order_id in sorted(newest)]
    assert [each.header.name for each in expected] == [row["name"] for row in rows(database, order_header)]
    assert [(line.line_item_id, line.title) for each in expected for line in each.line_items] == [
        (row["line_item_id"], row["title"]) for row in rows(database, order_line_item)
    ]
    assert [(entry.sale_id, entry.quantity) for each in expected for entry in each.sales] == [
        (row["sale_id"], row["quantity"]) for row in rows(database, order_sale)
    ]
