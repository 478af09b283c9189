"""How MariaDB finds the orders that staff ask for: by an index, at any depth, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL, Engine, event, text

from shopsync.database import schema
from shopsync.database.engine import open_database
from shopsync.database.orders_read import OrderFilters, OrderPosition, orders_query
from tests.factories import NOON

pytestmark = pytest.mark.services

ORDERS = 20_000
DEEP = OrderPosition(NOON + timedelta(minutes=ORDERS // 2), ORDERS // 2)


@pytest.fixture(scope="module")
def crowded(mariadb: Callable[[], URL]) -> Generator[Engine]:
    """A database with many orders, a minute apart: nine of ten paid, half of them fulfilled."""
    engine = open_database(mariadb())
    schema.apply(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO order_header (order_id, name, created_at, updated_at, is_test, financial_status,"
                " fulfillment_status, tags, currency, total_price, run_id, synced_at)"
                " SELECT seq, CONCAT('#', seq), :noon + INTERVAL seq MINUTE, :noon, 0,"
                " IF(seq % 10, 'PAID', 'REFUNDED'), IF(seq % 2, 'FULFILLED', 'UNFULFILLED'), '[]', 'EUR', 1, 'r', :noon"
                f" FROM seq_1_to_{ORDERS}"
            ),
            {"noon": NOON.replace(tzinfo=None)},
        )
        connection.execute(text("ANALYZE TABLE order_header")).close()
    yield engine
    engine.dispose()


@pytest.mark.parametrize("after", [None, DEEP], ids=["first page", "deep page"])
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (OrderFilters(), "order_header_newest"),
        (OrderFilters(created_at_min=NOON, created_at_max=NOON + timedelta(days=9)), "order_header_newest"),
        (OrderFilters(financial_status="PAID"), "order_header_financial"),
        (OrderFilters(financial_status="REFUNDED"), "order_header_financial"),
        (OrderFilters(fulfillment_status="UNFULFILLED"), "order_header_fulfillment"),
        (OrderFilters(financial_status="REFUNDED", fulfillment_status="FULFILLED"), "order_header_statuses"),
        (OrderFilters(financial_status="PAID", fulfillment_status="FULFILLED"), "order_header_statuses"),
        (OrderFilters(name="#7"), "order_header_name"),
        (OrderFilters(name="#7", financial_status="PAID", fulfillment_status="FULFILLED"), "order_header_name"),
    ],
    ids=["all", "created_at", "paid", "refunded", "unfulfilled", "none of both", "both", "name", "all equalities"],
)
def test_each_filter_has_its_index(
    crowded: Engine, filters: OrderFilters, index: str, after: OrderPosition | None
) -> None:
    """The index finds the page in its order: nothing is sorted, at the first page and at a deep one."""
    plan = explained(crowded, filters, after)

    assert index == plan["key"]
    assert ("filesort" in plan["Extra"]) == (index == "order_header_name")


@pytest.mark.parametrize(
    "filters",
    [
        OrderFilters(),
        OrderFilters(financial_status="PAID"),
        OrderFilters(financial_status="PAID", fulfillment_status="FULFILLED"),
    ],
    ids=["all", "paid", "both"],
)
def test_depth_costs_nothing(crowded: Engine, filters: OrderFilters) -> None:
    """A deep page reads as many rows as the first one: one more than it has, and where it begins."""
    assert rows_read(crowded, filters, DEEP) <= rows_read(crowded, filters, None) + 2


def explained(engine: Engine, filters: OrderFilters, after: OrderPosition | None) -> dict[str, Any]:
    sent: list[tuple[str, Any]] = []
    with engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *call: sent.append((call[2], call[3])))
        connection.execute(orders_query(filters, after, 51, engine.dialect.name)).close()
        statement, values = sent[-1]
        return dict(connection.exec_driver_sql(f"EXPLAIN {statement}", values).mappings().one())


def rows_read(engine: Engine, filters: OrderFilters, after: OrderPosition | None) -> int:
    with engine.connect() as connection:
        connection.exec_driver_sql("FLUSH STATUS").close()
        connection.execute(orders_query(filters, after, 51, engine.dialect.name)).all()
        read = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
        return sum(int(count) for _, count in read)
