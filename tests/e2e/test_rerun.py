"""
One shop's history, run after run: nothing new, a day of trade, ten quiet days, another time zone.

Each fixture is one chapter, and needs the ones before; the tests only read what a chapter left behind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.e2e.conftest import AT
from tests.e2e.judge import Judge, Ran
from tests.e2e.world import opened
from tests.lake_reader import OF_ONE_RUN, archived_bytes, facts_told, manifest_problems, read_events, read_telemetry
from tests.simulator import Shop
from tests.simulator.nodes import Node
from tests.truth import differences, number, stored_stamps

OVERLAP = timedelta(seconds=300)


@pytest.fixture(scope="module")
def judge(prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """A shop that sells for a hundred days before its first run."""
    shop = Shop(seed=51, orders=900, days=100, now=AT)
    with opened(shop, tmp_path_factory.mktemp("history"), prefect) as world:
        yield Judge(world, AT + timedelta(minutes=1))


@pytest.fixture(scope="module")
def first(judge: Judge) -> Ran:
    """The first run."""
    return judge.sync()


@pytest.fixture(scope="module")
def again(judge: Judge, first: Ran) -> Ran:
    """Two hours later, still the same day, and nothing has changed."""
    judge.shop.clock.advance(timedelta(hours=2))
    return judge.sync()


@dataclass(frozen=True)
class Trade:
    """What happened on the day of trade, and the run after it."""

    ran: Ran
    changed: set[int]
    removed_line: int
    deleted_product: int
    lines_of_deleted_product: list[int]
    stamps: Mapping[int, tuple[str, str]]


@pytest.fixture(scope="module")
def trade(judge: Judge, again: Ran) -> Trade:
    """
    A day of trade: refunds, edits, cancellations, new orders.

    And three things that must not be left to chance: a line that vanishes, a sale of long ago that is returned, and
    a product that is deleted, after which one of its orders changes.
    """
    shop = judge.shop
    shop.clock.advance(timedelta(hours=26))
    changed = {order_id(order) for order in shop.trade(120, seed=7)}

    edited = newest(order for order in untouched(shop, changed) if len(order["lineItems"]) > 2)
    removed = next(line for line in edited["lineItems"] if line["currentQuantity"])
    shop.remove_line(edited, removed)

    old = next(order for order in untouched(shop, changed) if order["lineItems"][0]["currentQuantity"])
    shop.refund(old, old["lineItems"][0])

    sold = newest(order for order in untouched(shop, changed) if order["lineItems"][0]["product"] is not None)
    product = sold["lineItems"][0]["product"]
    lines = [number(line) for line in sold["lineItems"] if line["product"] is product]
    shop.delete_product(product)
    shop.touch(sold)

    ran = judge.sync()
    return Trade(
        ran,
        changed | {order_id(edited), order_id(old), order_id(sold)},
        number(removed) or 0,
        number(product) or 0,
        [line or 0 for line in lines],
        stored_stamps(judge.world.database),
    )


@pytest.fixture(scope="module")
def later(judge: Judge, trade: Trade) -> Ran:
    """Ten days later, without any order."""
    judge.shop.clock.advance(timedelta(days=10))
    return judge.sync()


@pytest.fixture(scope="module")
def moved(judge: Judge, later: Ran) -> Ran:
    """The shop has moved to Kathmandu."""
    judge.shop.timezone_name = "Asia/Kathmandu"
    judge.shop.clock.advance(timedelta(minutes=10))
    return judge.sync()


# --- Nothing new --------------------------------------------------------------------------------------------------


def test_unchanged_shop_changes_no_row(first: Ran, again: Ran):
    """A second run without changes leaves every row as it was, `run_id` and `synced_at` too."""
    assert first.stored == again.stored


def test_unchanged_shop_changes_no_object(first: Ran, again: Ran):
    """It adds its own telemetry, archive and events to the lake, and leaves every other object as it was."""
    added = again.objects.keys() - first.objects.keys()

    assert first.objects == {key: again.objects[key] for key in again.objects.keys() - added}
    assert all(key.startswith(OF_ONE_RUN) and f"/run_id={again.run_id}/" in key for key in added)


def test_unchanged_orders_are_counted(again: Ran):
    """Only the overlap is fetched again, and its orders are counted as unchanged."""
    last = read_telemetry(again.world.lake, again.run_id)[-1]

    assert 0 < len(again.fetched) < 20
    assert len(again.fetched) == last["counts"]["orders"] == last["counts"]["unchanged"]
    assert {0} == {last["counts"][name] for name in ("removed", "products")}


def test_unchanged_shop_leaves_the_watermark(first: Ran, again: Ran):
    """The watermark stays, and no record says that it moved."""
    records = read_telemetry(again.world.lake, again.run_id)

    assert first.watermark == again.watermark
    assert {None} == {record["watermark_after"] for record in records}
    assert {first.watermark} == {datetime.fromisoformat(record["watermark_before"]) for record in records}


def test_events_come_again_under_their_ids(first: Ran, again: Ran):
    """What the overlap tells again has the ids that it had before."""
    told = [{event["event_id"] for event in read_events(ran.world.lake, ran.run_id)} for ran in (first, again)]

    assert told[1]
    assert told[1] <= told[0]


# --- A day of trade -----------------------------------------------------------------------------------------------


def test_asks_only_for_what_changed_since(again: Ran, trade: Trade):
    """The window begins at the watermark, less the overlap, and ends when the run begins."""
    assert again.watermark is not None
    assert again.watermark - OVERLAP == trade.ran.start
    assert trade.ran.began <= trade.ran.end <= trade.ran.ended


def test_fetches_only_changed_orders(again: Ran, trade: Trade):
    """Shopify is asked for the changed orders and those of the overlap, and nothing else is fetched."""
    (archive,) = archived_bytes(trade.ran.world.lake, trade.ran.run_id).values()
    assert again.watermark is not None
    headers = again.rows["order_header"]
    overlap = {order for order, row in headers.items() if again.watermark - OVERLAP <= row["updated_at"]}

    roots = {number(json.loads(line)) for line in archive.splitlines() if b"__parentId" not in line}

    assert trade.changed | overlap == roots
    assert len(roots) < len(headers) / 4
    assert [] == manifest_problems(trade.ran.world.lake, trade.ran.run_id)


def test_only_changed_orders_are_stamped(first: Ran, trade: Trade):
    """A changed order is stamped by the run that brought it; every other keeps its first stamp."""
    assert {trade.ran.run_id: trade.changed, first.run_id: trade.stamps.keys() - trade.changed} == {
        run_id: {order for order, stamp in trade.stamps.items() if stamp[0] == run_id}
        for run_id in {stamp[0] for stamp in trade.stamps.values()}
    }


def test_tables_hold_after_trade(trade: Trade):
    """After refunds, edits, cancellations and new orders the tables are the shop's again, column by column."""
    assert [] == differences(trade.ran.truth, trade.ran.rows)


