"""Asking Shopify for a window: request, cancel."""

from __future__ import annotations

import time
from datetime import datetime

from prefect import get_run_logger

from shopsync.patience import Patience
from shopsync.run import Run
from shopsync.shopify.bulk import BulkOperation, cancel_operation, cancel_running, request_operation
from shopsync.shopify.changes import first_change
from shopsync.telemetry import Step
from shopsync.window import SyncWindow
from tasks import connections
from tasks.step import step

ABANDON_S = 5.0
"""A process that is told to end has some seconds left."""


@step("request bulk operation")
def request_bulk_operation(run: Run, window: SyncWindow, spent: list[str]) -> BulkOperation:
    """Return this run's operation over the window, adopted or new; those in `spent` gave no usable result."""
    connections.record(run, Step.REQUEST, window_start=window.start, window_end=window.end)
    patience = connections.patience(run)
    with connections.shopify(patience) as shopify:
        operation = request_operation(
            shopify, window, run.run_id, run.process_initiated_at, patience, spent=frozenset(spent)
        )
    get_run_logger().info("bulk operation %s is %s", operation.id, operation.status)
    return operation


def first_new_order(run: Run, window: SyncWindow) -> datetime | None:
    """Return when the window's first order beyond the watermark was changed; None when it has none."""
    newer = window if run.watermark_before is None else window.beyond(run.watermark_before)
    if newer is None:
        return None
    with connections.shopify(connections.patience(run)) as shopify:
        return first_change(shopify, newer)


def abandon_bulk_operation(run: Run) -> None:
    """Cancel what a run that ends early has running at Shopify: one brief try, since the process may be told to end."""
    settings = connections.settings()
    brief = Patience.brief(time.sleep, connections.now, min(settings.retry_budget_s, ABANDON_S))
    with connections.shopify(brief) as shopify:
        for operation_id in cancel_running(shopify, run.run_id, run.process_initiated_at):
            get_run_logger().info("bulk operation %s is cancelled with its run", operation_id)


def cancel_bulk_operation(run: Run, operation_id: str) -> None:
    """Cancel an operation that this run gives up on, so that it holds no slot."""
    with connections.shopify(connections.patience(run)) as shopify:
        cancel_operation(shopify, operation_id, run.run_id)
