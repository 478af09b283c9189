"""The shop and its zone; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from shopsync.database.days import dirty_days
from shopsync.database.shops import remember_shop, stored_currency, stored_zone
from shopsync.database.tables import shop
from shopsync.errors import ForeignDatabase
from tests.database import BERLIN, load, rows
from tests.factories import NOON, order

DOMAIN = "tea.myshopify.com"
LATER = NOON + timedelta(hours=1)


def test_first_zone_marks_nothing(database: Engine) -> None:
    """A shop seen for the first time is stored; there is no other zone to repair."""
    assert not remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)

    expected = {"domain": DOMAIN, "timezone": "Europe/Berlin", "currency": "EUR", "updated_at": NOON}
    assert [expected] == rows(database, shop)


def test_same_zone_changes_nothing(database: Engine) -> None:
    """The same answer leaves the row as it was."""
    remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)

    assert not remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", LATER)
    assert [NOON] == [row["updated_at"] for row in rows(database, shop)]


def test_new_currency_marks_nothing(database: Engine) -> None:
    """Another currency is stored; days do not depend on it."""
    remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)

    assert not remember_shop(database, DOMAIN, "Europe/Berlin", "USD", LATER)
    assert [("USD", LATER)] == [(row["currency"], row["updated_at"]) for row in rows(database, shop)]


def test_new_zone_marks_every_day(database: Engine) -> None:
    """Another zone owes every day that has sales in the old one or the new one."""
    remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)
    load(database, [order(1)])

    assert remember_shop(database, DOMAIN, "Pacific/Kiritimati", "EUR", LATER)
    assert [(date(2026, 11, 20), 2), (date(2026, 11, 21), 1)] == dirty_days(database)
    assert ["Pacific/Kiritimati"] == [row["timezone"] for row in rows(database, shop)]


def test_database_keeps_to_one_shop(database: Engine) -> None:
    """Rows of two shops are never mixed: the second shop is refused by name, and not stored."""
    remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)

    with pytest.raises(ForeignDatabase, match="holds the orders of tea"):
        remember_shop(database, "other.myshopify.com", "Europe/Berlin", "EUR", NOON)

    assert [DOMAIN] == [row["domain"] for row in rows(database, shop)]


def test_shop_is_read_back(database: Engine) -> None:
    """Zone and currency are those stored last; there are none before a shop is."""
    assert (None, None) == (stored_zone(database), stored_currency(database))

    remember_shop(database, DOMAIN, "Europe/Berlin", "EUR", NOON)

    assert (BERLIN, "EUR") == (stored_zone(database), stored_currency(database))
