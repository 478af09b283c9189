"""What an operator reads when a server or the way to it is wrong: one line with the cause and the cure, no secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import URL, make_url

from shopsync.errors import DatabaseUnavailable, LakeUnavailable
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import History, records
from tests.e2e.world import now
from tests.simulator import Shop

pytestmark = [pytest.mark.services, pytest.mark.parametrize("storage", ["served"], indirect=True)]
SECRET = "hush-0123456789"


@pytest.fixture
def history(open_world: OpenWorld) -> History:
    """A world around an almost empty shop, in which no run has been yet."""
    shop = Shop(seed=2, orders=3, now=now() - timedelta(minutes=5), days=5)
    return History(open_world(shop, SHOPSYNC_RETRY_BUDGET_S="1"))


@pytest.mark.proves("no lake")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LAKE_SECRET_ACCESS_KEY", SECRET, "the secret key is wrong"),
        ("LAKE_ACCESS_KEY_ID", SECRET, "the access key is not known there"),
        ("LAKE_URL", "s3://typo/below", "the bucket does not exist"),
    ],
)
def test_wrong_lake_is_named(history: History, name: str, value: str, words: str):
    """A lake that cannot be written ends the run before Shopify is asked for an export, and anything is written."""
    world = history.world
    world.settings[f"SHOPSYNC_{name}"] = value

    with pytest.raises(LakeUnavailable, match=rf"{words}\. Check SHOPSYNC_LAKE_URL") as told:
        world.sync()

    assert SECRET not in str(told.value)
    assert [] == world.shop.operations
    assert world.watermark is None
    assert [] == world.storage.select("SELECT run_id FROM sync_run")
    del world.settings[f"SHOPSYNC_{name}"]
    history.sync()
    assert [] == history.wrong()


@pytest.mark.proves("no database")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.set(password=SECRET), "Access denied for user"),
        (lambda url: url.set(database="nowhere"), "Unknown database 'nowhere'"),
        (lambda url: url.set(port=9), "Can't connect to MySQL server"),
    ],
    ids=["password", "database", "port"],
)
def test_wrong_database_is_named(history: History, change: Callable[[URL], URL], words: str):
    """A database that cannot be opened is named in the records of the run, without the password."""
    world = history.world
    url = change(make_url(world.database))
    world.settings["SHOPSYNC_DATABASE_URL"] = url.render_as_string(hide_password=False)

    with pytest.raises(DatabaseUnavailable, match=rf"{words}.*Check SHOPSYNC_DATABASE_URL") as told:
        world.sync()

    assert SECRET not in str(told.value)
    assert [] == world.shop.operations
    assert world.watermark is None
    assert ("failed", str(told.value)) == (records(world)[-1]["status"], records(world)[-1]["error"]["message"])
    del world.settings["SHOPSYNC_DATABASE_URL"]
    history.sync()
    assert [] == history.wrong()
