"""Whose shop it is that a replay brings orders into."""

from __future__ import annotations

from datetime import UTC, datetime

from shopsync.archive import Manifest
from shopsync.database.shops import remember_shop
from shopsync.run import ShopProfile
from shopsync.telemetry import JobType
from tasks import connections
from tasks.replay import archived_shop

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = Manifest("r1", JobType.DAILY, "x.myshopify.com", "Europe/Sofia", "BGN", "2026-10", NOON, "op", NOON, NOON, ())


def test_new_database_learns_the_shop_from_the_archive():
    """Nobody else knows its zone and its currency."""
    assert ShopProfile("x.myshopify.com", "Europe/Sofia", "BGN") == archived_shop([OLD])


def test_old_archive_changes_no_shop():
    """A shop that has another zone and another currency by now keeps both."""
    with connections.database() as database:
        remember_shop(database, "x.myshopify.com", "Europe/Athens", "EUR", NOON)

    assert ShopProfile("x.myshopify.com", "Europe/Athens", "EUR") == archived_shop([OLD])
