"""`/api/ingest/runs`: what the runs did, from our own records; of those that are not over also what Prefect says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter
from sqlalchemy import Engine, Row

from api.caching import NOT_MODIFIED, unless_known
from api.cursors import Cursor, Limit, cut_page, next_link, read_cursor
from api.live import Live, LiveRuns
from api.problems import Refused
from api.responses import Page
from api.specification import problem_responses
from api.staff import Role, open_to
from shopsync.database.runs_read import RunFilters, RunPosition, read_run, read_runs
from shopsync.journal import read_records
from shopsync.lake import Lake
from shopsync.prefect_api import FlowRun, StateType
from shopsync.telemetry import JobType, RunRecord, Status

OVER = frozenset({Status.COMPLETED, Status.FAILED})


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run moved; null where it has not counted yet. `roots` is Shopify's own count of the orders."""

    objects: int | None
    roots: int | None
    orders: int | None
    line_items: int | None
    sales: int | None
    products: int | None
    unchanged: int | None
    removed: int | None
    bytes: int | None


class RunFailure(msgspec.Struct, frozen=True):
    """Why a run failed."""

    type: str
    message: str | None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands."""

    run_id: str
    job_type: str
    status: str
    step: str
    initiator: str
    requested_at: datetime
    process_initiated_at: datetime | None
    """When it began; null while it waits for a worker."""
    updated_at: datetime
    duration_s: float | None
    waiting_until: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    watermark_before: datetime | None
    watermark_after: datetime | None
    bulk_operation_id: str | None
    archive_key: str | None
    api_version: str | None
    flow_run_id: str | None
    counts: RunCounts
    error: RunFailure | None
    live: Live | None
    """Prefect's view; null once a record says that the run is over."""


class Run(RunSummary, frozen=True, kw_only=True):
    """A run with its records of sync.telemetry, in order."""

    records: list[RunRecord]


@get(
    "/",
    operation_id="listRuns",
    summary="List runs, newest first",
    responses=NOT_MODIFIED | problem_responses(),
    sync_to_thread=True,
)
def list_runs(
    *,
    request: Request[Any, Any, Any],
    database: NamedDependency[Engine],
    live: NamedDependency[LiveRuns],
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[Status | None, QueryParameter(description="As staff see it.")] = None,
    job_type: Annotated[JobType | None, QueryParameter(description="The kind of run.")] = None,
) -> Response[Page[RunSummary]]:
    """Runs by when they were asked for; they are all here, also while Prefect is down."""
    filters = RunFilters(status, job_type)
    found = read_runs(database, filters, read_cursor(cursor, RunPosition, filters), limit + 1)
    page, following = cut_page(found, limit, lambda row: RunPosition(row.requested_at, row.run_id), filters)
    states = live.states({row.run_id: row.flow_run_id for row in page if row.status not in OVER and row.flow_run_id})
    data = [RunSummary(**_fields(row, states)) for row in page]
    return unless_known(request, Page(data, following is not None, following, limit), next_link(request, following))


@get(
    "/{run_id:str}",
    operation_id="readRun",
    summary="Read one run with its records",
    responses=NOT_MODIFIED | problem_responses(404),
    sync_to_thread=True,
)
def show_run(
    request: Request[Any, Any, Any],
    database: NamedDependency[Engine],
    lake: NamedDependency[Lake],
    live: NamedDependency[LiveRuns],
    run_id: Annotated[
        str,
        PathParameter(
            pattern="^[A-Za-z0-9-]{1,64}$",
            description="The run's id.",
            examples=[Example("An id", value="0b7a3c1e-5a5c-4f0e-9a4e-2f6f1f0c7d11")],
        ),
    ],
) -> Response[Run]:
    """What each record of the run says, as it stands in the lake; and how far it is, while it goes on."""
    row = read_run(database, run_id)
    if row is None:
        return unless_known(request, _awaited(run_id, live, lake))
    asks = row.status not in OVER and row.flow_run_id
    states = {run_id: live.state(row.flow_run_id)} if asks else {}
    records = read_records(lake, run_id, row.requested_at)
    return unless_known(request, Run(**_fields(row, states), records=records))


def _awaited(run_id: str, live: LiveRuns, lake: Lake) -> Run:
    """Return a run that was started and is not in the database: whoever started it follows it from then on."""
    found = live.awaited(run_id)
    if found is None:
        raise Refused(404, f"there is no run {run_id} here", kind="no-such-run")
    flow_run, said = found.flow_run, found.flow_run.parameters
    given: Any = said.get("requested_at")
    requested_at = datetime.fromisoformat(given) if given else flow_run.expected_start_time
    assert requested_at is not None, "Prefect knows when a run of a deployment is to start"
    status = _status(flow_run)
    nothing: dict[str, Any] = dict.fromkeys(RunSummary.__struct_fields__)
    known = {
        "run_id": run_id,
        "job_type": found.job_type,
        "status": status,
        "step": status,
        "initiator": said.get("initiator") or "cron",
        "requested_at": requested_at,
        "updated_at": flow_run.end_time or requested_at,
        "flow_run_id": flow_run.id,
        "counts": _NO_COUNTS,
        "error": _why(flow_run) if status is Status.FAILED else None,
        "live": found.live,
    }
    # A database that lost its row does not mean that there are no records.
    return Run(**nothing | known, records=read_records(lake, run_id, requested_at) if flow_run.is_over else [])


def _status(run: FlowRun) -> Status:
    if not run.is_over or run.state is None:
        return Status.INITIATED
    return Status.COMPLETED if run.state.type is StateType.COMPLETED else Status.FAILED


def _why(run: FlowRun) -> RunFailure:
    """Return why a run failed that could not say so itself."""
    assert run.state is not None
    told = f": {run.state.message}" if run.state.message else ""
    return RunFailure(run.state.type.title(), f"its flow run is over, and left no record of its end{told}")


_NO_COUNTS = msgspec.convert(dict.fromkeys(RunCounts.__struct_fields__), RunCounts)


def _fields(row: Row[Any], live: Mapping[str, Live]) -> dict[str, Any]:
    columns = row._mapping
    plain = (name for name in RunSummary.__struct_fields__ if name in columns)
    return {
        **{name: columns[name] for name in plain},
        "counts": RunCounts(**{name: columns[name] for name in RunCounts.__struct_fields__}),
        "error": RunFailure(row.error_type, row.error_message) if row.error_type else None,
        "live": live.get(row.run_id),
    }


router = Router("/api/ingest/runs", route_handlers=[list_runs, show_run], opt=open_to(Role.VIEWER), tags=["analytics"])
