"""The daily run from end to end: the tables, the archive, and what the run says of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shopsync.window import FLOOR
from tests import reference
from tests.e2e.conftest import AT
from tests.e2e.judge import Ran
from tests.e2e.world import World, now
from tests.lake_reader import archived_bytes, manifest_problems, read_manifest, read_telemetry
from tests.truth import Truth, differences

RECORD = (
    *("run_id", "job_type", "initiator", "requested_at", "process_initiated_at", "step", "status", "at"),
    *("flow_run_id", "shop", "window_start", "window_end", "watermark_before", "watermark_after"),
    *("bulk_operation_id", "archive_key", "counts", "waiting_until", "error", "duration_s"),
)
COUNTS = ("objects", "orders", "line_items", "sales", "products", "unchanged", "removed", "bytes")
STATUS_OF_STEP = [
    ("initiated", "initiated"),
    ("request", "initiated"),
    ("request", "initiated"),
    ("poll", "polling"),
    ("archive", "downloading"),
    ("upsert", "upserting"),
    ("events", "upserting"),
    ("measure", "upserting"),
    ("products", "upserting"),
    ("watermark", "upserting"),
    ("completed", "completed"),
]


def test_stores_every_order(world: World):
    """After a run the four tables hold exactly what the shop has."""
    requested_at = now()

    world.sync(requested_at=requested_at)

    truth = Truth()
    truth.fetch(world.shop, requested_at - FLOOR, now())
    truth.measure("America/New_York", reference.as_of_day(requested_at, "America/New_York"), "USD")
    assert [] == differences(truth.tables, world.rows)


def test_stores_5000_orders_column_by_column(large: Ran):
    """Every row and column of the four tables is the shop's, whether the file was grouped, interleaved or shuffled."""
    assert 5_000 <= len(large.rows["order_header"])
    assert [] == differences(large.truth, large.rows)


def test_first_window_goes_back_to_the_floor(large: Ran):
    """Without a watermark a run asks for 128 days and the overlap, up to its start."""
    assert timedelta(seconds=0) <= large.start - (large.began - FLOOR - timedelta(seconds=300)) <= timedelta(seconds=60)
    assert large.began <= large.end <= large.ended


def test_archives_what_shopify_served(large: Ran):
    """The archive's decompressed bytes are those that Shopify's storage sent."""
    operation = large.world.shop.operations[-1]

    archived = archived_bytes(large.world.lake, large.run_id)

    key = f"raw/shopify/orders/date=2026-11-23/run_id={large.run_id}/bulk-{operation.number}.jsonl.zst"
    assert {key: large.world.shop.served_bytes(operation)} == archived


def test_manifest_proves_the_archive(large: Ran):
    """The manifest has the archive's hash, bytes, lines and roots, and what was asked of whom."""
    operation = large.world.shop.operations[-1]

    manifest = read_manifest(large.world.lake, large.run_id)

    (file,) = manifest["files"]
    assert [] == manifest_problems(large.world.lake, large.run_id)
    assert [len(large.fetched), operation.object_count] == [file["roots"], file["lines"]]
    assert {
        "run_id": large.run_id,
        "job_type": "DAILY_SYNC_EXECUTE",
        "shop": "sim-shop.myshopify.com",
        "timezone": large.zone,
        "currency": large.world.shop.currency,
        "api_version": operation.version,
        "operation_id": operation.id,
    }.items() <= manifest.items()
    assert [AT, large.start, large.end] == [
        datetime.fromisoformat(manifest[name]) for name in ("requested_at", "window_start", "window_end")
    ]


def test_every_record_has_the_contracts_fields(large: Ran):
    """A record of sync.telemetry has every field of docs/data.md, null where it does not apply."""
    records = read_telemetry(large.world.lake, large.run_id)

    assert [set()] * len(records) == [set(RECORD) - record.keys() for record in records]
    assert [set(COUNTS)] * len(records) == [record["counts"].keys() for record in records]
    assert {(large.run_id, "DAILY_SYNC_EXECUTE", "user")} == {
        (record["run_id"], record["job_type"], record["initiator"]) for record in records
    }
    assert {AT} == {datetime.fromisoformat(record["requested_at"]) for record in records}


def test_records_follow_the_steps(large: Ran):
    """There is a record for each step, in order, with the status words of docs/data.md, which never go back."""
    records = read_telemetry(large.world.lake, large.run_id)

    assert STATUS_OF_STEP == [(record["step"], record["status"]) for record in records]
    assert sorted(record["at"] for record in records) == [record["at"] for record in records]
    assert sorted(record["duration_s"] for record in records) == [record["duration_s"] for record in records]
    assert {None} == {record["error"] for record in records} == {record["waiting_until"] for record in records}


def test_each_record_is_an_object_of_its_own(large: Ran):
    """Records are numbered in their keys, and none has two."""
    keys = large.objects_below("sync.telemetry/")

    folder = f"sync.telemetry/date=2026-11-23/run_id={large.run_id}"
    assert [f"{folder}/{number:04d}-{step}.jsonl" for number, (step, _) in enumerate(STATUS_OF_STEP)] == list(keys)


def test_records_tell_the_window_that_was_sent(large: Ran):
    """Every record of the run has the window that Shopify was asked for: it is fixed once."""
    records = read_telemetry(large.world.lake, large.run_id)

    assert {(large.start, large.end)} == {
        (datetime.fromisoformat(record["window_start"]), datetime.fromisoformat(record["window_end"]))
        for record in records
    }


def test_counts_what_it_moved(large: Ran):
    """The last record counts lines, bytes and rows as they were."""
    (served,) = archived_bytes(large.world.lake, large.run_id).values()

    last = read_telemetry(large.world.lake, large.run_id)[-1]

    assert {
        "objects": served.count(b"\n"),
        "bytes": len(served),
        "orders": len(large.fetched),
        "line_items": len(large.truth["order_line_item"]),
        "sales": len(large.truth["order_sale"]),
        "products": len(large.truth["product"]),
        "unchanged": 0,
        "removed": 0,
    } == last["counts"]
    assert large.world.shop.operations[-1].id == last["bulk_operation_id"]
    assert list(archived_bytes(large.world.lake, large.run_id)) == [last["archive_key"]]


def test_watermark_is_the_newest_update(large: Ran):
    """Block, database and the last record agree on the watermark: the newest update that was fetched."""
    records = read_telemetry(large.world.lake, large.run_id)

    assert large.newest == large.watermark
    assert [("sim-shop.myshopify.com", large.run_id, large.watermark)] == watermark_advances(large.world)
    assert [None] * 10 == [record["watermark_after"] for record in records[:-1]]
    assert large.watermark == datetime.fromisoformat(records[-1]["watermark_after"])


def test_run_table_projects_the_last_record(large: Ran):
    """The table that staff's list of runs is read from agrees with the run's last record."""
    last = read_telemetry(large.world.lake, large.run_id)[-1]
    columns = ("run_id", "job_type", "initiator", "step", "status", "flow_run_id", "bulk_operation_id", "archive_key")

    rows = large.world.storage.select(f"SELECT {', '.join(columns)} FROM sync_run")

    assert [tuple(last[name] for name in columns)] == rows


def watermark_advances(world: World) -> list[Any]:
    """Return shop, run and watermark of every advance that the database has recorded."""
    rows = world.storage.select("SELECT shop, run_id, watermark FROM watermark_advance ORDER BY advanced_at")
    return [(shop, run_id, datetime.fromisoformat(at).replace(tzinfo=UTC)) for shop, run_id, at in rows]
