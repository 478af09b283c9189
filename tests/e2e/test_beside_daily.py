"""A daily run and a backfill at once: they share Shopify's slots, the tables and the days, and both end exact."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.e2e.backfilled import Backfilled
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import records
from tests.e2e.world import environment, now
from tests.simulator import Shop
from tests.soak import victim
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)

DAYS = 200


@pytest.fixture
def filled(open_world: OpenWorld) -> Backfilled:
    """A shop of 200 days, all of which a backfill is to bring in, and 128 a daily run."""
    shop = Shop(seed=44, orders=150, now=now() - timedelta(minutes=5), days=DAYS, operation_seconds=0.3)
    return Backfilled(open_world(shop))


def start_backfill(filled: Backfilled, log: Path) -> ForkServerProcess:
    """Start a backfill over everything, in a process of its own."""
    world, end = filled.world, now()
    start = end - timedelta(days=DAYS + 1)
    filled.take(start, end)
    arguments = ["--start", start.isoformat(), "--end", end.isoformat(), "--reason", "history", "--window-days", "101"]
    arguments += ["--requested-at", filled.requested_at.isoformat()]
    with environment(world.environ):  # for the process that runs are forked from
        return victim.start(world.environ, arguments, log, "flows.backfill")


def sync(filled: Backfilled) -> str:
    """Run a daily sync in this process."""
    filled.take(filled.requested_at - timedelta(days=128), now(), "updated")
    return filled.world.sync(requested_at=filled.requested_at).run_id


def own_operations(filled: Backfilled) -> list[str]:
    """The run ids in the marks of our operations, in the order in which Shopify took them."""
    queries = [each.query for each in filled.world.shop.operations if not each.foreign]
    return [query.partition("# run_id=")[2].partition(" ")[0] for query in queries]


def idle_between_the_first_two(filled: Backfilled) -> timedelta:
    """How long nobody had the slot between our first two operations."""
    first, second = [each for each in filled.world.shop.operations if not each.foreign][:2]
    assert first.ended_at is not None
    return second.created_at - first.ended_at


@pytest.mark.proves("backfill beside")
def test_daily_run_goes_first(filled: Backfilled, tmp_path: Path):
    """
    With one slot left by others the daily run waits for the operation that holds it, and no backfill's comes between.

    Its wait is a record, and not longer than that operation and one busy wait; what others run is never touched.
    """
    shop = filled.world.shop
    others = [shop.foreign_operation() for _ in range(4)]
    shop.operation_seconds = 6.0
    backfill = start_backfill(filled, tmp_path / "backfill.log")
    until(lambda: own_operations(filled))
    shop.operation_seconds = 0.3
    filled.world.settings["SHOPSYNC_BUSY_WAIT_S"] = "5.1"

    daily = sync(filled)

    backfill.join(PATIENCE_S)
    told = [record for record in records(filled.world, daily) if record["waiting_until"]]
    assert 0 == backfill.exitcode, (tmp_path / "backfill.log").read_text()[-2_000:]
    assert 1 == own_operations(filled).index(daily)
    assert idle_between_the_first_two(filled) < timedelta(seconds=1.25 * 5.1 + 2)
    assert {("request", "initiated")} == {(record["step"], record["status"]) for record in told}
    assert datetime.fromisoformat(told[0]["waiting_until"]) > datetime.fromisoformat(told[0]["at"])
    assert [0] * 4 == [other.cancel_requests for other in others]
    assert [] == filled.wrong() + filled.manifest_problems()


@pytest.mark.proves("backfill beside")
def test_five_slots_serve_both(filled: Backfilled, tmp_path: Path):
    """With slots for both nobody waits, though others hold some; the days that both touch end right."""
    shop = filled.world.shop
    others = [shop.foreign_operation() for _ in range(3)]
    backfill = start_backfill(filled, tmp_path / "backfill.log")
    until(lambda: own_operations(filled))

    daily = sync(filled)

    backfill.join(PATIENCE_S)
    told = [record for record in records(filled.world, daily) if record["step"] == "request"]
    assert 0 == backfill.exitcode, (tmp_path / "backfill.log").read_text()[-2_000:]
    assert [None] == list({record["waiting_until"] for record in told})
    assert [0] * 3 == [other.cancel_requests for other in others]
    assert [] == filled.wrong() + filled.manifest_problems()


@pytest.mark.proves("backfill beside")
def test_killed_daily_run_does_not_block(filled: Backfilled, tmp_path: Path):
    """A daily run that died while it waited for a slot holds backfills up until its lease has ended, no longer."""
    world = filled.world
    world.sync(requested_at=filled.requested_at)
    filled.take(filled.requested_at - timedelta(days=128), now(), "updated")
    soon = (now() + timedelta(seconds=4)).strftime("%Y-%m-%d %H:%M:%S")
    world.storage.write(f"INSERT INTO lease VALUES ('bulk-slot', 'a dead daily run', '{soon}')")

    begun = time.monotonic()
    filled.backfill(now() - timedelta(days=30), now())

    assert time.monotonic() - begun > 2
    world.storage.write("DELETE FROM lease WHERE name = 'bulk-slot'")
    assert [] == filled.wrong()
