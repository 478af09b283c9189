"""Runs that have nothing to bring in complete, and say so."""

from __future__ import annotations

from datetime import timedelta

from tests.e2e.conftest import AT, OpenWorld
from tests.e2e.judge import Judge, Ran
from tests.lake_reader import archived_bytes, manifest_problems, read_manifest, read_telemetry
from tests.simulator import Shop
from tests.truth import differences


def test_empty_shop_completes(open_world: OpenWorld):
    """A shop without orders: a completed run, empty tables, no watermark, no archive and no events."""
    judge = Judge(open_world(Shop(orders=0, now=AT)), AT + timedelta(minutes=1))

    ran = judge.sync()

    assert "completed" == read_telemetry(ran.world.lake)[-1]["status"]
    assert {"order_header": 0, "order_line_item": 0, "order_sale": 0, "product": 0, "sales_day": 0} == {
        table: len(rows) for table, rows in ran.stored.items()
    }
    assert {} == ran.sales == ran.performance
    assert_nothing_came(ran)
    assert ran.watermark is None


def test_empty_window_leaves_the_watermark(open_world: OpenWorld):
    """Half a year later nothing has changed within the floor: the run completes, and only the figures move on."""
    judge = Judge(open_world(Shop(seed=41, orders=40, days=20, now=AT)), AT + timedelta(minutes=1))
    first = judge.sync()
    judge.shop.clock.advance(timedelta(days=180))

    ran = judge.sync()

    assert ran.began - timedelta(days=128) <= ran.start + timedelta(seconds=301)
    assert_nothing_came(ran)
    assert first.watermark is not None
    assert first.watermark == ran.watermark
    assert first.sales == ran.sales
    assert {} == ran.performance
    assert {"order_header", "order_line_item", "order_sale", "sales_day"} == {
        table for table, rows in ran.stored.items() if first.stored[table] == rows
    }
    assert [] == differences(ran.truth, ran.rows)


def test_completed_without_a_link_is_asked_for_again(open_world: OpenWorld):
    """An operation that has orders and no link proves nothing: another one brings them."""
    judge = Judge(open_world(Shop(seed=42, orders=40, days=20, now=AT)), AT + timedelta(minutes=1))
    judge.shop.faults.completed_without_url = 1

    ran = judge.sync()

    assert 2 == len(judge.shop.operations)
    assert judge.shop.operations[-1].id == read_manifest(ran.world.lake, ran.run_id)["operation_id"]
    assert [] == manifest_problems(ran.world.lake, ran.run_id)
    assert [] == differences(ran.truth, ran.rows)


def assert_nothing_came(ran: Ran) -> None:
    """A manifest without files, no archive, no events, counts of zero, and a watermark that did not move."""
    last = read_telemetry(ran.world.lake, ran.run_id)[-1]
    manifest = read_manifest(ran.world.lake, ran.run_id)
    assert [] == manifest["files"]
    assert ran.world.shop.operations[-1].id == manifest["operation_id"]
    assert {} == archived_bytes(ran.world.lake, ran.run_id)
    assert [] == list((ran.world.lake / "commerce.telemetry").rglob(f"run_id={ran.run_id}/*"))
    assert last["watermark_after"] is None
    assert last["archive_key"] is None
    assert {"completed", 0} == {last["status"], *(last["counts"][name] for name in ("objects", "orders", "bytes"))}
