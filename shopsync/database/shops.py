"""
The shop that a database belongs to, and the zone that cuts its days.

The zone stored here is the truth for marking and for measuring: what a run was told at its start may be old.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, insert, select, update

from shopsync.database.days import mark_every_day
from shopsync.database.engine import reading, writing
from shopsync.database.tables import shop
from shopsync.errors import ForeignDatabase


def remember_shop(engine: Engine, domain: str, timezone: str, currency: str, at: datetime) -> bool:
    """
    Store a shop's zone and currency; return whether its zone is another than before.

    Another zone moves sales to other days, so each day is marked in the same transaction.

    Raises:
        ForeignDatabase: The database holds another shop's orders.
    """
    row = {"timezone": timezone, "currency": currency, "updated_at": at}
    with writing(engine) as connection:
        known = connection.execute(select(shop).with_for_update()).one_or_none()
        if known is not None and known.domain != domain:
            raise ForeignDatabase(engine.url.render_as_string(hide_password=True), known.domain, domain)
        if known is None:
            connection.execute(insert(shop).values(domain=domain, **row))
            return False
        if (known.timezone, known.currency) != (timezone, currency):
            connection.execute(update(shop).where(shop.c.domain == domain).values(**row))
        if known.timezone != timezone:
            mark_every_day(connection, ZoneInfo(known.timezone), ZoneInfo(timezone))
        return known.timezone != timezone


def held_zone(connection: Connection) -> ZoneInfo | None:
    """
    Return the zone that cuts the days, unchangeable until the connection's transaction ends; None without a shop.

    Whoever changes it waits for this transaction's sales and marks their days, or this transaction waits and marks in
    the new zone. SQLite has one writer at a time, so nothing needs a lock there.
    """
    timezone = connection.scalar(select(shop.c.timezone).with_for_update(read=True))
    return None if timezone is None else ZoneInfo(timezone)


def stored_zone(engine: Engine) -> ZoneInfo | None:
    """Return the zone that cuts the days now; None without a shop."""
    with reading(engine) as connection:
        timezone = connection.scalar(select(shop.c.timezone))
    return None if timezone is None else ZoneInfo(timezone)


def stored_currency(engine: Engine) -> str | None:
    """Return the currency of the shop; None without one."""
    with reading(engine) as connection:
        return connection.scalar(select(shop.c.currency))
