"""How a backfill and each of its windows begin, and what a dry run tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from prefect import get_run_logger
from prefect.artifacts import create_table_artifact

from shopsync.backfill import BackfillWindow, By, Lengths, backfill_range, cut
from shopsync.errors import WindowError
from shopsync.journal import find_run, open_run
from shopsync.report import window_table
from shopsync.run import Run
from shopsync.shopify.changes import count_orders
from shopsync.telemetry import Initiator, JobType, RunRecord, Step
from shopsync.window import SyncWindow, stamp
from tasks import connections
from tasks.step import step
from tasks.telemetry import first_record, fixed_requested_at


@dataclass(frozen=True, slots=True)
class ChosenWindow:
    """The window that somebody chose for a backfill, and why."""

    start: datetime
    end: datetime
    by: By
    reason: str

    def whole(self) -> SyncWindow:
        """Return the range, or raise WindowError."""
        if not self.reason.strip():
            raise WindowError("a backfill needs a reason: its records tell it to whoever looks later")
        return backfill_range(self.start, self.end, self.by, connections.now())


@step("initiate backfill")
def initiate_backfill(
    run_id: str, chosen: ChosenWindow, initiator: Initiator, requested_at: datetime | None, scheduled_start: datetime
) -> Run:
    """
    Fix what this backfill is; one that was begun before goes on.

    Raises:
        WindowError: The range makes no sense, or the run id is another run's: nothing was written.
    """
    connections.settings().require_shop()
    whole = chosen.whole()
    requested_at = fixed_requested_at(run_id, requested_at, scheduled_start)
    begun = find_run(connections.lake(), run_id, requested_at)
    if begun is not None:
        _require_same(begun.records(), whole)
    first = msgspec.structs.replace(
        first_record(run_id, JobType.BACKFILL, initiator, requested_at, Step.INITIATED),
        window_field=whole.field,
        window_start=whole.start,
        window_end=whole.end,
        reason=chosen.reason.strip(),
    )
    run = Run.of(open_run(connections.lake(), first, connections.project).records())
    get_run_logger().info(
        "backfill %s: orders %s from %s to %s", run_id, chosen.by.value, stamp(whole.start), stamp(whole.end)
    )
    return replace(run, tried_since=connections.now())


@step("initiate window")
def initiate_window(backfill: Run, window: BackfillWindow) -> Run:
    """
    Begin the run of a window.

    `window` carries its failure count, so that another attempt is not answered from the cache.
    """
    assert window.run_id is not None
    first = msgspec.structs.replace(
        first_record(window.run_id, JobType.BACKFILL, backfill.initiator, backfill.requested_at, Step.INITIATED),
        window_field=backfill.whole.field,
        window_start=window.start,
        window_end=window.end,
        parent_run_id=backfill.run_id,
    )
    run = Run.of(open_run(connections.lake(), first, connections.project).records())
    _wait_for_the_index(window.end)
    get_run_logger().info("window %s: run %s", window.name, run.run_id)
    return replace(run, tried_since=connections.now())


def begun_backfill(run_id: str, requested_at: datetime) -> Run:
    """Return a backfill that was begun elsewhere, to bring in one of its windows."""
    found = find_run(connections.lake(), run_id, requested_at)
    if found is None:
        raise WindowError(f"backfill {run_id}, asked for at {stamp(requested_at)}, has not begun")
    return Run.of(found.records())


def rehearse(chosen: ChosenWindow, lengths: Lengths) -> str:
    """Return the windows of a backfill with Shopify's count of their orders, as markdown; nothing is written."""
    connections.settings().require_shop()
    windows = list(cut(chosen.whole(), lengths.first))
    with connections.shopify(connections.brief_patience()) as shopify:
        shopify.shop().require_scopes()
    counted = [(window, _counted(window)) for window in windows]
    create_table_artifact(
        [{"from": stamp(window.start), "to": stamp(window.end), "orders": f"{orders:,}"} for window, orders in counted],
        key="backfill-dry-run",
        description=f"{sum(orders for _, orders in counted):,} orders in {len(counted)} windows; nothing was asked for",
    )
    return window_table(counted)


def _counted(window: SyncWindow) -> int:
    # Each with a patience of its own: Shopify throttles who asks for hundreds.
    with connections.shopify(connections.brief_patience()) as shopify:
        return count_orders(shopify, window)


def _require_same(records: Sequence[RunRecord], whole: SyncWindow) -> None:
    # The first of all may tell that the run could not begin: it knows no range.
    first = next((record for record in records if record.step is Step.INITIATED), None)
    if records[0].job_type is not JobType.BACKFILL or records[0].parent_run_id is not None:
        raise WindowError(f"run {records[0].run_id} is not a backfill: leave run_id out to begin one")
    if first and (first.window_start, first.window_end, first.window_field) != (whole.start, whole.end, whole.field):
        start, end = (stamp(at) if at else "none" for at in (first.window_start, first.window_end))
        raise WindowError(
            f"backfill {first.run_id} was begun over {start} to {end} by {first.window_field}: give the same range to "
            "go on with it, or leave run_id out to begin another"
        )


def _wait_for_the_index(end: datetime) -> None:
    """Shopify's search finds an order some time after it was created."""
    wait_s = (end + connections.settings().lag - connections.now()).total_seconds()
    if wait_s > 0:
        get_run_logger().info("waiting %.0f s, until Shopify's search knows the last orders of the window", wait_s)
        time.sleep(wait_s)
