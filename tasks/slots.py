"""
Whose turn it is for Shopify's bulk slots, of which a shop has one or five: daily runs go before backfills.

A daily run that finds them taken says so by a lease; while it stands, backfills ask for no new operation. Shopify's
answers say whether a slot is free, nothing here counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from shopsync.database.leases import acquire, holder, release
from shopsync.errors import BulkAlreadyRunning, LeaseHeld
from shopsync.patience import LONGEST_WAIT_S
from shopsync.run import Run
from shopsync.telemetry import JobType
from tasks import connections

WAITING = "bulk-slot"
MARGIN_S = 60.0
"""Beyond the longest wait: a daily run that was killed while it waited holds backfills up for so long."""


@contextmanager
def turn(run: Run) -> Iterator[None]:
    """
    Ask Shopify for an operation inside the block, when it is the run's turn.

    Raises:
        BulkAlreadyRunning: A daily run waits for a slot, and goes before this backfill.
    """
    if run.job_type is not JobType.DAILY:
        _let_daily_run_go_first()
        yield
        return
    try:
        yield
    except BulkAlreadyRunning:
        _wait_in_front(run)
        raise
    with connections.database() as database:
        release(database, WAITING, run.run_id)


def _let_daily_run_go_first() -> None:
    with connections.database() as database:
        waiting = holder(database, WAITING, connections.now())
    if waiting is not None:
        raise BulkAlreadyRunning((), f"the daily run {waiting} waits for one and goes first")


def _wait_in_front(run: Run) -> None:
    longest_s = 1.25 * max(LONGEST_WAIT_S, connections.settings().busy_wait_s) + MARGIN_S
    # Held by another daily run it serves this one as well.
    with connections.database() as database, suppress(LeaseHeld):
        acquire(database, WAITING, run.run_id, connections.now(), timedelta(seconds=longest_s))
