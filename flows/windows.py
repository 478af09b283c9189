"""
The windows of a backfill: brought in one after the other in this process, or handed out to flow runs of their own.

    in turn     next window -> request .. upsert -> done, until none is left
    handed out  up to so many flow runs on the work pool; whoever waits for them holds no container
"""

from __future__ import annotations

import time
from datetime import datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.pipeline import bring_in, recorded
from shopsync.backfill import BackfillWindow, Lengths, WindowStatus
from shopsync.errors import (
    ArchiveMismatch,
    BulkOperationFailed,
    DownloadIncomplete,
    InexactMoney,
    JsonlError,
    PollBudgetExhausted,
    ResultTooLarge,
    RetryBudgetSpent,
    RowRefused,
    SyncError,
)
from shopsync.run import Run
from shopsync.telemetry import Counts
from tasks import connections, telemetry
from tasks.backfill import begun_backfill, initiate_window
from tasks.handing import fail_dead_windows, start_windows, wait_for_windows, wake
from tasks.reconciliation import end_cancelled_run
from tasks.shop import check_shop, enter_shop
from tasks.step import PASSING
from tasks.upsert import counts
from tasks.windows import (
    next_window,
    show_windows,
    take_window,
    window_at,
    window_done,
    window_failed,
    window_given_up,
)

OF_ONE_WINDOW = (
    BulkOperationFailed,
    DownloadIncomplete,
    PollBudgetExhausted,
    ResultTooLarge,
    JsonlError,
    InexactMoney,
    ArchiveMismatch,
    RowRefused,
)
"""Failures that say nothing of the other windows; any other one ends the backfill at once."""


def bring_windows_in(run: Run, lengths: Lengths) -> Counts:
    """Bring the windows of the plan in, one after the other, and return what they brought."""
    progress = show_windows(run, lengths)
    while (window := next_window(run, lengths)) is not None:
        bring_window_in(run, window)
        progress = show_windows(run, lengths)
    return progress.counts


def bring_window_in(run: Run, window: BackfillWindow) -> None:
    """Bring one window in as a run of its own, trying again when it fails, until it is done or given up."""
    base_s = connections.settings().retry_base_s
    while window.status is WindowStatus.RUNNING:
        time.sleep(base_s * (2**window.failures - 1))
        try:
            window = _attempt(run, window)
        except OF_ONE_WINDOW as failure:
            window = window_failed(run, window, failure)
        except RetryBudgetSpent as failure:
            # Half a day was spent on this one: Shopify is not well.
            window = window_given_up(run, window, failure)


def _attempt(run: Run, window: BackfillWindow) -> BackfillWindow:
    part = initiate_window(run, window)
    with recorded(part):
        shop = check_shop(part)
        enter_shop.anew(part, shop)
        brought = bring_in(part, shop)
        telemetry.complete(part, counts(brought.manifest, brought.upserted))
    return window_done(run, window, brought.manifest, brought.upserted)


def hand_windows_out(run: Run, lengths: Lengths, at_once: int) -> Counts:
    """Let flow runs of their own bring the windows in, and return what they brought once there is none left."""
    while True:
        fail_dead_windows(run)
        running = start_windows(run, lengths, at_once)
        progress = show_windows(run, lengths, at_once)
        if not running:
            return progress.counts
        wait_for_windows(run, running)


@flow(name="backfill-window", persist_result=True, result_serializer="json", on_cancellation=[end_cancelled_run])
def backfill_window(backfill_run_id: UUID, requested_at: datetime, window_start: datetime) -> str:
    """
    Bring in one window of a backfill, which starts this flow by itself: nobody else needs to.

    Args:
        backfill_run_id: The backfill.
        requested_at: When it was asked for.
        window_start: Which of its windows.
    """
    run = begun_backfill(str(backfill_run_id), requested_at)
    window = take_window(run, window_start, flow_run.id)
    if window is None:
        return "another flow run brings it in"
    try:
        bring_window_in(run, window)
    except SyncError as failure:
        if not isinstance(failure, PASSING):  # this one is a failed attempt, and the window is tried again
            window_given_up(run, window, failure)
        wake(run)
        raise
    wake(run)
    status = window_at(run, window_start).status
    get_run_logger().info("window %s is %s", window.name, status.value)
    return status.value
