"""commerce.telemetry: what happened to the orders of the archive, as events in the lake."""

from __future__ import annotations

from prefect import get_run_logger

from shopsync.archive import Manifest
from shopsync.database.progress import UpsertProgress
from shopsync.events import event_batches
from shopsync.lake import events_key
from shopsync.run import Run
from shopsync.telemetry import Step
from tasks import connections
from tasks.archive import archived_orders
from tasks.step import step
from tasks.upsert import counts


@step("write events")
def write_events(run: Run, manifest: Manifest, upserted: UpsertProgress) -> int:
    """Write the events of the archive's orders, and return how many batches they made; repeats write the same bytes."""
    lake, written = connections.lake(), 0
    connections.record(run, Step.EVENTS, counts(manifest, upserted))
    for file in manifest.files:
        for batch in event_batches(archived_orders(lake, file), manifest.shop, run.run_id):
            lake.put(events_key(run.requested_at, run.run_id, written), batch)
            written += 1
    get_run_logger().info("order and fulfilment events written, in %d %s", written, "file" if written == 1 else "files")
    return written
