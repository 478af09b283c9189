"""
`dirty_day`: the shop-local days whose measurement is owed.

Whoever changes a sale marks its day in the same transaction; whoever measures takes a mark away only if it did not
grow meanwhile. So no crash, and no run beside another, leaves a day's figures wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, func, literal_column, select
from sqlalchemy.dialects import mysql, sqlite

from shopsync.database.engine import reading, writing
from shopsync.database.tables import dirty_day, order_sale


def mark_days(connection: Connection, days: Iterable[date]) -> None:
    """Mark days in the connection's transaction."""
    rows = [{"day": day, "marks": 1} for day in sorted(set(days))]
    if not rows:
        return
    # Written out: a bound value would keep PyMySQL from sending the rows in one statement.
    grown = dirty_day.c.marks + literal_column("1")
    if connection.dialect.name == "sqlite":
        statement = sqlite.insert(dirty_day).on_conflict_do_update(index_elements=["day"], set_={"marks": grown})
    else:
        statement = mysql.insert(dirty_day).on_duplicate_key_update(marks=grown)
    connection.execute(statement, rows)


def mark_every_day(connection: Connection, old_zone: ZoneInfo, new_zone: ZoneInfo) -> None:
    """Mark each day from the first sale to the last in either zone: a new zone moves sales over midnight."""
    happened = order_sale.c.happened_at
    # Two statements, since only then an index gives each end without reading what lies between.
    first = connection.scalar(select(func.min(happened)))
    last = connection.scalar(select(func.max(happened)))
    if first is None or last is None:
        return
    start, end = min(_days(first, old_zone, new_zone)), max(_days(last, old_zone, new_zone))
    mark_days(connection, (start + timedelta(days=number) for number in range((end - start).days + 1)))


def dirty_days(engine: Engine) -> list[tuple[date, int]]:
    """Return the marked days and their marks, oldest first."""
    with reading(engine) as connection:
        rows = connection.execute(select(dirty_day.c.day, dirty_day.c.marks).order_by(dirty_day.c.day))
        return [(row.day, row.marks) for row in rows]


def clear_dirty_day(engine: Engine, day: date, marks: int) -> bool:
    """
    Take away a day's mark if it still is what was read before measuring; return whether it was.

    The caller holds the `measure` lease: without it, two that measure at once could clear each other's marks.
    """
    same = (dirty_day.c.day == day) & (dirty_day.c.marks == marks)
    with writing(engine) as connection:
        return connection.execute(delete(dirty_day).where(same)).rowcount == 1


def _days(at: datetime, *zones: ZoneInfo) -> list[date]:
    return [at.astimezone(zone).date() for zone in zones]