def test_figures_hold_after_trade(trade: Trade):
    """After that trade the figures of every day, and the performance, are the shop's again."""
    assert [] == differences(trade.ran.true_sales, trade.ran.sales)
    assert [] == differences({trade.ran.as_of: trade.ran.true_performance}, {trade.ran.as_of: trade.ran.performance})


def test_events_hold_after_trade(trade: Trade):
    """Every fact of the fetched orders is told once by this run."""
    events = read_events(trade.ran.world.lake, trade.ran.run_id)

    assert trade.ran.facts == facts_told(events)
    assert {1} == set(Counter(event["event_id"] for event in events).values())


def test_only_days_with_other_figures_are_rewritten(again: Ran, trade: Trade):
    """A day whose figures changed is written anew, and every other stays as it was."""
    days = {*again.true_sales, *trade.ran.true_sales}

    rewritten = {
        date.fromisoformat(key.split("=")[1][:10])
        for key, sha256 in trade.ran.objects_below("measurement.sales/").items()
        if again.objects.get(key) != sha256
    }

    assert {day for day in days if again.true_sales.get(day) != trade.ran.true_sales.get(day)} == rewritten
    assert 0 < len(rewritten) < 10


def test_removed_line_is_gone(again: Ran, trade: Trade):
    """A line that staff removed is no longer stored; its sales, and their return, are."""
    sales = [row for row in trade.ran.rows["order_sale"].values() if row["line_item_id"] == trade.removed_line]
    last = read_telemetry(trade.ran.world.lake, trade.ran.run_id)[-1]

    assert trade.removed_line in again.rows["order_line_item"]
    assert trade.removed_line not in trade.ran.rows["order_line_item"]
    assert {"ORDER", "RETURN"} == {row["action_type"] for row in sales}
    assert (
        len(again.rows["order_line_item"].keys() - trade.ran.rows["order_line_item"].keys())
        == (last["counts"]["removed"])
    )


