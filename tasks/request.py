"""Asking Shopify for a window: request, cancel."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from prefect import get_run_logger

from shopsync.errors import ArchiveMismatch, InexactMoney, JsonlError
from shopsync.patience import Patience
from shopsync.run import Run
from shopsync.shopify.bulk import BulkOperation, cancel_operation, cancel_running, request_operation
from shopsync.shopify.changes import first_change
from shopsync.telemetry import RunRecord, Step
from shopsync.window import SyncWindow
from tasks import connections
from tasks.slots import turn
from tasks.step import step

OF_THE_FILE = frozenset({JsonlError.__name__, InexactMoney.__name__, ArchiveMismatch.__name__})
"""Failures after which the same file would fail again."""

ABANDON_S = 5.0
"""A process that is told to end has some seconds left."""


@step("request bulk operation")
def request_bulk_operation(run: Run, window: SyncWindow, spent: list[str]) -> BulkOperation:
    """Return this run's operation over the window, adopted or new; those in `spent` gave no usable result."""
    connections.record(run, Step.REQUEST, window_start=window.start, window_end=window.end)
    patience = connections.patience(run)
    # A copy remembers waits of its own: that Shopify answers is no end of waiting for a slot.
    with connections.shopify(replace(patience)) as shopify:
        operation = request_operation(
            shopify,
            window,
            run.run_id,
            run.process_initiated_at,
            patience,
            spent=frozenset(spent),
            turn=lambda: turn(run),
        )
    get_run_logger().info("bulk operation %s is %s", operation.id, operation.status)
    return operation


def asked_before(run: Run) -> tuple[SyncWindow, list[str]]:
    """
    Return the window that this run asks for by now, and its operations of which it got no whole file before.

    These are those whose file was broken, as the archiving or only the parser saw, and those that it waited for in the
    middle of archiving: another one may give a whole file.
    """
    told = connections.journal(run).records()
    useless = [record for record in told if _is_broken(record) or _is_waiting_in_archive(record)]
    return Run.of(told).window, [each.bulk_operation_id for each in useless if each.bulk_operation_id is not None]


def _is_broken(record: RunRecord) -> bool:
    if record.error is None or record.error.type not in OF_THE_FILE:
        return False
    # Without a line it is this machine that could not regroup the file.
    return record.error.type != JsonlError.__name__ or record.error.line is not None


def _is_waiting_in_archive(record: RunRecord) -> bool:
    return record.step is Step.ARCHIVE and record.waiting_until is not None


def first_new_order(run: Run, window: SyncWindow) -> datetime | None:
    """Return when the window's first order beyond the watermark was changed; None when it has none."""
    newer = window if run.watermark_before is None else window.beyond(run.watermark_before)
    if newer is None:
        return None
    with connections.shopify(connections.patience(run)) as shopify:
        return first_change(shopify, newer)


def abandon_bulk_operation(run: Run) -> None:
    """Cancel what a run that ends early has running at Shopify."""
    for operation_id in cancel_own_operations(run):
        get_run_logger().info("bulk operation %s is cancelled with its run", operation_id)


def cancel_own_operations(run: Run) -> list[str]:
    """Cancel what a run has running at Shopify: one brief try, since the process may be told to end; return the ids."""
    settings = connections.settings()
    brief = Patience.brief(time.sleep, connections.now, min(settings.retry_budget_s, ABANDON_S))
    with connections.shopify(brief) as shopify:
        return cancel_running(shopify, run.run_id, run.process_initiated_at)


def cancel_bulk_operation(run: Run, operation_id: str) -> None:
    """Cancel an operation that this run gives up on, so that it holds no slot."""
    with connections.shopify(connections.patience(run)) as shopify:
        cancel_operation(shopify, operation_id, run.run_id)
