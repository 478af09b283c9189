"""
The daily run: every order that changed since the watermark, from Shopify to the figures; then the watermark moves.

    window from the watermark -> bring in -> refresh figures -> compare with Shopify -> advance the watermark
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows import command_line
from flows.pipeline import bring_in, recorded, recorded_beginning, refresh_figures
from flows.trigger import initiator_of_flow_run, scheduled_start
from shopsync.telemetry import Counts, Initiator, JobType
from tasks import telemetry
from tasks.completeness import compare_with_shopify
from tasks.daily import initiate_daily_run, start_follow_up
from tasks.reconciliation import end_cancelled_run
from tasks.report import report_run
from tasks.shop import check_shop, enter_shop
from tasks.turn import only_daily_run
from tasks.waiting import is_restarted
from tasks.watermark import advance_watermark, check_watermark


@dataclass(frozen=True, slots=True)
class DailyResult:
    """How a daily run ended: `report` is markdown; `behind` asks for a follow-up over the rest of the window."""

    run_id: str
    report: str
    behind: bool
    advanced: bool


@flow(name="daily-sync", persist_result=True, result_serializer="json", on_cancellation=[end_cancelled_run])
def daily_sync(
    run_id: UUID | None = None, initiator: Initiator | None = None, requested_at: datetime | None = None
) -> DailyResult:
    """
    Bring in every order that changed since the watermark, and advance the watermark.

    Args:
        run_id: Identity of the run; the same id goes on where an interrupted run stopped. Default: the flow run's id.
        initiator: Who asked for it, cron or user. Default: cron for scheduled runs, else user.
        requested_at: When it was asked for; decides the day of its figures. Default: the scheduled start.
    """
    identity, initiator, scheduled = str(run_id or flow_run.id), initiator or initiator_of_flow_run(), scheduled_start()
    with recorded_beginning(identity, JobType.DAILY, initiator, requested_at or scheduled):
        run = initiate_daily_run(identity, initiator, requested_at, scheduled)
    if run.completed:
        get_run_logger().info("run %s completed before: nothing is left to do", run.run_id)
        return DailyResult(run.run_id, report_run(run), behind=False, advanced=False)
    with recorded(run):
        shop = check_shop(run)
        check_watermark(shop)
        enter_shop.anew(run, shop)
        with only_daily_run(run, shop):
            brought = bring_in(run, shop)
            products = refresh_figures(run, shop)
            reached = brought.upserted.max_updated_at
            compared = compare_with_shopify.anew(run, brought.window, reached)
            moved_to = None if compared.ask_again else advance_watermark.anew(run, shop, brought.window, reached)
            behind = brought.window.end != run.whole.end
            if behind and moved_to is not None and is_restarted():
                start_follow_up(run)
            telemetry.complete(run, Counts(products=products), moved_to, compared.differences)
    return DailyResult(run.run_id, report_run(run), behind, advanced=moved_to is not None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run daily syncs in this process until the shop is caught up; exit 0 only when all of them completed."""
    parser = argparse.ArgumentParser(prog="python -m flows.daily_sync", description="One daily sync in this process.")
    parser.add_argument("--run-id", type=UUID, help="identity of the run; the same id resumes it")
    parser.add_argument("--initiator", type=Initiator, choices=list(Initiator), default=Initiator.USER)
    parser.add_argument(
        "--requested-at", type=command_line.moment, metavar="ISO8601", help="when it was asked for; default: now"
    )
    given = parser.parse_args(arguments)

    def sync() -> None:
        result = daily_sync(given.run_id, given.initiator, given.requested_at)
        command_line.show(result.report)
        while result.behind and result.advanced:
            command_line.say("The window was shortened: a follow-up run goes on with the rest of it.")
            result = daily_sync(None, given.initiator, given.requested_at)
            command_line.show(result.report)
        if result.behind:
            command_line.say(
                "The window was shortened, and the watermark stays: the rest of it is left to the next run."
            )

    return command_line.run(sync)


if __name__ == "__main__":
    sys.exit(main())
