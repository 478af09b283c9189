"""
The order of a run's steps, shared by every flow; a record on every way out.

    check shop -> request -> poll -> archive -> upsert -> events -> measure -> products

From `archive` on, each step reads what the step before it stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from prefect import get_run_logger

from shopsync.archive import Manifest
from shopsync.database.upsert import UpsertProgress
from shopsync.errors import BulkOperationFailed, DownloadIncomplete, PollBudgetExhausted, SyncError
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Step
from shopsync.window import SyncWindow, stamp
from tasks import connections, telemetry
from tasks.archive import archive_result, find_archive
from tasks.events import write_events
from tasks.measure import measure
from tasks.poll import poll_bulk_operation
from tasks.products import refresh_product_figures
from tasks.request import (
    abandon_bulk_operation,
    cancel_bulk_operation,
    first_new_order,
    request_bulk_operation,
)
from tasks.shop import check_shop
from tasks.step import patiently
from tasks.upsert import upsert_archive

SHORTEST_WINDOW = timedelta(seconds=2)
"""What cannot be halved any more is Shopify's trouble, not ours."""

WAITING_FOR_SHOPIFY = frozenset({Step.REQUEST, Step.POLL})
"""A run that ends in one of these may leave an operation behind, which would hold a slot for nobody."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought in, over which window; `products` counts the rows whose figures changed."""

    shop: ShopProfile
    window: SyncWindow
    upserted: UpsertProgress
    products: int


def run_pipeline(run: Run) -> Outcome:
    """Bring the orders of the run's window in, from Shopify to the figures."""
    shop = patiently(check_shop)(run)
    manifest = patiently(find_archive)(run) or fetch(run, shop)
    upserted = patiently(upsert_archive)(run, shop, manifest)
    patiently(write_events)(run, manifest, upserted)
    patiently(measure)(run, shop)
    refreshed = patiently(refresh_product_figures)(run, shop)
    assert manifest.window_start is not None
    assert manifest.window_end is not None
    window = SyncWindow(manifest.window_start, manifest.window_end)
    return Outcome(shop, window, upserted, refreshed)


def fetch(run: Run, shop: ShopProfile) -> Manifest:
    """
    Return the manifest of the window's orders, once they are whole in the lake.

    An operation that fails is followed by a new one, with backoff, until the run's budget is spent. One that outlasts
    the poll budget is cancelled, and the run goes on with the first half of the window, or with so much of it that
    the watermark moves: every run makes progress.
    """
    window, spent = run.window, list[str]()

    def attempt() -> Manifest:
        nonlocal window
        while True:
            operation = patiently(request_bulk_operation)(run, window, spent)
            try:
                done = patiently(poll_bulk_operation)(run, operation)
                return patiently(archive_result)(run, shop, window, done)
            except PollBudgetExhausted as exhausted:
                cancel_bulk_operation(run, operation.id)
                window = _shortened(run, window, exhausted)
            except (BulkOperationFailed, DownloadIncomplete):
                spent.append(operation.id)
                raise

    return connections.patience(run).call(attempt, (BulkOperationFailed, DownloadIncomplete))


def _shortened(run: Run, window: SyncWindow, exhausted: PollBudgetExhausted) -> SyncWindow:
    if window.end - window.start < SHORTEST_WINDOW:
        raise exhausted
    shorter = window.first_half()
    new = first_new_order(run, window)
    if new is not None and shorter.end < new < window.end:
        # A half without new orders would leave the watermark, and the next run would halve the same window again.
        shorter = window.until(new)
    get_run_logger().warning(
        "%s; it is cancelled, and this run is behind: it goes on with the window up to %s",
        exhausted,
        stamp(shorter.end),
    )
    return shorter


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """
    Write the `failed` record of whatever ends the block early, cancellation included, and let it pass.

    A run that was waiting for its operation at Shopify cancels it, so that it holds no slot.
    """
    try:
        yield
    except BaseException as failure:
        _end_early(run, failure)
        raise


def _end_early(run: Run, failure: BaseException) -> None:
    try:
        if telemetry.fail(run, failure) in WAITING_FOR_SHOPIFY:
            abandon_bulk_operation(run)
    except SyncError as unsaid:
        # The failure itself is what has to be told.
        get_run_logger().error("ending run %s: %s", run.run_id, unsaid)
