"""
The records of a run: its first, which fixes what the run is, and its last, on every way out.

The steps between write their own record when they start.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from prefect import get_run_logger
from prefect.runtime import flow_run

from shopsync.database import runs
from shopsync.database.watermarks import last_advance
from shopsync.errors import SyncError, WindowError
from shopsync.journal import find_run, open_run
from shopsync.run import Run
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Step
from shopsync.watermark import agreed
from shopsync.window import DailyWindow, daily_window, stamp, whole_second
from tasks import connections, watermark
from tasks.step import step


@step("initiate daily run")
def initiate_daily_run(
    run_id: str, initiator: Initiator, requested_at: datetime | None, scheduled_start: datetime
) -> Run:
    """
    Fix what this run is, its window above all; a run that was begun before goes on as it was begun.

    Args:
        requested_at: None for when it was begun before, or else the scheduled start.
    """
    settings, now = connections.settings(), connections.now()
    settings.require_shop()
    requested_at = _requested_at(run_id, requested_at, scheduled_start, now)
    in_block, in_database = _watermarks(settings.watermark_block)
    daily = daily_window(agreed(in_block, in_database), now, overlap=settings.overlap, lag=settings.lag)
    first = msgspec.structs.replace(
        _first_record(run_id, initiator, requested_at, Step.INITIATED),
        window_start=daily.window.start,
        window_end=daily.window.end,
        watermark_before=daily.watermark,
    )
    run = Run.of(open_run(connections.lake(), first, connections.project).records())
    if run.whole == daily.window:
        _warn(daily, in_block, in_database)
    get_run_logger().info("orders updated from %s to %s are asked for", stamp(run.window.start), stamp(run.window.end))
    return run


def refuse(run_id: str, initiator: Initiator, requested_at: datetime, failure: SyncError) -> None:
    """Write the record of a run that could not begin, or not go on: its database, or what was asked, is at fault."""
    if isinstance(failure, WindowError) and _begun_before(run_id) is not None:
        return  # a wrong question about a run does not touch the run
    error = RunError(type=type(failure).__name__, message=str(failure), step=Step.INITIATED)
    begun = find_run(connections.lake(), run_id, requested_at, connections.project)
    if begun is not None:
        begun.append(Step.FAILED, at=connections.now(), error=error)
        return
    first = _first_record(run_id, initiator, requested_at, Step.FAILED)
    open_run(connections.lake(), msgspec.structs.replace(first, error=error), connections.project)


def _requested_at(run_id: str, given: datetime | None, scheduled_start: datetime, now: datetime) -> datetime:
    """Return when the run was asked for; a run that was begun before keeps its time, and with it its window."""
    begun = _begun_before(run_id)
    if begun is not None and given is not None and whole_second(begun) != whole_second(given):
        raise WindowError(f"run {run_id} was asked for at {stamp(begun)}: leave requested_at out to go on with it")
    if given is not None and given > now:
        raise WindowError(f"requested_at lies in the future ({stamp(given)}): a run cannot be asked for ahead")
    # A Prefect server's clock may be ahead of ours.
    return begun or given or min(scheduled_start, now)


def _first_record(run_id: str, initiator: Initiator, requested_at: datetime, step: Step) -> RunRecord:
    now = connections.now()
    return RunRecord(
        run_id=run_id,
        job_type=JobType.DAILY,
        initiator=initiator,
        requested_at=requested_at,
        process_initiated_at=now,
        step=step,
        status=step.status,
        at=now,
        flow_run_id=flow_run.id,
        duration_s=0.0,
    )


def _watermarks(name: str) -> tuple[datetime | None, datetime | None]:
    """Return the watermark of the block, and the one that the database recorded for the block's shop."""
    block = watermark.load(name)
    if block is None:
        return None, None
    with connections.database() as database:
        return block.watermark, last_advance(database, block.shop)


def _begun_before(run_id: str) -> datetime | None:
    with connections.database() as database:
        return runs.requested_at(database, run_id)


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


def complete(run: Run, products: int, watermark_after: datetime | None) -> None:
    """Write the record of a run's completion; `watermark_after` is None when the watermark did not move."""
    connections.record(run, Step.COMPLETED, Counts(products=products), watermark_after=watermark_after)


def fail(run: Run, failure: BaseException) -> Step:
    """Write the record of a run's failure, with what an operator needs to know of it; return the step it was in."""
    journal = connections.journal(run)
    stopped_at = journal.last.step
    error = RunError(
        type=type(failure).__name__,
        message=_in_words(failure),
        step=stopped_at,
        archive_key=getattr(failure, "archive_key", None) or journal.last.archive_key,
        line=getattr(failure, "line", None),
    )
    connections.record(run, Step.FAILED, error=error)
    return stopped_at


def _in_words(failure: BaseException) -> str:
    if isinstance(failure, SyncError):
        return str(failure)
    if isinstance(failure, Exception):
        # Its text may hold anything, a token included; the traceback is in the log of the process.
        return f"unexpected {type(failure).__name__}: see the log of the flow run"
    return "the process was told to stop; the same run id goes on where it was"
