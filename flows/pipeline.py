"""
The order of a run's steps, shared by every flow; a record on every way out.

    bring in         request -> poll -> archive -> upsert -> events
    refresh figures  measure -> products

From `archive` on, each step reads what the step before it stored. Nothing here can reach the watermark.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
from prefect import get_run_logger
from prefect.exceptions import Abort

from shopsync.archive import Manifest
from shopsync.database.progress import UpsertProgress
from shopsync.errors import (
    BulkOperationFailed,
    BulkTimedOut,
    DownloadIncomplete,
    MustWait,
    PollBudgetExhausted,
    ResultTooLarge,
    SyncError,
)
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Initiator, JobType, Step
from shopsync.window import SyncWindow, stamp
from tasks import connections, telemetry
from tasks.archive import archive_result, find_archive, vouch_for
from tasks.events import write_events
from tasks.measure import measure
from tasks.poll import poll_bulk_operation
from tasks.products import refresh_product_figures
from tasks.request import (
    abandon_bulk_operation,
    asked_before,
    cancel_bulk_operation,
    first_new_order,
    request_bulk_operation,
)
from tasks.server import unavailable
from tasks.turn import give_back_leases
from tasks.upsert import upsert_archive
from tasks.waiting import end_container

SHORTEST_WINDOW = timedelta(seconds=2)
"""What cannot be halved any more is Shopify's trouble, not ours."""

OUTSIZED = (PollBudgetExhausted, BulkTimedOut, ResultTooLarge)
"""The window is too much to bring at once; asking for it again would not help."""

WAITING_FOR_SHOPIFY = frozenset({Step.REQUEST, Step.POLL})
"""A run that ends in one of these may leave an operation behind, which would hold a slot for nobody."""


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """What a run brought in, over which window in the end."""

    window: SyncWindow
    manifest: Manifest
    upserted: UpsertProgress


def bring_in(run: Run, shop: ShopProfile) -> BroughtIn:
    """Bring the orders of the run's window in, from Shopify to the tables and the events."""
    # What the lake has by now decides, not what a flow run that goes on found when it began.
    manifest = find_archive.anew(run) or fetch(run, shop)
    # What was written is the database's to know: restored, it has lost rows that a kept result would vouch for.
    upserted = upsert_archive.anew(run, shop, manifest)
    vouch_for(manifest)
    write_events(run, manifest, upserted)
    return BroughtIn(manifest.window, manifest, upserted)


def refresh_figures(run: Run, shop: ShopProfile) -> int:
    """Bring every figure that is owed up to the tables; return how many products changed."""
    # What is owed may have grown since a flow run that goes on was here.
    measure.anew(run, shop)
    return refresh_product_figures.anew(run, shop)


def fetch(run: Run, shop: ShopProfile) -> Manifest:
    """
    Return the manifest, a draft so far, of the window's orders, once they are whole in the lake.

    An operation that fails is followed by a new one, with backoff, until the run's budget is spent. One that outlasts
    the poll budget is cancelled, and the run goes on with the first half of the window: every run makes progress. So
    it does after one that Shopify could not finish in its own time, or whose result is too large for one window. A run
    that goes on in another process goes on with the window that it asked for last.
    """
    window, spent = asked_before(run)

    def attempt() -> Manifest:
        nonlocal window
        while True:
            # Its own operation is adopted while it is of use; a result that is kept would bring back one that ended.
            operation = request_bulk_operation.anew(run, window, spent)
            try:
                done = poll_bulk_operation(run, operation.id)
                return archive_result(run, shop, window, done)
            except OUTSIZED as outsized:
                spent.append(operation.id)
                cancel_bulk_operation(run, operation.id)
                window = _shortened(run, window, outsized)
            except (BulkOperationFailed, DownloadIncomplete):
                spent.append(operation.id)
                raise

    return connections.patience(run).call(attempt, (BulkOperationFailed, DownloadIncomplete))


def _shortened(run: Run, window: SyncWindow, outsized: SyncError) -> SyncWindow:
    if window.end - window.start < SHORTEST_WINDOW:
        raise outsized
    shorter = window.first_half()
    new = first_new_order(run, window) if run.job_type is JobType.DAILY else None
    if new is not None and shorter.end < new < window.end:
        # A half without new orders would leave the watermark, and the next run would halve the same window again.
        shorter = window.until(new)
    get_run_logger().warning(
        "%s: this run goes on with the first part of its window, up to %s", outsized, stamp(shorter.end)
    )
    return shorter


@contextmanager
def recorded_beginning(run_id: str, job_type: JobType, initiator: Initiator, requested_at: datetime) -> Iterator[None]:
    """Write the `failed` record of a run that cannot begin, or not go on, and let the failure pass."""
    try:
        yield
    except SyncError as failure:
        try:
            telemetry.refuse(run_id, job_type, initiator, requested_at, failure)
        except SyncError as unsaid:
            get_run_logger().error("run %s leaves no record: %s", run_id, unsaid)
        raise


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """
    Write the `failed` record of whatever ends the block early, cancellation included, and let it pass.

    A run that was waiting for its operation at Shopify cancels it, so that it holds no slot. A run that merely waits
    did not fail: its container ends, and the same run goes on at its time.
    """
    try:
        try:
            yield
        except MustWait as wait:
            end_container(wait.until, wait.why)
    except Abort:
        raise  # the flow run goes on later, in another process
    except httpx.TransportError as silence:  # our own clients tell theirs in our words
        failure = unavailable(silence)
        _end_early(run, failure)
        raise failure from silence
    except BaseException as failure:
        _end_early(run, failure)
        raise


def _end_early(run: Run, failure: BaseException) -> None:
    give_back_leases(run)
    try:
        if telemetry.fail(run, failure) in WAITING_FOR_SHOPIFY:
            abandon_bulk_operation(run)
    except SyncError as unsaid:
        # The failure itself is what has to be told.
        get_run_logger().error("ending run %s: %s", run.run_id, unsaid)
