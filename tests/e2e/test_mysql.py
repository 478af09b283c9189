"""The daily run on a MySQL-protocol server: the same rows as on SQLite."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shopsync.window import FLOOR
from tests import reference
from tests.e2e.conftest import OpenWorld
from tests.e2e.world import World, now
from tests.services.mariadb import mariadb_server
from tests.simulator import Shop
from tests.truth import Truth, differences

pytestmark = pytest.mark.services


@pytest.fixture
def world(open_world: OpenWorld) -> Iterator[World]:
    """A world whose database is a real MariaDB, still empty."""
    with mariadb_server() as new_database:
        url = new_database().render_as_string(hide_password=False)
        yield open_world(
            Shop(seed=12, orders=300, now=now() - timedelta(minutes=5), days=100), SHOPSYNC_DATABASE_URL=url
        )


def test_stores_every_order_in_mysql(world: World):
    """A run names the command that an empty database needs; after it, the tables hold what the shop has."""
    code, _, errors = world.run()
    applied = subprocess.run([sys.executable, "-m", "shopsync.database", "apply"], env=world.environ, check=False)
    requested_at = now()
    world.sync(requested_at=requested_at)
    world.shop.trade(40, seed=5)
    world.sync(requested_at=requested_at)

    truth = Truth()
    truth.fetch(world.shop, requested_at - FLOOR, now())
    truth.measure("America/New_York", reference.as_of_day(requested_at, "America/New_York"), "USD")
    assert (1, 0) == (code, applied.returncode)
    assert "run `python -m shopsync.database apply`" in errors
    assert [] == differences(truth.tables, world.rows)
