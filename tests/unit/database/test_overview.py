"""What the overview takes to be read."""

from __future__ import annotations

import tracemalloc
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, insert

from shopsync.database.engine import snapshot, writing
from shopsync.database.overview import order_figures
from shopsync.database.tables import order_day
from shopsync.shop_days import DayRange

DAY = date(2026, 11, 20)
DAYS = 400
CUSTOMERS = 1_000
SMALL = 4_000_000


def test_long_period_is_read_day_by_day(database: Engine) -> None:
    """Customers of hundreds of days are never in memory together: they are mostly the same ones, again and again."""
    customers = tuple(range(10**12, 10**12 + CUSTOMERS))
    rows = [
        {"day": DAY - timedelta(days=ago), "orders": 1, "cancelled": 0, "unfulfilled": 0, "customers": customers}
        for ago in range(2 * DAYS)
    ]
    with writing(database) as connection:
        connection.execute(insert(order_day), rows)
    del rows

    with snapshot(database) as connection:
        tracemalloc.start()
        current, previous = order_figures(connection, DayRange(DAY - timedelta(days=DAYS - 1), DAY), ZoneInfo("UTC"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert (DAYS, CUSTOMERS) == (current.created, current.returning_customers)
    assert (DAYS, CUSTOMERS) == (previous.created, previous.returning_customers)
    assert peak < SMALL
