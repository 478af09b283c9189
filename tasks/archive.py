"""
From Shopify's storage into the lake: the raw archive and its manifest.

The manifest is a draft until the archive was read to its end: some faults only the parser sees, and what a run has
vouched for is never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import get_run_logger

from shopsync.archive import (
    ArchiveFile,
    Manifest,
    read_archive,
    read_drafts,
    read_manifest,
    write_archive,
    write_draft,
    write_manifest,
)
from shopsync.errors import JsonlError, ResultTooLarge
from shopsync.lake import Lake, manifest_key, raw_archive_key
from shopsync.records import Order
from shopsync.run import Run, ShopProfile
from shopsync.shopify.bulk import BulkOperation, result_url
from shopsync.shopify.download import download
from shopsync.shopify.gid import number
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.regroup import regrouped
from shopsync.shopify.scan import ResultScan
from shopsync.telemetry import JobType, Step
from shopsync.window import SyncWindow
from tasks import connections
from tasks.request import asked_before
from tasks.step import again, step


@step("find archive")
def find_archive(run: Run) -> Manifest | None:
    """Return the manifest of what this run fetched before it was interrupted; None when that, if any, is of no use."""
    lake = connections.lake()
    vouched_for = read_manifest(lake, manifest_key(run.requested_at, run.run_id))
    if vouched_for is not None:
        return vouched_for
    drafts = read_drafts(lake, run.requested_at, run.run_id)
    useless = asked_before(run)[1] if drafts else []
    return next((draft for draft in reversed(drafts) if draft.operation_id not in useless), None)


@step("archive result")
def archive_result(run: Run, shop: ShopProfile, window: SyncWindow, operation: BulkOperation) -> Manifest:
    """Store the result as Shopify sends it, check it against Shopify's counts, and draft its manifest."""
    connections.record(run, Step.ARCHIVE, bulk_operation_id=operation.id)
    _require_fit(run, operation)
    key = raw_archive_key(run.requested_at, run.run_id, number(operation.id))
    file = _downloaded(run, operation, key)
    manifest = Manifest(
        run_id=run.run_id,
        job_type=run.job_type,
        shop=shop.domain,
        timezone=shop.timezone,
        currency=shop.currency,
        api_version=connections.settings().shopify_api_version,
        requested_at=run.requested_at,
        operation_id=operation.id,
        window_start=window.start,
        window_end=window.end,
        files=() if file is None else (file,),
        window_field=window.field,
        parent_run_id=run.parent_run_id,
    )
    write_draft(connections.lake(), key, manifest)
    get_run_logger().info("archived %s lines, as many as Shopify counted", f"{operation.object_count:,}")
    return manifest


def _require_fit(run: Run, operation: BulkOperation) -> None:
    most = connections.settings().backfill_lines
    if run.job_type is JobType.BACKFILL and operation.object_count > most:
        raise ResultTooLarge(operation.id, operation.object_count, most)


@again
def vouch_for(manifest: Manifest) -> None:
    """Vouch for an archive that was read to its end."""
    write_manifest(connections.lake(), manifest)


def _downloaded(run: Run, operation: BulkOperation, key: str) -> ArchiveFile | None:
    scan, patience = ResultScan(), connections.patience(run)
    with connections.shopify(patience) as shopify:
        pieces = download(shopify.http, operation, lambda: result_url(shopify, operation.id), patience)
        if pieces is None:
            return None
        sha256, size = write_archive(connections.lake(), key, scan.over(pieces))
    if scan.broken is not None:
        raise JsonlError(key, scan.broken.number, scan.broken.problem)
    scan.verify(operation)
    return ArchiveFile(key, sha256, size, scan.lines, scan.roots, scan.grouped)


def archived_orders(lake: Lake, file: ArchiveFile) -> Iterator[Order]:
    """
    Yield the orders of an archive, whole, in the archive's order; an ungrouped file is first regrouped on local disk.

    Raises:
        JsonlError: A line is not what the query asked for, or its order never comes.
        ArchiveMismatch: The bytes are not those of the manifest.
    """
    yield from parsed_orders(read_archive(lake, file), file)


def parsed_orders(lines: Iterable[bytes], file: ArchiveFile) -> Iterator[Order]:
    """Yield the orders in an archive's lines; see `archived_orders`."""
    if file.grouped:
        yield from read_orders(lines, file.key)
        return
    with TemporaryDirectory(prefix="shopsync-regroup-") as folder:
        yield from read_orders(regrouped(lines, file.key, Path(folder)), file.key)
