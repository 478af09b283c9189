"""An application of its own for each test: a SQLite database with a few orders, a lake folder, a clock that stands."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace
from sqlalchemy import Engine

from api.app import Api, create_app
from shopsync.database.runs import project
from shopsync.journal import open_run
from shopsync.lake import open_lake
from shopsync.settings import Settings
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Step
from tests.api.prefect import FakePrefect
from tests.api.staff import OPERATOR, TOKENS, VIEWER
from tests.database import load
from tests.factories import NOON, order
from tests.unit.database.conftest import database, migrated, url  # noqa: F401 - fixtures

# ruff: noqa: F811

ORDERS = 7
"""Orders of the seeded database: 1001 to 1007, an hour apart, the last one the newest."""

HOUR = timedelta(hours=1)
NOW = NOON + timedelta(hours=12)

Settled = Callable[..., Settings]


@pytest.fixture
def seeded(database: Engine) -> Engine:
    """A database with seven orders."""
    load(
        database,
        [
            order(1000 + number, name=f"#{1000 + number}", created_at=NOON + timedelta(hours=number))
            for number in range(1, ORDERS + 1)
        ],
    )
    return database


@pytest.fixture
def settings(seeded: Engine, tmp_path: Path) -> Settled:
    """The settings of an API that reads the seeded database, with changes by name of the variable."""

    def changed(**changes: str) -> Settings:
        environ = {
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": seeded.url.render_as_string(hide_password=False),
            "LAKE_URL": (tmp_path / "lake").as_uri(),
            "API_TOKENS": TOKENS,
        }
        return Settings.from_environment({f"SHOPSYNC_{name}": value for name, value in (environ | changes).items()})

    return changed


@pytest.fixture
def journals(seeded: Engine, settings: Settled) -> Engine:
    """Four runs an hour apart: completed, failed, a backfill that completed, and one that goes on in Prefect."""
    lake = open_lake(settings().lake_url)

    def run(number: int, job_type: JobType, end: Step, **last: Any) -> None:
        at = NOON + number * HOUR
        first = RunRecord(f"run-{number}", job_type, Initiator.CRON, at, at, Step.INITIATED, Step.INITIATED.status, at)
        journal = open_run(lake, replace(first, flow_run_id="flow-run-0"), lambda record: project(seeded, record))
        journal.append(end, at=at + timedelta(seconds=90), **last)

    run(1, JobType.DAILY, Step.COMPLETED, counts=Counts(orders=3), roots=3, api_version="2026-10")
    run(2, JobType.DAILY, Step.FAILED, error=RunError("Throttled", "Shopify throttles this app"))
    run(3, JobType.BACKFILL, Step.COMPLETED)
    run(4, JobType.DAILY, Step.POLL)
    return seeded


@pytest.fixture
def prefect() -> FakePrefect:
    """A Prefect server of a few lines."""
    return FakePrefect()


@pytest.fixture
def app(settings: Settled, prefect: FakePrefect) -> Api:
    """The application."""
    return create_app(settings(), prefect=prefect, now=lambda: NOW)


@pytest.fixture
def anyone(app: Api) -> Generator[TestClient[Any]]:
    """A client without a token."""
    with TestClient(app) as client:
        yield client


@pytest.fixture
def viewer(app: Api) -> Generator[TestClient[Any]]:
    """A client with a viewer's token."""
    with TestClient(app) as client:
        client.headers.update(VIEWER)
        yield client


@pytest.fixture
def operator(app: Api) -> Generator[TestClient[Any]]:
    """A client with an operator's token."""
    with TestClient(app) as client:
        client.headers.update(OPERATOR)
        yield client
