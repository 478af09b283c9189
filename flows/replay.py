"""
A replay: archives that are in the lake already, through the tables and the figures again, without Shopify.

    choose -> verify all of them -> upsert each -> refresh figures -> completed

It writes no events, since they were told when the archive was made, and cannot reach the watermark.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows import command_line
from flows.pipeline import recorded, recorded_beginning, refresh_figures
from flows.trigger import initiator_of_flow_run, scheduled_start
from shopsync.replays import Choice
from shopsync.telemetry import Counts, Initiator, JobType
from tasks import telemetry
from tasks.replay import archived_shop, choose_archives, initiate_replay, verify_archive
from tasks.report import report_run
from tasks.shop import enter_shop
from tasks.upsert import counts, upsert_archive


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """How a replay ended: `report` is markdown."""

    run_id: str
    report: str


@flow(name="replay", persist_result=True, result_serializer="json")
def replay(  # noqa: PLR0917 - the form in Prefect, in its order
    reason: str,
    archive: str | None = None,
    of_run: UUID | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    run_id: UUID | None = None,
    initiator: Initiator | None = None,
    requested_at: datetime | None = None,
) -> ReplayResult:
    """
    Parse, upsert and measure archives again, without Shopify. Give an archive, a run, or days.

    Args:
        reason: Why, for whoever reads the records later.
        archive: Key of one archive, such as raw/shopify/orders/date=2026-11-23/run_id=.../bulk-1.jsonl.zst.
        of_run: All archives of this run; of a backfill, those of its windows.
        first_day: All archives from this day on, the UTC day on which their runs were asked for.
        last_day: All archives up to this day.
        run_id: Identity of the replay; the same id goes on where it stopped. Default: the flow run's id.
        initiator: Who asked for it, cron or user. Default: cron for scheduled runs, else user.
        requested_at: When it was asked for; decides the day of its figures. Default: the scheduled start.
    """
    identity, initiator, scheduled = str(run_id or flow_run.id), initiator or initiator_of_flow_run(), scheduled_start()
    manifests = choose_archives(Choice(archive, str(of_run) if of_run else None, first_day, last_day))
    with recorded_beginning(identity, JobType.REPLAY, initiator, requested_at or scheduled):
        run = initiate_replay(identity, reason, manifests, initiator, requested_at, scheduled)
    if run.completed:
        get_run_logger().info("replay %s completed before: nothing is left to do", run.run_id)
        return ReplayResult(run.run_id, report_run(run))
    with recorded(run):
        for manifest in manifests:
            verify_archive(manifest)
        shop, brought = archived_shop(manifests), Counts()
        # What was written is the database's to know: restored, it has lost rows that a kept result would vouch for.
        enter_shop.anew(run, shop)
        for manifest in manifests:
            brought = brought.plus(counts(manifest, upsert_archive.anew(run, shop, manifest)))
        products = refresh_figures(run, shop)
        telemetry.complete(run, brought.plus(Counts(products=products)))
    return ReplayResult(run.run_id, report_run(run))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one replay in this process; exit 0 only when it completed."""
    parser = argparse.ArgumentParser(prog="python -m flows.replay", description="Archives again, without Shopify.")
    parser.add_argument("--archive", metavar="KEY", help="one archive, raw/shopify/orders/.../bulk-N.jsonl.zst")
    parser.add_argument("--of-run", type=UUID, metavar="UUID", help="all archives of a run, or of a backfill's windows")
    parser.add_argument("--first-day", type=date.fromisoformat, metavar="DATE", help="all archives from this day on")
    parser.add_argument("--last-day", type=date.fromisoformat, metavar="DATE", help="all archives up to this day")
    parser.add_argument("--reason", required=True, help="why, for whoever reads the records later")
    parser.add_argument("--run-id", type=UUID, help="identity of the replay; the same id resumes it")
    parser.add_argument("--requested-at", type=command_line.moment, metavar="ISO8601", help="default: now")
    given = parser.parse_args(arguments)

    def again() -> None:
        result = replay(
            given.reason,
            given.archive,
            given.of_run,
            given.first_day,
            given.last_day,
            given.run_id,
            Initiator.USER,
            given.requested_at,
        )
        command_line.show(result.report)

    return command_line.run(again, asks_shopify=False)


if __name__ == "__main__":
    sys.exit(main())
