"""What the lake says after a run: the figures of every day, and what happened to the orders."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from shopsync.errors import LakeUnavailable
from tests.e2e.conftest import AT, OpenWorld
from tests.e2e.judge import Judge, Ran
from tests.lake_reader import archived_bytes, facts_told, read_events, read_telemetry
from tests.simulator import Shop
from tests.truth import differences

CLOCK_CHANGES = {
    "America/New_York": (date(2026, 11, 1), timedelta(hours=25)),
    "Europe/Berlin": (date(2026, 10, 25), timedelta(hours=25)),
    "Australia/Lord_Howe": (date(2026, 10, 4), timedelta(hours=23, minutes=30)),
}


def test_measures_sales_of_every_day(large: Ran):
    """measurement.sales of every shop-local day is what a slow reading of the ledger says; no other day is there."""
    assert [] == differences(large.true_sales, large.sales)
    assert set(large.true_sales) == set(large.sales)


def test_measures_performance(large: Ran):
    """measurement.performance has the figures of the last complete day before the request, in the shop's zone."""
    assert [] == differences({large.as_of: large.true_performance}, {large.as_of: large.performance})
    assert 50 < len(large.performance)


def test_day_of_clock_change_has_sales(large: Ran):
    """The window has a day that is not 24 hours long, with sales in its last two hours."""
    day, length = CLOCK_CHANGES[large.zone]
    zone = ZoneInfo(large.zone)
    begins, ends = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))

    sold = [sale["happened_at"] for sale in large.truth["order_sale"].values() if begins <= sale["happened_at"] < ends]

    assert length == ends - begins
    assert ends - timedelta(hours=2) <= max(sold)
    assert large.sales[day]


def test_figures_follow_the_set_zone(open_world: OpenWorld):
    """SHOPSYNC_SHOP_TIMEZONE cuts the days, whatever the shop's own zone; parents may come after their children."""
    shop = Shop(seed=31, orders=300, days=60, now=AT, timezone="America/New_York")
    shop.faults.child_before_parent = 50
    world = open_world(shop, SHOPSYNC_SHOP_TIMEZONE="Asia/Kathmandu")

    ran = Judge(world, AT + timedelta(minutes=5)).sync(requested_at=AT)

    assert "Asia/Kathmandu" == ran.zone
    assert [] == differences(ran.true_sales, ran.sales)
    assert [] == differences({ran.as_of: ran.true_performance}, {ran.as_of: ran.performance})
    assert [] == differences(ran.truth, ran.rows)


def test_tells_every_fact_once(large: Ran):
    """commerce.telemetry tells every fact of the fetched orders exactly once, each under an id of its own."""
    events = read_events(large.world.lake, large.run_id)

    assert large.facts == facts_told(events)
    assert len(events) == len({event["event_id"] for event in events})
    assert {large.run_id} == {event["run_id"] for event in events}


def test_events_come_in_batches_of_5000_orders(large: Ran):
    """A batch has the events of the archive's next 5,000 orders, in the archive's order."""
    folder = large.world.lake / f"commerce.telemetry/date=2026-11-23/run_id={large.run_id}"
    (archive,) = archived_bytes(large.world.lake, large.run_id).values()
    roots = [int(node["id"].rsplit("/", 1)[1]) for node in read_lines(archive) if "__parentId" not in node]

    batches = [[event["order_id"] for event in read_lines(path.read_bytes())] for path in sorted(folder.iterdir())]

    assert [roots[:5_000], roots[5_000:]] == [list(dict.fromkeys(orders)) for orders in batches]


def test_repeated_step_writes_the_same_events(open_world: OpenWorld):
    """A run that failed after its events, and goes on, writes them again, byte by byte the same."""
    shop = Shop(seed=32, orders=120, days=30, now=AT)
    shop.faults.shuffled = True
    judge = Judge(open_world(shop), AT + timedelta(minutes=5))
    run_id, storage = uuid4(), judge.world.storage

    storage.block("measurement.sales")
    with pytest.raises(LakeUnavailable):
        judge.attempt(run_id, AT)
    (first,) = events_written(judge)
    storage.unblock()
    ran = judge.sync(run_id, AT)

    steps = [record["step"] for record in read_telemetry(judge.world.lake, str(run_id))]
    assert 2 == steps.count("events")
    assert [first] == events_written(judge)
    assert ran.facts == facts_told(read_events(judge.world.lake))
    assert 1 == len(shop.operations)


def events_written(judge: Judge) -> list[bytes]:
    """Return the batches that are in the lake now."""
    return [batch.read_bytes() for batch in judge.world.lake.glob("commerce.telemetry/**/*.jsonl")]


def read_lines(content: bytes) -> list[dict[str, Any]]:
    """Return the objects of JSONL bytes."""
    return [json.loads(line) for line in content.split(b"\n") if line]
