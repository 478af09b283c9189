"""Marks of owed days; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from shopsync.database.days import clear_dirty_day, dirty_days, mark_days, mark_every_day
from shopsync.database.engine import writing
from tests.database import BERLIN, load
from tests.factories import NOON, order, sale

TODAY = date(2026, 11, 20)
DAY = timedelta(days=1)


def test_marks_add_up(database: Engine) -> None:
    """Each transaction that changes a day adds a mark; days come oldest first."""
    with writing(database) as connection:
        mark_days(connection, [TODAY, TODAY - DAY])
        mark_days(connection, [TODAY, TODAY])

    assert [(TODAY - DAY, 1), (TODAY, 2)] == dirty_days(database)


def test_measured_day_is_cleared(database: Engine) -> None:
    """A day whose marks are those read before measuring is owed no more."""
    with writing(database) as connection:
        mark_days(connection, [TODAY, TODAY - DAY])

    assert clear_dirty_day(database, TODAY, 1)
    assert [(TODAY - DAY, 1)] == dirty_days(database)


def test_grown_mark_stays(database: Engine) -> None:
    """A day that changed again while it was measured is still owed."""
    with writing(database) as connection:
        mark_days(connection, [TODAY])
        mark_days(connection, [TODAY])

    assert not clear_dirty_day(database, TODAY, 1)
    assert [(TODAY, 2)] == dirty_days(database)


def test_every_day_in_either_zone(database: Engine) -> None:
    """From the first sale or order to the last, as the old zone and as the new one dates them."""
    late = NOON.replace(hour=23, minute=30)
    first = order(1, created_at=late - 3 * DAY, sales=[sale(2, happened_at=late)])
    load(database, [first], zone=BERLIN)

    with writing(database) as connection:
        mark_every_day(connection, BERLIN, ZoneInfo("America/New_York"))

    days = [date(2026, 11, 17) + number * DAY for number in range(5)]
    assert list(zip(days, [1, 2, 1, 1, 2], strict=True)) == dirty_days(database)


def test_no_sales_no_marks(database: Engine) -> None:
    """Without sales a new zone owes nothing."""
    with writing(database) as connection:
        mark_every_day(connection, BERLIN, ZoneInfo("America/New_York"))

    assert [] == dirty_days(database)
