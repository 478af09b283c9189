"""From the archive into the tables, in chunks, with a progress artifact."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from prefect import get_run_logger

from shopsync.archive import Manifest
from shopsync.database.chunks import BACKFILL_CHUNKS, DAILY_CHUNKS
from shopsync.database.progress import UpsertProgress
from shopsync.database.upsert import upsert_orders
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Counts, JobType, Step
from tasks import connections
from tasks.archive import archived_orders
from tasks.progress import Progress
from tasks.step import step


@step("upsert archive")
def upsert_archive(run: Run, shop: ShopProfile, manifest: Manifest) -> UpsertProgress:
    """Bring the archive's orders into the tables; what was committed before an interruption is not sent again."""
    done, budget = UpsertProgress(finished=True), DAILY_CHUNKS if run.job_type is JobType.DAILY else BACKFILL_CHUNKS
    connections.record(
        run,
        Step.UPSERT,
        archive_key=archive_key(manifest),
        roots=sum(file.roots for file in manifest.files),
        api_version=manifest.api_version,
    )
    with connections.database() as database:
        for file in manifest.files:
            progress = Progress("upsert", "upsert")

            def show(so_far: UpsertProgress, progress: Progress = progress, whole: int = file.roots) -> None:
                progress.show(so_far.orders, whole, f"{so_far.orders:,} of {whole:,} orders")

            done = upsert_orders(
                database,
                archived_orders(connections.lake(), file),
                archive_sha256=file.sha256,
                run_id=run.run_id,
                synced_at=connections.now(),
                zone=ZoneInfo(shop.timezone),
                budget=budget,
                on_chunk=show,
            )
            progress.finish()
    get_run_logger().info("upserted %s orders, %s of them unchanged", f"{done.orders:,}", f"{done.unchanged:,}")
    return done


def archive_key(manifest: Manifest) -> str | None:
    """Return where the archive is; None when Shopify had no result."""
    return manifest.files[0].key if manifest.files else None


def counts(manifest: Manifest, done: UpsertProgress) -> Counts:
    """Return what telemetry tells of an upserted archive."""
    return Counts(
        objects=sum(file.lines for file in manifest.files),
        bytes=sum(file.bytes for file in manifest.files),
        orders=done.orders,
        line_items=done.line_items,
        sales=done.sales,
        unchanged=done.unchanged,
        removed=done.removed,
    )
