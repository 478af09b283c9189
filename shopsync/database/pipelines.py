"""What `/analytics/pipelines` reads: of each kind of run its ends, its last 30 days, and the watermark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from shopsync.database.engine import reading
from shopsync.database.tables import sync_run, sync_step, watermark_advance
from shopsync.pipelines import PERIOD, PipelineFacts, PipelineRun, RecentRun
from shopsync.telemetry import JobType, Status, Step

MOST_RUNS = 1_000
"""Of one kind in 30 days: a backfill in windows makes hundreds."""
MOST_TIMED = 100
"""Of how many runs, the newest, steps are timed: each has a dozen, and a hundred tell a percentile."""


def pipeline_facts(engine: Engine, now: datetime) -> list[PipelineFacts]:
    """Return what is known of each kind of run, whether there was one or not."""
    with reading(engine) as connection:
        return [_facts(connection, job_type, now) for job_type in JobType]


def _facts(connection: Connection, job_type: JobType, now: datetime) -> PipelineFacts:
    recent = connection.execute(recent_query(job_type, now))
    steps = connection.execute(steps_query(job_type, now)).all()
    return PipelineFacts(
        job_type=job_type,
        last=_one(connection, newest_query(job_type)),
        last_success=_one(connection, last_query(job_type, Status.COMPLETED)),
        last_failure=_one(connection, last_query(job_type, Status.FAILED)),
        recent=[RecentRun(*row) for row in recent],
        step_durations_s=_durations(steps),
        data_as_of=connection.scalar(as_of_query()) if job_type is JobType.DAILY else None,
        watermark=connection.scalar(watermark_query()) if job_type is JobType.DAILY else None,
    )


def newest_query(job_type: JobType) -> Select[Any]:
    """Ask for the run of a kind that was asked for last."""
    run = sync_run.c
    return _summary(job_type).order_by(run.requested_at.desc(), run.run_id.desc()).limit(1)


def last_query(job_type: JobType, status: Status) -> Select[Any]:
    """Ask for the run of a kind that ended last with a status, whatever day it was asked for."""
    run = sync_run.c
    return (
        _summary(job_type)
        .with_hint(sync_run, "FORCE INDEX (sync_run_ended)", "mysql")
        .where(run.status == status)
        .order_by(run.updated_at.desc())
        .limit(1)
    )


def _summary(job_type: JobType) -> Select[Any]:
    columns = (sync_run.c[name] for name in PipelineRun.__struct_fields__)
    return select(*columns).where(sync_run.c.job_type == job_type)


def as_of_query() -> Select[Any]:
    """Ask up to when all orders are in: how far the windows of completed daily runs reach."""
    run = sync_run.c
    return select(func.max(run.window_end)).where(run.job_type == JobType.DAILY, run.status == Status.COMPLETED)


def recent_query(job_type: JobType, now: datetime) -> Select[Any]:
    """Ask for the runs of a kind in the last 30 days, the newest first."""
    run = sync_run.c
    return (
        select(*(run[name] for name in RecentRun.__struct_fields__))
        .with_hint(sync_run, "FORCE INDEX (sync_run_job)", "mysql")
        .where(run.job_type == job_type, run.requested_at > now - PERIOD)
        .order_by(run.requested_at.desc(), run.run_id.desc())
        .limit(MOST_RUNS)
    )


def steps_query(job_type: JobType, now: datetime) -> Select[Any]:
    """Ask when each step of the newest of those runs began."""
    ids = recent_query(job_type, now).with_only_columns(sync_run.c.run_id).limit(MOST_TIMED).subquery()
    step = sync_step.c
    return (
        select(step.run_id, step.step, step.at, step.flow_run_id)
        .join_from(ids, sync_step, step.run_id == ids.c.run_id)
        .order_by(step.run_id, step.at)
    )


def watermark_query() -> Select[Any]:
    """Ask where the watermark was last moved to, back by an operator included: a handful of rows a month."""
    advance = watermark_advance.c
    return select(advance.watermark).order_by(advance.advanced_at.desc(), advance.watermark.desc()).limit(1)


def _one(connection: Connection, query: Select[Any]) -> PipelineRun | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else PipelineRun(**row)


def _durations(rows: Sequence[Any]) -> Mapping[str, Sequence[float]]:
    """Return per step how long it took in each run, its attempts together; what lies between flow runs is nobody's."""
    took: dict[tuple[str, str], float] = {}
    for row, following in pairwise(rows):
        goes_on = (row.run_id, row.flow_run_id) == (following.run_id, following.flow_run_id)
        if goes_on and row.step != Step.FAILED:
            key = row.run_id, row.step
            took[key] = took.get(key, 0.0) + (following.at - row.at).total_seconds()
    durations: dict[str, list[float]] = defaultdict(list)
    for (_, step), seconds in took.items():
        durations[step].append(seconds)
    return {step: durations[step] for step in Step if step in durations}
