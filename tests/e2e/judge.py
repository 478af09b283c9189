"""Runs at a moment of the test's choosing, each with what it should have done and what it left behind."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import pytest

from tasks import connections
from tests import reference
from tests.e2e.world import World
from tests.lake_reader import read_performance, read_sales, snapshot
from tests.reference import Fact, Figures, Key
from tests.simulator import Clock
from tests.truth import Row, Tables, Truth

WINDOW = re.compile(r"updated_at:>='(?P<start>[^']+)' AND updated_at:<='(?P<end>[^']+)'")


class Judge:
    """
    A world that lives by its shop's clock, and the truth of all that its runs should have stored.

    The clock begins at a moment of the test's choosing, so that no test depends on the day on which it runs, and
    `advance` moves it for shop and product alike.
    """

    def __init__(self, world: World, at: datetime) -> None:
        world.shop.clock = Clock.ticking(at - datetime.now(UTC))
        self.world, self.shop = world, world.shop
        self.truth = Truth()

    @property
    def zone(self) -> str:
        """The zone that cuts the shop's days."""
        return self.world.settings.get("SHOPSYNC_SHOP_TIMEZONE") or self.shop.timezone_name

    def now(self) -> datetime:
        """Return the present in this world, in whole seconds."""
        return self.shop.clock.now().replace(microsecond=0)

    def attempt(self, run_id: UUID, requested_at: datetime) -> None:
        """Run one daily sync by the world's clock; its failure is raised."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connections, "now", self.shop.clock.now)
            self.world.sync(run_id=run_id, requested_at=requested_at)

    def sync(self, run_id: UUID | None = None, requested_at: datetime | None = None) -> Ran:
        """Run one daily sync to its end, and return it with the truth after it."""
        run_id, requested_at, began = run_id or uuid4(), requested_at or self.now(), self.now()
        before = self.world.watermark
        self.attempt(run_id, requested_at)
        start, end = sent_window(self.shop.operations[-1].query)
        fetched = self.truth.fetch(self.shop, start, end)
        as_of = reference.as_of_day(requested_at, self.zone)
        self.truth.measure(self.zone, as_of, self.shop.currency)
        return Ran(
            world=self.world,
            run_id=str(run_id),
            requested_at=requested_at,
            began=began,
            ended=self.now(),
            start=start,
            end=end,
            watermark_before=before,
            watermark=self.world.watermark,
            zone=self.zone,
            as_of=as_of,
            fetched=[int(order["id"].rsplit("/", 1)[1]) for order in fetched],
            facts=reference.facts_of(fetched),
            newest=max((datetime.fromisoformat(order["updatedAt"]) for order in fetched), default=None),
            truth={name: {key: dict(row) for key, row in rows.items()} for name, rows in self.truth.tables.items()},
            rows=self.world.rows,
            stored=stored_to_the_last_column(self.world),
            objects=snapshot(self.world.lake, leave_out=()),
            sales=read_sales(self.world.lake),
            performance=read_performance(self.world.lake, as_of),
        )


@dataclass(frozen=True)
class Ran:
    """
    A run that completed.

    `start` and `end` are the window that Shopify was sent, `fetched` and `facts` what the shop had in it, `truth` what
    the tables should hold then; `rows`, `stored`, `objects`, `sales` and `performance` are what was there.
    """

    world: World
    run_id: str
    requested_at: datetime
    began: datetime
    ended: datetime
    start: datetime
    end: datetime
    watermark_before: datetime | None
    watermark: datetime | None
    zone: str
    as_of: date
    fetched: list[int]
    facts: Counter[Fact]
    newest: datetime | None
    truth: Tables
    rows: Tables
    stored: dict[str, list[Any]]
    objects: dict[str, str]
    sales: dict[date, dict[Key, Figures]]
    performance: dict[Key, Figures]

    @cached_property
    def true_sales(self) -> dict[date, dict[Key, Figures]]:
        """What measurement.sales should say."""
        return reference.sales_by_day(self._ledger, self.zone)

    @cached_property
    def true_performance(self) -> dict[Key, Figures]:
        """What measurement.performance should say as of this run's day."""
        return reference.performance_as_of(self._ledger, self.zone, self.as_of)

    @property
    def _ledger(self) -> list[Row]:
        return list(self.truth["order_sale"].values())

    def objects_below(self, *prefixes: str) -> dict[str, str]:
        """Return the sha256 of the lake's objects whose keys begin so."""
        return {key: sha256 for key, sha256 in self.objects.items() if key.startswith(prefixes)}


def sent_window(query: str) -> tuple[datetime, datetime]:
    """Return the bounds of the window in a bulk operation's query."""
    found = WINDOW.search(query)
    assert found is not None, query[:200]
    return datetime.fromisoformat(found["start"]), datetime.fromisoformat(found["end"])


def stored_to_the_last_column(world: World) -> dict[str, list[Any]]:
    """Return every row and column of what staff read, `run_id` and `synced_at` too."""
    tables = ("order_header", "order_line_item", "order_sale", "product", "sales_day")
    return {name: sorted(world.storage.select(f"SELECT * FROM {name}"), key=repr) for name in tables}
