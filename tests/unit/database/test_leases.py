"""Leases; tests/services runs this on MariaDB too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from shopsync.database.leases import acquire, holder, release, renew
from shopsync.database.tables import lease
from shopsync.errors import LeaseHeld, LeaseLost
from tests.database import rows
from tests.factories import NOON

HOUR = timedelta(hours=1)


def test_free_lease_is_taken(database: Engine) -> None:
    """A lease that nobody has is the caller's, until its end."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    assert [{"name": "measure", "owner": "run-1", "expires_at": NOON + HOUR}] == rows(database, lease)


def test_held_lease_names_its_owner(database: Engine) -> None:
    """Who comes second hears who holds it and until when."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    with pytest.raises(LeaseHeld) as caught:
        acquire(database, "measure", "run-2", NOON, HOUR)

    assert ("measure", "run-1", NOON + HOUR) == caught.value.args


def test_holder_is_known_until_the_end(database: Engine) -> None:
    """Who holds a lease can be asked without wanting it; one that ended is nobody's."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    assert "run-1" == holder(database, "measure", NOON)
    assert holder(database, "measure", NOON + HOUR) is None
    assert holder(database, "another", NOON) is None


def test_owner_takes_it_again(database: Engine) -> None:
    """A run that comes back after a crash still has its lease, and prolongs it."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    acquire(database, "measure", "run-1", NOON + HOUR / 2, HOUR)

    assert [NOON + HOUR * 1.5] == [row["expires_at"] for row in rows(database, lease)]


def test_expired_lease_is_taken(database: Engine) -> None:
    """A lease ends by itself."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    acquire(database, "measure", "run-2", NOON + HOUR, HOUR)

    assert ["run-2"] == [row["owner"] for row in rows(database, lease)]


def test_names_are_independent(database: Engine) -> None:
    """Each name is a lease of its own."""
    acquire(database, "measure", "run-1", NOON, HOUR)
    acquire(database, "daily", "run-2", NOON, HOUR)

    assert ["run-2", "run-1"] == [row["owner"] for row in rows(database, lease)]


def test_renewal_prolongs(database: Engine) -> None:
    """A lease that is still the owner's is prolonged, even when late."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    renew(database, "measure", "run-1", NOON + 2 * HOUR, HOUR)

    assert [NOON + 3 * HOUR] == [row["expires_at"] for row in rows(database, lease)]


def test_lost_lease_is_told(database: Engine) -> None:
    """A run whose lease was taken hears so, and takes nothing back."""
    acquire(database, "measure", "run-1", NOON, HOUR)
    acquire(database, "measure", "run-2", NOON + HOUR, HOUR)

    with pytest.raises(LeaseLost, match="run-1 lost"):
        renew(database, "measure", "run-1", NOON + HOUR, HOUR)

    assert ["run-2"] == [row["owner"] for row in rows(database, lease)]


def test_released_lease_is_free(database: Engine) -> None:
    """A lease that was given back is there for the next."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    release(database, "measure", "run-1")

    acquire(database, "measure", "run-2", NOON, HOUR)


def test_releases_only_its_own(database: Engine) -> None:
    """Giving back what is another's by now does nothing."""
    acquire(database, "measure", "run-1", NOON, HOUR)

    release(database, "measure", "run-2")

    assert ["run-1"] == [row["owner"] for row in rows(database, lease)]


def test_one_of_many_wins(database: Engine) -> None:
    """Of eight that ask at once, one has the lease and seven hear of it."""

    def ask(owner: int) -> str:
        try:
            acquire(database, "measure", str(owner), NOON, HOUR)
        except LeaseHeld as error:
            return error.owner
        return str(owner)

    with ThreadPoolExecutor(4) as pool:
        owners = set(pool.map(ask, range(8)))

    assert [owners] == [{row["owner"]} for row in rows(database, lease)]
