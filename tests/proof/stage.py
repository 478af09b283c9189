"""
The stage of a proof: one shop, one database, one lake, one watermark and a clock that moves only when somebody waits.

Every run here is one of the product's flows. It may be killed at any touch of the world around it: from then on
nothing that it does has an effect, as after SIGKILL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import UUID

import httpx
import pytest
from obstore.exceptions import GenericError
from sqlalchemy import URL, Engine, event

from flows.backfill import BackfillResult, backfill
from flows.daily_sync import DailyResult, daily_sync
from flows.replay import ReplayResult, replay
from shopsync.database import schema
from shopsync.database.chunks import ChunkBudget
from shopsync.database.engine import open_database
from shopsync.lake import FolderLake
from shopsync.telemetry import Initiator
from tasks import upsert
from tests import lake_reader, reference, truth
from tests.e2e.world import environment
from tests.proof.bare import Blocks, bare_flows
from tests.proof.committed import PROGRESS, Committed
from tests.simulator import Clock, Shop
from tests.truth import Tables, Truth, differences

R = TypeVar("R")

BLOCK = "orders"
NOBODY = UUID(int=0)
SMALL_CHUNKS = ChunkBudget(rows=24, bytes=1_000_000)
"""A few orders each, so that a small shop has many."""


class Killed(BaseException):
    """The process is gone; `BaseException`, for nobody may recover from it."""


class Death(NamedTuple):
    """When a run dies: at its touch of the world after so many, or as it writes a chunk after so many."""

    after: int
    counted: Literal["touches", "chunks"] = "touches"


class Fate:
    """
    Counts how often a run touches the world, and how many chunks it begins, and ends it where it is to die.

    While `full` names a folder of the lake, there is no room on its disk.
    """

    def __init__(self) -> None:
        self.touches = self.chunks = 0
        self.death: Death | None = None
        self.full: str | None = None

    def touch(self) -> None:
        """Let the run touch the world, unless it is dead."""
        self.touches += 1
        if self.death is not None and (self.touches, self.chunks)[self.death.counted == "chunks"] > self.death.after:
            raise Killed

    def begin(self, death: Death | None) -> None:
        """Let a run begin that dies then, or not at all."""
        self.touches, self.chunks, self.death = 0, 0, death

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See every statement, every commit and every write to the lake during the block."""
        send = FolderLake._send

        def sent(lake: FolderLake, key: str, *arguments: Any, **named: Any) -> None:
            self.touch()
            if self.full is not None and key.startswith(self.full):
                raise GenericError("Generic LocalFileSystem error: No space left on device (os error 28)")
            send(lake, key, *arguments, **named)
            self.touch()

        def executed(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
            self.chunks += statement.startswith("INSERT INTO order_header")
            self.touch()

        def committed(_connection: Any) -> None:
            self.touch()

        event.listen(Engine, "before_cursor_execute", executed)
        event.listen(Engine, "commit", committed)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(FolderLake, "_send", sent)
                yield
        finally:
            event.remove(Engine, "before_cursor_execute", executed)
            event.remove(Engine, "commit", committed)


@dataclass
class Stage:
    """
    The world of one proof; `skew` is how far this machine's clock is ahead of Shopify's.

    `run_id` and `requested_at` are those of the last run (ids are counted, so that a history is the same each time it
    is played, down to the order of its archives).
    """

    shop: Shop
    folder: Path
    blocks: Blocks = field(default_factory=Blocks)
    fate: Fate = field(default_factory=Fate)
    skew: timedelta = timedelta(0)
    settings: dict[str, str] = field(default_factory=dict)
    run_id: UUID = NOBODY
    runs: int = 0
    requested_at: datetime = field(default_factory=partial(datetime.now, UTC))
    committed: Committed = field(init=False)

    def __post_init__(self) -> None:
        self.committed = Committed(self.shop)

    @property
    def truth(self) -> Truth:
        """What the tables must hold."""
        return self.committed.truth

    @property
    def environ(self) -> Mapping[str, str]:
        """The whole environment of a run."""
        return {
            "SHOPSYNC_SHOPIFY_URL": f"https://{self.shop.domain}",
            "SHOPSYNC_SHOPIFY_TOKEN": self.shop.token,
            "SHOPSYNC_DATA_DIR": str(self.folder),
            "SHOPSYNC_WATERMARK_BLOCK": BLOCK,
            **self.settings,
        }

    @property
    def lake(self) -> Path:
        """The lake."""
        return self.folder / "lake"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "shopsync.db"

    @property
    def watermark(self) -> datetime | None:
        """Where the block stands."""
        saved = self.blocks.saved.get(BLOCK)
        return saved.watermark if saved else None

    def now(self) -> datetime:
        """Return the time by this machine's clock."""
        return self.shop.clock.now() + self.skew

    def sync(self, **given: Any) -> DailyResult:
        """Run one daily sync; its failure is raised."""
        return self._run(daily_sync.fn, **given)

    def backfill(self, start: datetime, end: datetime, **given: Any) -> BackfillResult:
        """Run one backfill; its failure is raised."""
        return self._run(partial(backfill.fn, start, end, "a proof"), **given)

    def replay(self, **given: Any) -> ReplayResult:
        """Run one replay; its failure is raised."""
        return self._run(partial(replay.fn, "a proof"), **given)

    def _run(
        self,
        flow: Callable[..., R],
        run_id: UUID | None = None,
        requested_at: datetime | None = None,
        dies: Death | None = None,
        **given: Any,
    ) -> R:
        """Run a flow, as a new run that is asked for now unless it is told otherwise; it may die."""
        self.runs += 1
        self.run_id, self.requested_at = run_id or UUID(int=self.runs, version=4), requested_at or self.now()
        identity = {"run_id": self.run_id, "initiator": Initiator.USER, "requested_at": self.requested_at}
        self.fate.begin(dies)
        self.blocks.touch = self.fate.touch
        try:
            with (
                environment(self.environ),
                self.fate.watching(),
                bare_flows(self.blocks, self.now, self._sleep, self._respond),
            ):
                return flow(**identity, **given)
        finally:
            self.fate.begin(None)
            self.committed.take(truth.select(self.database, PROGRESS))

    def _sleep(self, seconds: float) -> None:
        self.fate.touch()
        self.shop.clock.advance(seconds)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.fate.touch()
        answer = self.shop.respond(request)
        self.fate.touch()
        return answer

    # --- what must be there, and what is ---

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the last run."""
        return lake_reader.read_telemetry(self.lake, str(self.run_id))

    def wrong_rows(self) -> list[str]:
        """Return where orders, lines and sales are not those that were committed."""
        return differences(of_orders(self.truth.tables), of_orders(truth.stored_rows(self.database)))

    def wrong_days(self) -> list[str]:
        """Return where the measurement of a day that is not owed is not that of the sales."""
        owed = {date.fromisoformat(day) for (day,) in truth.select(self.database, "SELECT day FROM dirty_day")}
        days = (reference.sales_by_day(self.truth.sales, self.zone), lake_reader.read_sales(self.lake))
        expected, measured = ({day: each for day, each in rows.items() if day not in owed} for rows in days)
        return differences(expected, measured)

    def missing(self) -> list[str]:
        """Return the orders that the watermark says are in, and are not."""
        return self.committed.missing(self.watermark)

    def wrong(self) -> list[str]:
        """Return all that is not as it must be after a run that completed."""
        as_of = reference.as_of_day(self.requested_at, self.zone)
        self.truth.measure(self.zone, as_of, self.shop.currency)
        performance = reference.performance_as_of(self.truth.sales, self.zone, as_of)
        found = differences(self.truth.tables, truth.stored_rows(self.database))
        found += differences({as_of: performance}, {as_of: lake_reader.read_performance(self.lake, as_of)})
        for left in ("day FROM dirty_day", f"name FROM lease WHERE owner = '{self.run_id}'"):
            found += [f"{left}: {row} is left" for row in truth.select(self.database, f"SELECT {left}")]
        return found + self.wrong_days() + self.missing()

    @property
    def zone(self) -> str:
        """The zone that cuts the shop's days."""
        return self.shop.timezone.key


def of_orders(tables: Tables) -> Tables:
    """Return the tables that hold what orders are."""
    return {name: rows for name, rows in tables.items() if name != "product"}


@cache
def empty_database() -> bytes:
    """Return a SQLite file with the release's tables and nothing in them."""
    with TemporaryDirectory(prefix="shopsync-empty-") as folder:
        engine = open_database(URL.create("sqlite", database=f"{folder}/empty.db"))
        schema.apply(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return Path(folder, "empty.db").read_bytes()


@contextmanager
def staged(shop: Shop, folder: Path, **settings: str) -> Iterator[Stage]:
    """Set a stage around a shop, whose chunks are small."""
    stage = Stage(shop, folder, settings=settings)
    stage.lake.mkdir(parents=True)
    stage.database.write_bytes(empty_database())
    shop.clock = Clock.frozen(shop.clock.now())
    with pytest.MonkeyPatch.context() as patch:
        for budget in ("DAILY_CHUNKS", "BACKFILL_CHUNKS"):
            patch.setattr(upsert, budget, SMALL_CHUNKS)
        yield stage
