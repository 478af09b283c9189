"""
Opens Shopify, the database, the lake and a run's journal for the tasks, with the settings of this process.

The only place that reads the environment for flows, and the only one that knows clock and sleep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Unpack

import httpx
from prefect.runtime import flow_run
from sqlalchemy import Engine

from shopsync.database import runs, schema
from shopsync.database.engine import open_database
from shopsync.errors import SyncError
from shopsync.journal import UNCOUNTED, Changes, Journal, find_run
from shopsync.lake import Lake, open_lake
from shopsync.patience import BRIEF_S, Patience
from shopsync.run import Run
from shopsync.settings import Settings
from shopsync.shopify.access import ShopAccess
from shopsync.shopify.admin import AdminClient
from shopsync.telemetry import Counts, RunRecord, Step


def settings() -> Settings:
    """Read the settings of this process's environment."""
    return Settings.from_environment(os.environ)


def now() -> datetime:
    """Return this machine's time, aware UTC."""
    return datetime.now(UTC)


@contextmanager
def database() -> Iterator[Engine]:
    """Open the database, and check that its schema is this release's (SQLite is migrated here)."""
    engine = open_database(settings().database)
    try:
        schema.prepare(engine)
        yield engine
    finally:
        engine.dispose()


def lake() -> Lake:
    """Open the lake."""
    given = settings()
    secret = given.lake_secret_access_key
    return open_lake(
        given.lake_url,
        endpoint_url=given.lake_endpoint_url,
        access_key_id=given.lake_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        region=given.lake_region,
    )


def patience(run: Run) -> Patience:
    """Return how long this run asks Shopify again; each longer wait gets a record, so that staff see it."""
    given = settings()

    def tell(until: datetime, _why: SyncError) -> None:
        record(run, journal(run).last.step, waiting_until=until)

    return Patience(
        base_s=given.retry_base_s,
        busy_s=given.busy_wait_s,
        deadline=run.process_initiated_at + timedelta(seconds=given.retry_budget_s),
        budget_s=given.retry_budget_s,
        sleep=time.sleep,
        now=now,
        on_wait=tell,
    )


def brief_patience() -> Patience:
    """Return the patience of a first contact: what fails then is more likely misconfigured than down."""
    return Patience.brief(time.sleep, now, min(settings().retry_budget_s, BRIEF_S))


@contextmanager
def shopify(patience: Patience) -> Iterator[AdminClient]:
    """Open the shop's Admin API."""
    given = settings()
    given.require_shop()
    assert given.shopify_url is not None
    token, secret = given.shopify_token, given.shopify_client_secret
    access = ShopAccess(
        url=given.shopify_url,
        api_version=given.shopify_api_version,
        token=token.get_secret_value() if token else None,
        client_id=given.shopify_client_id,
        client_secret=secret.get_secret_value() if secret else None,
    )
    with httpx.Client() as http:
        yield AdminClient(access, http, patience)


def journal(run: Run) -> Journal:
    """Open the journal of a run that has begun."""
    found = find_run(lake(), run.run_id, run.requested_at, project)
    assert found is not None, "a run's first task begins its journal"
    return found


def record(run: Run, step: Step, counts: Counts = UNCOUNTED, **changes: Unpack[Changes]) -> None:
    """Write the run's next record: a step that starts, and what is known since the last."""
    changes["flow_run_id"] = flow_run.id  # a resumed run goes on in another one
    journal(run).append(step, at=now(), counts=counts, **changes)


def project(written: RunRecord) -> None:
    """Bring `sync_run` up to a record; the record is safe in the lake, whatever the database does."""
    with database() as engine:
        runs.project(engine, written)
