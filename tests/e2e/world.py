"""One shop, one database, one lake, one watermark: everything that a run of the product touches, for one test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from flows.backfill import BackfillResult, backfill
from flows.daily_sync import DailyResult, daily_sync
from shopsync.telemetry import Initiator
from tasks import watermark
from tests.e2e.storage import OpenStorage, Storage, embedded
from tests.simulator import Clock, Shop, serve
from tests.truth import Tables, stored_rows
from tests.waiting import PATIENCE_S

NO_WAITS = {
    "SHOPSYNC_LAG_S": "0",
    "SHOPSYNC_POLL_INTERVAL_S": "0.05",
    "SHOPSYNC_RETRY_BASE_S": "0.05",
    "SHOPSYNC_BUSY_WAIT_S": "0.1",
}


@dataclass
class World:
    """
    The world of one test; `settings` are SHOPSYNC variables over the defaults above.

    The shop answers over real HTTP; a run happens in this process (`sync`) or in one of its own (`start`).
    """

    shop: Shop
    folder: Path
    storage: Storage
    prefect: Mapping[str, str]
    url: str
    settings: dict[str, str] = field(default_factory=dict)
    block: str = field(default_factory=lambda: f"orders-{uuid4().hex[:12]}")

    @property
    def environ(self) -> dict[str, str]:
        """The whole environment of a run."""
        return {
            **self.prefect,
            **NO_WAITS,
            "SHOPSYNC_SHOPIFY_URL": self.url,
            "SHOPSYNC_SHOPIFY_TOKEN": self.shop.token,
            "SHOPSYNC_DATA_DIR": str(self.folder),
            "SHOPSYNC_WATERMARK_BLOCK": self.block,
            **self.storage.settings,
            **self.settings,
        }

    @property
    def lake(self) -> Path:
        """A folder with what is in the lake now."""
        return self.storage.lake

    @property
    def database(self) -> str:
        """The database: a SQLite file or a URL."""
        return self.storage.database

    @property
    def rows(self) -> Tables:
        """The four tables as they are stored."""
        return stored_rows(self.database)

    @property
    def watermark(self) -> datetime | None:
        """Where the block stands."""
        block = watermark.load(self.block)
        return block.watermark if block else None

    def sync(self, *, run_id: UUID | None = None, requested_at: datetime | None = None) -> DailyResult:
        """Run one daily sync in this process; its failure is raised."""
        with environment(self.environ):
            return daily_sync(run_id, Initiator.USER, requested_at)

    def backfill(self, start: datetime, end: datetime, **parameters: Any) -> BackfillResult:
        """Run one backfill in this process; its failure is raised."""
        with environment(self.environ):
            return cast("BackfillResult", backfill(start, end, "a test", initiator=Initiator.USER, **parameters))

    def start(self, *arguments: str, module: str = "flows.daily_sync", **settings: str) -> subprocess.Popen[str]:
        """Start `python -m flows.daily_sync`, or another flow, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, module: str = "flows.daily_sync", **settings: str) -> tuple[int, str, str]:
        """Run `python -m flows.daily_sync`, or another flow, to its end; return exit code, output, error output."""
        process = self.start(*arguments, module=module, **settings)
        output, errors = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output, errors


@contextmanager
def opened(
    shop: Shop, folder: Path, prefect: Mapping[str, str], open_storage: OpenStorage = embedded, **settings: str
) -> Iterator[World]:
    """Open a world around a shop; its clock ticks from now on, so that operations take their time."""
    shop.clock = Clock.ticking()
    with serve(shop) as url, open_storage(folder) as storage:
        yield World(shop, folder, storage, prefect, url, settings)


@contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[None]:
    """Make `environ` this process's environment while the block runs."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def now() -> datetime:
    """Return the time in whole seconds, as Shopify writes it."""
    return datetime.now(UTC).replace(microsecond=0)
