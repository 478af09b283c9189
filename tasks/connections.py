"""
Opens Shopify, the database, the lake and a run's journal for the tasks, with the settings of this process.

The only place that reads the environment for flows, and the only one that knows clock and sleep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Unpack, cast

import httpx
from prefect.runtime import flow_run
from sqlalchemy import Engine

from shopsync.database import runs, schema
from shopsync.database.engine import open_database
from shopsync.errors import MustWait, SettingsError, SyncError
from shopsync.journal import UNCOUNTED, Changes, Journal, find_run
from shopsync.lake import Credentials, Lake, open_lake
from shopsync.patience import BRIEF_S, Patience
from shopsync.run import Run, going_on_since
from shopsync.settings import Settings
from shopsync.shopify.access import ShopAccess
from shopsync.shopify.admin import AdminClient
from shopsync.telemetry import Counts, JobType, RunRecord, Step
from tasks.waiting import is_continued, is_restarted

if TYPE_CHECKING:
    from ssl import SSLContext

    from prefect_aws import AwsCredentials

BACKFILL_WAITS = 5
"""A backfill waits this many times as long for a bulk slot as a daily run."""


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
        credentials=_renewed(block) if (block := lake_keys(given)) else None,
        region=given.lake_region,
    )


def lake_keys(given: Settings) -> AwsCredentials | None:
    """
    Return the block that holds the lake's keys; None when the settings name none.

    Raises:
        SettingsError: The Prefect server has no such block.
    """
    name = given.lake_credentials_block
    if name is None:
        return None
    from prefect_aws import AwsCredentials  # noqa: PLC0415 - it costs seconds

    try:
        return cast("AwsCredentials", AwsCredentials.load(name))
    except ValueError as error:
        problem = f"names a block that the Prefect server does not have: make an AwsCredentials block '{name}' there"
        raise SettingsError("SHOPSYNC_LAKE_CREDENTIALS_BLOCK", problem) from error


def _renewed(block: AwsCredentials) -> Credentials:
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - boto3 costs a second

    return Boto3CredentialProvider(block.get_boto3_session())


def patience(run: Run) -> Patience:
    """Return how long this run asks Shopify again; each longer wait gets a record, so that staff see it."""
    given = settings()

    def tell(until: datetime, why: SyncError) -> None:
        _apart(lambda: record(run, journal(run).last.step, waiting_until=until))
        if (until - now()).total_seconds() > given.in_process_wait_s and is_restarted():
            raise MustWait(until, str(why))

    since, waits = run.patient_since, list[float]()
    if is_continued():
        # What its first process found out is in a result of Prefect's that may not have been kept.
        told = journal(run).records()
        since, waits = going_on_since(told, flow_run.id) or now(), _waits(told)
    return Patience(
        base_s=given.retry_base_s,
        busy_s=given.busy_wait_s * (1 if run.job_type is JobType.DAILY else BACKFILL_WAITS),
        deadline=since + timedelta(seconds=given.retry_budget_s),
        budget_s=given.retry_budget_s,
        sleep=time.sleep,
        now=now,
        on_wait=tell,
        waited_s=waits[-1] if waits else 0.0,
        tried=len(waits),
    )


def _apart(work: Callable[[], None]) -> None:
    """
    Do something with the lake in a thread of its own.

    A download that waits may be pulled by the upload into the archive, whose thread takes no other call of the lake.
    """
    with ThreadPoolExecutor(1, "apart") as thread:
        thread.submit(copy_context().run, work).result()  # in this context: it names the flow run


def _waits(told: Sequence[RunRecord]) -> list[float]:
    """Return how long other processes of the run waited, each time, in the step that it has not got past."""
    waits = [(each.at, each.waiting_until) for each in told if each.step is told[-1].step]
    return [max((until - at).total_seconds(), 0.0) for at, until in waits if until is not None]


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
    with httpx.Client(verify=_authorities()) as http:
        yield AdminClient(access, http, patience)


@cache
def _authorities() -> SSLContext:
    """Return what verifies Shopify's certificates, read once: each step opens a client of its own."""
    return httpx.create_ssl_context()


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
