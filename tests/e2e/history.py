"""
What a world must hold after the runs so far, worked out from its shop, and what a run told of itself.

Only for worlds whose shop stands still while a run runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flows.daily_sync import DailyResult
from shopsync.window import FLOOR
from tasks import watermark
from tests import lake_reader, reference
from tests.e2e.storage import Storage
from tests.e2e.world import World, environment, now
from tests.simulator import Shop
from tests.truth import Truth, differences

OVERLAP = timedelta(seconds=300)
LEFTOVERS = ("dirty_day", "lease")


def wrong_in(world: World, truth: Truth, requested_at: datetime) -> list[str]:
    """Return what differs from the truth after a run asked for then: rows, figures, or work that is still owed."""
    zone, as_of = world.shop.timezone.key, reference.as_of_day(requested_at, world.shop.timezone.key)
    truth.measure(zone, as_of, world.shop.currency)
    performance = reference.performance_as_of(truth.sales, zone, as_of)
    found = differences(truth.tables, world.rows)
    found += differences(reference.sales_by_day(truth.sales, zone), lake_reader.read_sales(world.lake))
    found += differences({as_of: performance}, {as_of: lake_reader.read_performance(world.lake, as_of)})
    left = {table: world.storage.select(f"SELECT * FROM {table}") for table in LEFTOVERS}
    return found + [f"{table}: {rows} are left" for table, rows in left.items() if rows]


@dataclass
class History:
    """One world's truth, run by run; all its runs are asked for at `requested_at`."""

    world: World
    truth: Truth = field(default_factory=Truth)
    requested_at: datetime = field(default_factory=now)

    def take(self) -> None:
        """Take in what a run that starts now finds: call it before the run, or after one that died too late."""
        self.truth.fetch(self.world.shop, (self.world.watermark or now() - FLOOR) - OVERLAP, now())

    def sync(self, run_id: UUID | None = None) -> DailyResult:
        """Take in what the shop has, and run a daily sync over it in this process."""
        self.take()
        return self.world.sync(run_id=run_id, requested_at=self.requested_at)

    @property
    def standing(self) -> datetime:
        """Where the watermark of a world stands that has one."""
        assert self.world.watermark is not None
        return self.world.watermark

    @property
    def newest(self) -> datetime:
        """Where the watermark must be: MAX(updated_at) of all that was fetched."""
        return max(row["updated_at"] for row in self.truth.tables["order_header"].values())

    def wrong(self) -> list[str]:
        """Return what differs from the truth: rows, figures, watermark, or work that is still owed."""
        found = wrong_in(self.world, self.truth, self.requested_at)
        if self.world.watermark != self.newest:
            found.append(f"watermark: {self.world.watermark} instead of {self.newest}")
        return found


@dataclass
class Template:
    """A world that completed its first run, to be copied: its runs cost seconds, a copy does not."""

    shop: Mapping[str, Any]
    storage: Storage
    truth: Truth
    watermark: datetime

    @classmethod
    def of(cls, history: History, **shop: Any) -> Template:
        """Keep the state of a world whose shop was made with these arguments."""
        assert history.wrong() == []
        return cls(shop, history.world.storage, history.truth, history.newest)

    def into(self, world: World) -> History:
        """Give a world around the same shop the state of the template."""
        assert world.shop.seed == self.shop["seed"]
        self.storage.copy_into(world.storage)
        with environment(world.environ):
            watermark.advance(world.block, world.shop.domain, self.watermark)
        return History(world, deepcopy(self.truth))

    def open_shop(self) -> Shop:
        """Return the shop once more, as it was."""
        return fresh_shop(**self.shop)


def fresh_shop(**arguments: Any) -> Shop:
    """Return a shop whose newest change is of its `now`, so that the next window is short."""
    shop = Shop(**arguments)
    shop.touch(list(shop.orders.values())[-1], at=arguments["now"])
    return shop


def records(world: World, run_id: UUID | str | None = None) -> list[dict[str, Any]]:
    """Return the records of a run; of the newest one, unless a run is named."""
    told = lake_reader.read_telemetry(world.lake, str(run_id) if run_id else None)
    last = str(run_id or max(told, key=lambda record: record["process_initiated_at"])["run_id"])
    return [record for record in told if record["run_id"] == last]
