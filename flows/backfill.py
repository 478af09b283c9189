"""
A backfill: every order of a range that somebody chose, window by window, each a run of its own.

    plan -> for each window: request .. upsert -> refresh figures, once -> completed

It has no watermark: nothing here, nor anything that it imports, can reach it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows import command_line
from flows.pipeline import recorded, recorded_beginning, refresh_figures
from flows.trigger import initiator_of_flow_run, scheduled_start
from flows.windows import bring_windows_in, hand_windows_out
from shopsync.backfill import By, Lengths
from shopsync.telemetry import Counts, Initiator, JobType
from tasks import telemetry
from tasks.backfill import ChosenWindow, initiate_backfill, rehearse
from tasks.reconciliation import end_cancelled_run
from tasks.report import report_run
from tasks.shop import check_shop, enter_shop
from tasks.waiting import is_restarted
from tasks.windows import plan_windows, require_all_windows

WindowDays = Annotated[int, Field(ge=1, le=366)]
AtOnce = Annotated[int, Field(ge=1, le=5)]


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """How a backfill ended: `report` is markdown; a dry run has no run id."""

    run_id: str | None
    report: str


@flow(name="backfill", persist_result=True, result_serializer="json", on_cancellation=[end_cancelled_run])
def backfill(  # noqa: PLR0917 - the form in Prefect, in its order
    start: datetime,
    end: datetime,
    reason: str,
    by: By = By.CREATED,
    window_days: WindowDays | None = None,
    run_id: UUID | None = None,
    initiator: Initiator | None = None,
    requested_at: datetime | None = None,
    max_parallel: AtOnce = 1,
    dry_run: bool = False,
) -> BackfillResult:
    """
    Bring in every order of a range, whatever the daily runs have seen; the watermark stays where it is.

    Args:
        start: First moment of the range, with a time zone, such as 2025-01-01T00:00:00Z.
        end: End of the range, which is not in it any more; not in the future.
        reason: Why, for whoever reads the records later.
        by: Choose orders by when they were created (which never moves, so none is missed) or updated.
        window_days: Longest window in days. Default: 30 at first, up to 240 while windows are nearly empty.
        run_id: Identity of the backfill; the same id goes on where it stopped. Default: the flow run's id.
        initiator: Who asked for it, cron or user. Default: cron for scheduled runs, else user.
        requested_at: When it was asked for; decides the day of its figures. Default: the scheduled start.
        max_parallel: How many windows at once, each a flow run on the work pool; without a deployment they run in turn.
        dry_run: Only tell the windows and Shopify's count of their orders.
    """
    chosen, lengths = ChosenWindow(start, end, by, reason), Lengths.of(window_days)
    if dry_run:
        return BackfillResult(None, rehearse(chosen, lengths))
    identity, initiator, scheduled = str(run_id or flow_run.id), initiator or initiator_of_flow_run(), scheduled_start()
    with recorded_beginning(identity, JobType.BACKFILL, initiator, requested_at or scheduled):
        run = initiate_backfill(identity, chosen, initiator, requested_at, scheduled)
    if run.completed:
        get_run_logger().info("backfill %s completed before: nothing is left to do", run.run_id)
        return BackfillResult(run.run_id, report_run(run))
    with recorded(run):
        plan_windows(run)
        shop = check_shop(run)
        enter_shop.anew(run, shop)
        if max_parallel > 1 and is_restarted():
            brought = hand_windows_out(run, lengths, max_parallel)
        else:
            brought = bring_windows_in(run, lengths)
        products = refresh_figures(run, shop)
        require_all_windows(run)
        telemetry.complete(run, brought.plus(Counts(products=products)))
    return BackfillResult(run.run_id, report_run(run))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one backfill in this process, window after window; exit 0 only when it is complete."""
    parser = argparse.ArgumentParser(prog="python -m flows.backfill", description="One backfill in this process.")
    moment = command_line.moment
    parser.add_argument("--start", type=moment, required=True, metavar="ISO8601", help="first moment of the range")
    parser.add_argument("--end", type=moment, required=True, metavar="ISO8601", help="end of the range, not in it")
    parser.add_argument("--reason", required=True, help="why, for whoever reads the records later")
    parser.add_argument("--by", type=By, choices=list(By), default=By.CREATED, help="default: created")
    parser.add_argument("--window-days", type=int, metavar="N", help="longest window; default: 30, longer when empty")
    parser.add_argument("--run-id", type=UUID, help="identity of the backfill; the same id resumes it")
    parser.add_argument("--requested-at", type=moment, metavar="ISO8601", help="when it was asked for; default: now")
    parser.add_argument("--dry-run", action="store_true", help="only tell the windows and their orders")
    given = parser.parse_args(arguments)
    if given.window_days is not None and not 1 <= given.window_days <= 366:
        parser.error("argument --window-days: a window has 1 to 366 days")

    def fill() -> None:
        result = backfill(
            given.start,
            given.end,
            given.reason,
            given.by,
            given.window_days,
            given.run_id,
            Initiator.USER,
            given.requested_at,
            dry_run=given.dry_run,
        )
        command_line.show(result.report)

    return command_line.run(fill)


if __name__ == "__main__":
    sys.exit(main())
