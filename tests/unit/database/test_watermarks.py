"""The recorded advances; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from shopsync.database.watermarks import last_advance, record_advance
from tests.factories import NOON

SHOP = "tea.myshopify.com"
HOUR = timedelta(hours=1)


def test_no_advance_yet(database: Engine) -> None:
    """A database that no run completed on has no watermark."""
    record_advance(database, "another.myshopify.com", "run-1", NOON, NOON)

    assert last_advance(database, SHOP) is None


def test_furthest_advance_counts(database: Engine) -> None:
    """The database is complete up to the furthest advance, in whatever order they were recorded."""
    record_advance(database, SHOP, "run-2", NOON + HOUR, NOON)
    record_advance(database, SHOP, "run-1", NOON, NOON + HOUR)

    assert NOON + HOUR == last_advance(database, SHOP)


def test_advance_may_be_repeated(database: Engine) -> None:
    """A step that runs again records the same advance."""
    record_advance(database, SHOP, "run-1", NOON, NOON)
    record_advance(database, SHOP, "run-1", NOON, NOON + HOUR)

    assert NOON == last_advance(database, SHOP)