def test_deleted_product_keeps_its_id(trade: Trade):
    """Lines and sales that Shopify now shows without a product keep the one that they had."""
    lines = [trade.ran.rows["order_line_item"][line] for line in trade.lines_of_deleted_product]
    sales = [
        row
        for row in trade.ran.rows["order_sale"].values()
        if row["line_item_id"] in trade.lines_of_deleted_product and row["line_type"] == "PRODUCT"
    ]

    assert sales
    assert {trade.deleted_product} == {row["product_id"] for row in [*lines, *sales]}
    assert {trade.ran.run_id} == {trade.stamps[row["order_id"]][0] for row in lines}
    assert trade.deleted_product in trade.ran.rows["product"]


def test_earlier_as_of_day_is_left_alone(again: Ran, trade: Trade):
    """A run of the next day writes that day's performance, and leaves the day before as it was."""
    before, after = (ran.objects_below("measurement.performance/") for ran in (again, trade.ran))

    assert again.as_of + timedelta(days=1) == trade.ran.as_of
    assert before.items() < after.items()
    assert 1 == len(after) - len(before)


# --- Ten quiet days -----------------------------------------------------------------------------------------------


def test_figures_fall_to_zero(trade: Trade, later: Ran):
    """After ten days without orders every product shows zero for 7 days, and most still what they sold in 30."""
    units, sales = ({row[name] for row in later.rows["product"].values()} for name in ("units_sold_7d", "net_sales_7d"))

    assert any(row["units_sold_7d"] for row in trade.ran.rows["product"].values())
    assert ({0}, {Decimal(0)}) == (units, sales)
    assert any(row["units_sold_30d"] for row in later.rows["product"].values())
    assert [] == differences(later.truth, later.rows)


def test_performance_falls_to_zero(later: Ran):
    """After ten quiet days measurement.performance shows zero for 7 days, and keeps the rows of the 30 days."""
    week = [name for name in next(iter(later.performance.values())) if name.endswith("_7d") and "prev" not in name]

    assert 7 == len(week)
    assert {0} == {row[name] for row in later.performance.values() for name in week}
    assert [] == differences({later.as_of: later.true_performance}, {later.as_of: later.performance})


def test_quiet_days_change_no_sales(trade: Trade, later: Ran):
    """No sale changed, so measurement.sales and the orders stay as they were."""
    assert trade.ran.objects_below("measurement.sales/") == later.objects_below("measurement.sales/")
    assert trade.ran.objects_below("measurement.performance/").items() < (
        later.objects_below("measurement.performance/").items()
    )
    assert {"order_header", "order_line_item", "order_sale", "sales_day"} == {
        table for table, rows in later.stored.items() if trade.ran.stored[table] == rows
    }


def test_watermark_never_goes_back(first: Ran, again: Ran, trade: Trade, later: Ran):
    """Over all runs the watermark is the newest update that was ever fetched, and only trade moves it."""
    marks = [ran.watermark for ran in (first, again, trade.ran, later)]

    assert [first.newest, first.newest, trade.ran.newest, trade.ran.newest] == marks
    assert None not in marks
    assert marks[1] != marks[2]


# --- Another time zone --------------------------------------------------------------------------------------------


@pytest.mark.proves("zone changes")
def test_another_zone_measures_every_day_anew(later: Ran, moved: Ran):
    """When the shop's zone changes, all sales move to the days of the new one, though no order changed."""
    assert "Asia/Kathmandu" == moved.zone
    assert later.rows["order_sale"] == moved.rows["order_sale"]
    assert [] == differences(moved.true_sales, moved.sales)
    assert [] == differences({moved.as_of: moved.true_performance}, {moved.as_of: moved.performance})
    assert [] == differences(moved.truth, moved.rows)
    assert len(later.true_sales) // 2 < len([day for day in later.sales if later.sales[day] != moved.sales[day]])


def untouched(shop: Shop, changed: set[int]) -> Iterator[Node]:
    """Yield orders of customers that nothing was done to, oldest first."""
    for order in shop.orders.values():
        if order_id(order) not in changed and order["lineItems"] and not order["cancelledAt"] and not order["test"]:
            yield order


def newest(orders: Iterator[Node]) -> Node:
    """Return the last of some orders."""
    *_, last = orders
    return last


def order_id(order: Node) -> int:
    """Return the numeric tail of an order's gid."""
    return int(order["id"].rsplit("/", 1)[1])
