"""Runs as staff read them: newest first, page by page, from the projection; fast with years of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, Select, and_, or_, select

from shopsync.database.engine import reading
from shopsync.database.tables import sync_run


@dataclass(frozen=True, slots=True)
class RunFilters:
    """Which runs; None where a filter does not apply."""

    status: str | None = None
    job_type: str | None = None


@dataclass(frozen=True, slots=True)
class RunPosition:
    """Where a page ended: its last run."""

    requested_at: datetime
    run_id: str


def read_runs(engine: Engine, filters: RunFilters, after: RunPosition | None, limit: int) -> Sequence[Row[Any]]:
    """Return at most `limit` runs, newest first by when they were asked for; after a position if there is one."""
    with reading(engine) as connection:
        return connection.execute(runs_query(filters, after, limit)).all()


def runs_query(filters: RunFilters, after: RunPosition | None, limit: int) -> Select[Any]:
    """Return the query of one page; the index that has the filters' columns first also has the order."""
    run = sync_run.c
    query = select(sync_run).order_by(run.requested_at.desc(), run.run_id.desc()).limit(limit)
    query = query.with_hint(sync_run, f"FORCE INDEX ({_index(filters)})", "mysql")
    if filters.job_type is not None:
        query = query.where(run.job_type == filters.job_type)
    if filters.status is not None:
        query = query.where(run.status == filters.status)
    if after is None:
        return query
    older = or_(run.requested_at < after.requested_at, run.run_id < after.run_id)
    return query.where(and_(run.requested_at <= after.requested_at, older))


def _index(filters: RunFilters) -> str:
    named = [name for name, value in (("job", filters.job_type), ("status", filters.status)) if value is not None]
    return f"sync_run_{'_'.join(named)}" if named else "sync_run_newest"


def read_run(engine: Engine, run_id: str) -> Row[Any] | None:
    """Return one run; None when there is none."""
    with reading(engine) as connection:
        return connection.execute(select(sync_run).where(sync_run.c.run_id == run_id)).one_or_none()
