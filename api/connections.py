"""
What the routes read from: the database and the lake, opened at their first use and kept.

Opened late, so that the API starts and answers while one of them is down; with short time-outs, because somebody is
waiting: what does not answer within seconds is a 503.
"""

from __future__ import annotations

from threading import Lock
from typing import NoReturn

import httpx
from anyio.to_thread import run_sync
from sqlalchemy import Engine

from shopsync.database import schema
from shopsync.database.engine import Pool, open_database
from shopsync.errors import PrefectUnavailable
from shopsync.lake import Lake, open_lake
from shopsync.prefect_api import TIMEOUT, PrefectAccess, PrefectApi
from shopsync.settings import Settings

POOL = Pool(size=10, overflow=10, wait_s=1.5, connect_s=1.0, ping_s=0.7, statement_s=10)
"""
Twice as many connections as two cores keep busy. One that was kept and is dead, and then a new one that does not come,
take less than two seconds together.
"""
THREADS = 2 * (POOL.size + POOL.overflow)
"""
In which routes run: every connection can be at work while as many routes wait for Prefect or the lake. The loop's own
six on two cores would all be waiting as soon as one of them is silent.
"""
READS = httpx.Timeout(2.0, connect=1.0)
"""For Prefect's view of what is read: the answer does without it sooner than somebody tires of waiting."""


class NoPrefect:
    """What stands for Prefect when nobody said where it is: reads do without it."""

    def _fail(self, *_given: object, **_named: object) -> NoReturn:
        raise PrefectUnavailable("nowhere", "SHOPSYNC_PREFECT_API_URL is not set")

    deployment = flow_runs = create_flow_run = check_health = artifacts = _fail


class Connections:
    """The database and the lake of one API process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._engine: Engine | None = None
        self._prepared = False
        self._lake: Lake | None = None
        self._http: httpx.Client | None = None

    def prefect(self, timeout: httpx.Timeout = TIMEOUT) -> PrefectApi | NoPrefect:
        """Return Prefect's API; nothing is sent yet."""
        if self._settings.prefect_api_url is None:
            return NoPrefect()
        self._http = self._http or httpx.Client()
        return PrefectApi(PrefectAccess.of(self._settings), self._http, timeout=timeout)

    async def database(self) -> Engine:
        """
        Return the database, with this release's schema.

        Raises:
            DatabaseUnavailable: It does not answer.
            SchemaOutdated: It lacks migrations, which an operator has to apply.
        """
        if self._engine is not None and self._prepared:
            return self._engine
        return await run_sync(self.open_database)

    async def lake(self) -> Lake:
        """Return the lake, or raise LakeUnavailable."""
        return self._lake or await run_sync(self.open_lake)

    def close(self) -> None:
        """Close what is open."""
        if self._http is not None:
            self._http.close()
        if self._engine is not None:
            self._engine.dispose()

    def open_database(self) -> Engine:
        """Return the database as `database` does, for those who are in a thread."""
        with self._lock:
            if self._engine is None:
                self._engine = open_database(self._settings.database, POOL)
        # Without the lock: who waits for a database that hangs does not make the next one wait behind it.
        if not self._prepared:
            schema.prepare(self._engine)
            self._prepared = True
        return self._engine

    def open_lake(self) -> Lake:
        """Return the lake as `lake` does, for those who are in a thread."""
        with self._lock:
            if self._lake is None:
                secret = self._settings.lake_secret_access_key
                self._lake = open_lake(
                    self._settings.lake_url,
                    endpoint_url=self._settings.lake_endpoint_url,
                    access_key_id=self._settings.lake_access_key_id,
                    secret_access_key=secret.get_secret_value() if secret else None,
                    region=self._settings.lake_region,
                    somebody_waits=True,
                )
            return self._lake
