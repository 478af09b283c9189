"""
`dirty_day`: the shop-local days whose measurement is owed.

Whoever changes a sale marks its day in the same transaction; whoever measures takes a mark away only if it did not
grow meanwhile. So no crash, and no run beside another, leaves a day's figures wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, func, select

from shopsync.database.engine import reading, writing
from shopsync.database.tables import dirty_day, order_header, order_sale


def mark_days(connection: Connection, days: Iterable[date]) -> None:
    """Mark days in the connection's transaction."""
    rows = ",".join([f"('{day.isoformat()}',1)" for day in sorted(set(days))])
    if rows:
        again = "CONFLICT (day) DO UPDATE SET" if connection.dialect.name == "sqlite" else "DUPLICATE KEY UPDATE"
        connection.exec_driver_sql(f"INSERT INTO dirty_day (day, marks) VALUES {rows} ON {again} marks = marks + 1")


def mark_every_day(connection: Connection, old_zone: ZoneInfo, new_zone: ZoneInfo) -> None:
    """Mark each day from the first sale or order to the last in either zone: a new one moves them over midnight."""
    columns = (order_sale.c.happened_at, order_header.c.created_at)
    # A statement for each, since only then an index gives each end without reading what lies between.
    ends = [connection.scalar(select(end(column))) for column in columns for end in (func.min, func.max)]
    days = [day for at in ends if at is not None for day in _days(at, old_zone, new_zone)]
    if not days:
        return
    start, end = min(days), max(days)
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
