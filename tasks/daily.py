"""How a daily run begins: its window, from the watermark, fixed once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec
from prefect import get_run_logger
from prefect.deployments import run_deployment

from shopsync.database.watermarks import last_advance
from shopsync.errors import WindowError
from shopsync.journal import find_run, open_run
from shopsync.run import Run
from shopsync.telemetry import Initiator, JobType, Step
from shopsync.watermark import agreed
from shopsync.window import DailyWindow, WindowField, daily_window, stamp
from tasks import connections, watermark
from tasks.step import step
from tasks.telemetry import first_record, fixed_requested_at
from tasks.waiting import deployment_id


@step("initiate daily run")
def initiate_daily_run(
    run_id: str, initiator: Initiator, requested_at: datetime | None, scheduled_start: datetime
) -> Run:
    """
    Fix what this run is, its window above all; a run that was begun before goes on as it was begun.

    Args:
        requested_at: None for when it was begun before, or else the scheduled start.

    Raises:
        WindowError: Nothing can be asked for, or the run id is a backfill's or a replay's: nothing was written.
    """
    settings, now = connections.settings(), connections.now()
    settings.require_shop()
    requested_at = fixed_requested_at(run_id, requested_at, scheduled_start)
    _require_daily(run_id, requested_at)
    in_block, in_database = _watermarks(settings.watermark_block)
    daily = daily_window(agreed(in_block, in_database), now, overlap=settings.overlap, lag=settings.lag)
    first = msgspec.structs.replace(
        first_record(run_id, JobType.DAILY, initiator, requested_at, Step.INITIATED),
        window_field=WindowField.UPDATED,
        window_start=daily.window.start,
        window_end=daily.window.end,
        watermark_before=daily.watermark,
    )
    run = Run.of(open_run(connections.lake(), first, connections.project).records())
    if run.whole == daily.window:
        _warn(daily, in_block, in_database)
    get_run_logger().info("orders updated from %s to %s are asked for", stamp(run.window.start), stamp(run.window.end))
    return replace(run, tried_since=connections.now())


@step("start follow-up")
def start_follow_up(run: Run) -> None:
    """Start one more run of the deployment: it begins where the watermark is by then, once this run has ended."""
    deployment = deployment_id()
    assert deployment is not None, "a run in somebody's terminal is followed up there"
    run_deployment(
        deployment,
        parameters={"initiator": run.initiator.value, "requested_at": run.requested_at.isoformat()},
        timeout=0,
        as_subflow=False,
        idempotency_key=f"{run.run_id}-follow-up",
    )
    get_run_logger().info("the window was shortened: a follow-up run goes on with the rest of it")


def _require_daily(run_id: str, requested_at: datetime) -> None:
    # Its window is of creations, or of an archive: a watermark that followed it would skip what nobody asked for.
    begun = find_run(connections.lake(), run_id, requested_at)
    if begun is not None and begun.last.job_type is not JobType.DAILY:
        raise WindowError(f"run {run_id} is not a daily run ({begun.last.job_type}): leave run_id out to begin one")


def _watermarks(name: str) -> tuple[datetime | None, datetime | None]:
    """Return the watermark of the block, and the one that the database recorded for the block's shop."""
    block = watermark.load(name)
    if block is None:
        return None, None
    with connections.database() as database:
        return block.watermark, last_advance(database, block.shop)


def _warn(daily: DailyWindow, in_block: datetime | None, in_database: datetime | None) -> None:
    """Tell an operator of a start that is not the watermark of the block."""
    log = get_run_logger()
    if in_block is not None and in_block != in_database:
        known = "nothing" if in_database is None else stamp(in_database)
        log.warning("the watermark block says %s, the database %s: the older counts", stamp(in_block), known)
    if daily.floored and daily.watermark is not None:
        start = stamp(daily.window.start)
        log.warning(
            "the watermark %s is older than 128 days: what changed before %s is not in this run; repair it with "
            "`python -m flows.backfill --by updated --start %s --end %s --reason floor`",
            *(stamp(daily.watermark), start, stamp(daily.watermark), start),
        )
