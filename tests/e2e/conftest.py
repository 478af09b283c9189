"""Fixtures of whole runs: one real Prefect server for all of them, a world for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_LEVEL, temporary_settings

from tests.e2e.history import History, Template, fresh_shop
from tests.e2e.judge import Judge, Ran
from tests.e2e.prefect_server import drain, prefect_server
from tests.e2e.world import World, now, opened
from tests.simulator import Shop

OpenWorld = Callable[..., World]

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
"""Less than 128 days after the autumn's clock changes: Lord Howe's, Berlin's and New York's."""


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A real Prefect server; flows in this process speak to it too."""
    home = tmp_path_factory.mktemp("prefect")
    with (
        prefect_server(home) as environ,
        temporary_settings(
            {PREFECT_API_URL: environ["PREFECT_API_URL"], PREFECT_HOME: home, PREFECT_LOGGING_LEVEL: "ERROR"}
        ),
    ):
        yield environ
        drain()


@pytest.fixture(scope="session", params=["grouped, New York", "interleaved, Berlin", "shuffled, Lord Howe"])
def large(request: pytest.FixtureRequest, prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
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
    with opened(shop, tmp_path_factory.mktemp("large"), prefect) as world:
        return Judge(world, AT + timedelta(minutes=5)).sync(requested_at=AT)


@pytest.fixture
def open_world(prefect: Mapping[str, str], tmp_path: Path) -> Iterator[OpenWorld]:
    """Open worlds around shops; all are closed at the end of the test."""
    with ExitStack() as worlds:

        def open_one(shop: Shop, name: str = "data", **settings: str) -> World:
            return worlds.enter_context(opened(shop, tmp_path / name, prefect, **settings))

        yield open_one


@pytest.fixture
def world(open_world: OpenWorld) -> World:
    """A world around a small, varied shop."""
    return open_world(Shop(seed=11, orders=300, now=now() - timedelta(minutes=5), days=100))


@pytest.fixture(scope="session")
def template(prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The state of a small world after its first run."""
    shop = {"seed": 23, "orders": 60, "now": now() - timedelta(minutes=5), "days": 70, "operation_seconds": 0.2}
    with opened(fresh_shop(**shop), tmp_path_factory.mktemp("template"), prefect) as world:
        # The next run moves the as-of day on, and with it every product's figures.
        history = History(world, requested_at=now() - timedelta(days=3))
        history.sync()
        return Template.of(history, **shop)


@pytest.fixture
def settled(template: Template, open_world: OpenWorld) -> History:
    """A small world of its own that has completed a run, ready for the next."""
    return template.into(open_world(template.open_shop()))
