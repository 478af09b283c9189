"""Fixtures of whole runs: one real Prefect server for all of them, a world for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOGGING_LEVEL, temporary_settings
from sqlalchemy import URL

from shopsync.database import schema
from shopsync.database.engine import open_database
from tests.e2e.backfilled import Backfilled
from tests.e2e.history import History, Template, fresh_shop
from tests.e2e.judge import Judge, Ran
from tests.e2e.kills import Runs
from tests.e2e.prefect_server import client_settings, drain, server_over_kept
from tests.e2e.storage import OpenStorage, embedded, served
from tests.e2e.world import World, now, opened
from tests.simulator import Shop

OpenWorld = Callable[..., World]

AUTH_STRING = "operator:not-a-secret"

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
"""Less than 128 days after the autumn's clock changes: Lord Howe's, Berlin's and New York's."""


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A Prefect server's database as its first start made it, once for all processes of the test run."""
    own = tmp_path_factory.getbasetemp()
    return (own if worker_id == "master" else own.parent) / "new.db"


@pytest.fixture(scope="session")
def prefect(new_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A real Prefect server, which lets nobody in without its auth string; flows in this process speak to it too."""
    with (
        server_over_kept(new_database, tmp_path_factory.mktemp("prefect"), AUTH_STRING) as environ,
        temporary_settings({**client_settings(environ), PREFECT_LOGGING_LEVEL: "ERROR"}),
    ):
        yield environ
        drain()


@pytest.fixture(scope="session", params=["embedded", "served"])
def storage(request: pytest.FixtureRequest) -> OpenStorage:
    """What opens a world's storage: files of this machine, or MariaDB and R2. Every test runs over both."""
    if request.param == "embedded":
        return embedded
    new_database, new_place = (request.getfixturevalue(name) for name in ("mariadb", "r2"))
    return served(lambda: migrated(new_database()), new_place)


def migrated(url: URL) -> URL:
    """Give a database the release's schema, as an operator does."""
    engine = open_database(url)
    schema.apply(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session", params=["grouped, New York", "interleaved, Berlin", "shuffled, Lord Howe"])
def large(
    request: pytest.FixtureRequest,
    prefect: Mapping[str, str],
    storage: OpenStorage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ran]:
    """A run over more than 5,000 orders; tests only read what it left behind."""
    if request.param == "grouped, New York":
        # Some of these are older than any window.
        shop = Shop(seed=21, orders=6_000, days=145, now=AT, timezone="America/New_York", currency="USD")
    elif request.param == "interleaved, Berlin":
        shop = Shop(
            seed=22, orders=5_200, days=125, now=AT, timezone="Europe/Berlin", currency="EUR", taxes_included=True
        )
        shop.faults.interleaved = True
    else:
        shop = Shop(seed=23, orders=5_200, days=125, now=AT, timezone="Australia/Lord_Howe", currency="AUD")
        shop.faults.shuffled = True
    with opened(shop, tmp_path_factory.mktemp("large"), prefect, storage) as world:
        yield Judge(world, AT + timedelta(minutes=5)).sync(requested_at=AT)


@pytest.fixture(scope="session")
def long_history(
    prefect: Mapping[str, str], storage: OpenStorage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backfilled]:
    """A shop of 400 days whose daily run saw 128, and then a backfill over all of them."""
    end = now() - timedelta(minutes=5)
    shop = Shop(seed=41, orders=400, now=end, days=400, operation_seconds=0.2)
    with opened(shop, tmp_path_factory.mktemp("backfill"), prefect, storage) as world:
        filled = Backfilled(world)
        filled.take(filled.requested_at - timedelta(days=128), now(), "updated")
        world.sync(requested_at=filled.requested_at)
        filled.standing = world.watermark
        filled.backfill(end - timedelta(days=401), end)
        yield filled


@pytest.fixture
def open_world(prefect: Mapping[str, str], storage: OpenStorage, tmp_path: Path) -> Iterator[OpenWorld]:
    """Open worlds around shops; all are closed at the end of the test."""
    with ExitStack() as worlds:

        def open_one(shop: Shop, name: str = "data", **settings: str) -> World:
            return worlds.enter_context(opened(shop, tmp_path / name, prefect, storage, **settings))

        yield open_one


@pytest.fixture
def world(open_world: OpenWorld) -> World:
    """A world around a small, varied shop."""
    return open_world(Shop(seed=11, orders=300, now=now() - timedelta(minutes=5), days=100))


@pytest.fixture(scope="session")
def template(
    prefect: Mapping[str, str], storage: OpenStorage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Template]:
    """The state of a small world after its first run."""
    shop = {"seed": 23, "orders": 60, "now": now() - timedelta(minutes=5), "days": 70, "operation_seconds": 0.2}
    with opened(fresh_shop(**shop), tmp_path_factory.mktemp("template"), prefect, storage) as world:
        # The next run moves the as-of day on, and with it every product's figures.
        history = History(world, requested_at=now() - timedelta(days=3))
        history.sync()
        yield Template.of(history, **shop)


@pytest.fixture
def settled(template: Template, open_world: OpenWorld) -> History:
    """A small world of its own that has completed a run, ready for the next."""
    return template.into(open_world(template.open_shop()))


@pytest.fixture
def busy_day(settled: History) -> History:
    """A small world in whose shop things have happened since its first run."""
    settled.world.shop.trade(12, seed=9)
    return settled


@pytest.fixture
def first_day(template: Template, open_world: OpenWorld) -> History:
    """A small world before its first run, with many days to measure."""
    return History(open_world(template.open_shop()))


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """Runs in processes, none of which outlives the test."""
    started = Runs(tmp_path / "runs.log")
    yield started
    started.end()
