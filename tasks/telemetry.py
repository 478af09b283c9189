"""
The records of a run: what its first may say, and its last, on every way out.

The steps between write their own record when they start.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from prefect.runtime import flow_run

from shopsync.database import runs
from shopsync.errors import SyncError, WindowError
from shopsync.journal import find_run, open_run
from shopsync.run import Run
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Status, Step
from shopsync.window import stamp, whole_second
from tasks import connections
from tasks.step import again


def refuse(run_id: str, job_type: JobType, initiator: Initiator, requested_at: datetime, failure: SyncError) -> None:
    """
    Write the record of a run that could not begin, or not go on: its database, or what was asked, is at fault.

    What somebody asked for that makes no sense leaves no trace; a daily run asks for what it finds.
    """
    if isinstance(failure, WindowError) and (job_type is not JobType.DAILY or begun_before(run_id) is not None):
        return
    error = RunError(type=type(failure).__name__, message=str(failure), step=Step.INITIATED)
    begun = find_run(connections.lake(), run_id, requested_at, connections.project)
    if begun is not None and begun.last.job_type is not job_type:
        return  # nor does any failure to begin touch a run of another kind
    if begun is not None:
        begun.append(Step.FAILED, at=connections.now(), error=error)
        return
    first = first_record(run_id, job_type, initiator, requested_at, Step.FAILED)
    open_run(connections.lake(), msgspec.structs.replace(first, error=error), connections.project)


def fixed_requested_at(run_id: str, given: datetime | None, scheduled_start: datetime) -> datetime:
    """Return when the run was asked for; a run that was begun before keeps its time, and with it its window."""
    begun, now = begun_before(run_id), connections.now()
    if begun is not None and given is not None and whole_second(begun) != whole_second(given):
        raise WindowError(f"run {run_id} was asked for at {stamp(begun)}: leave requested_at out to go on with it")
    if given is not None and given > now:
        raise WindowError(f"requested_at lies in the future ({stamp(given)}): a run cannot be asked for ahead")
    # A Prefect server's clock may be ahead of ours.
    return begun or given or min(scheduled_start, now)


def first_record(run_id: str, job_type: JobType, initiator: Initiator, requested_at: datetime, step: Step) -> RunRecord:
    """Return the first record of a run, as far as every run has one."""
    now = connections.now()
    return RunRecord(
        run_id=run_id,
        job_type=job_type,
        initiator=initiator,
        requested_at=requested_at,
        process_initiated_at=now,
        step=step,
        status=step.status,
        at=now,
        flow_run_id=flow_run.id,
        duration_s=0.0,
    )


def begun_before(run_id: str) -> datetime | None:
    """Return when a run that has a record was asked for; None for a new run."""
    with connections.database() as database:
        return runs.requested_at(database, run_id)


@again
def complete(
    run: Run, counts: Counts, watermark_after: datetime | None = None, differences: list[str] | None = None
) -> None:
    """
    Write the record of a run's completion.

    Args:
        watermark_after: None when the watermark did not move.
        differences: Where orders differ from Shopify's; None when nobody compared them.
    """
    connections.record(run, Step.COMPLETED, counts, watermark_after=watermark_after, differences=differences)


def fail(run: Run, failure: BaseException) -> Step:
    """
    Write the record of a run's failure, with what an operator needs to know of it; return the step it was in.

    A run that has completed stays so, whatever comes after.
    """
    journal = connections.journal(run)
    stopped_at = journal.last.step
    if journal.last.status is Status.COMPLETED:
        return stopped_at
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
