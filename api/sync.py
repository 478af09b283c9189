"""Starting runs: the daily run now, and backfills."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, JSONBody
from sqlalchemy import Engine

from api.once import Wish, once
from api.problems import FieldProblem, Refused, invalid
from api.responses import RunStarted
from api.specification import problem_responses, strict
from api.staff import Role, Staff, open_to
from api.starter import BACKFILL, DAILY, KINDS, Parameters, Started, Starter
from api.words import MOMENT, Now, moment_of
from shopsync.database.runs_read import read_run
from shopsync.telemetry import Status
from shopsync.window import stamp

FIRST_DAY = datetime(2006, 1, 1, tzinfo=UTC)
"""Shopify has no older order; each year before it would be a window to ask for."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Names this request: sent again under its key it starts nothing more.",
    ),
]

Moment = Annotated[str, msgspec.Meta(max_length=64, extra_json_schema=MOMENT)]
"""A time as text: of a number the framework would make the seconds since 1970."""


@strict
class SyncRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a trigger may say; nothing of it is needed."""

    run_id: UUID | None = None
    """Identity of the run; the same id goes on where an interrupted run stopped. Of a daily run, or of none yet."""
    initiator: Literal["cron", "user"] | None = None
    requested_at: Moment | None = None
    """When it was asked for; decides the day of its figures. Not in the future. A run that has begun keeps its own."""


@strict
class BackfillRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which orders to bring in again, and why."""

    start: Moment
    """First moment of the range."""
    end: Moment
    """End of the range, which is not in it any more; not in the future."""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """For whoever reads the records later."""
    window_days: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None
    """The longest window."""
    by: Literal["created", "updated"] | None = None
    """Choose orders by their creation (which never moves, so none is missed) or by their last update."""


_STARTED = {
    200: ResponseSpec(
        RunStarted,
        description="A run was waiting already: it is yours too. Or the run of this id has completed: nothing is left.",
        generate_examples=False,
    ),
    **problem_responses(409, 413, 415, 422),
}


@post(
    "/performance-metrics/sync",
    status_code=202,
    operation_id="startSync",
    summary="Start a daily run now",
    responses=_STARTED,
    sync_to_thread=True,
)
def start_sync(
    *,
    request: Request[Staff, Any, Any],
    database: NamedDependency[Engine],
    starter: NamedDependency[Starter],
    now: NamedDependency[Now],
    data: JSONBody[SyncRequest | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[RunStarted]:
    """At most one run is at work and one waits: a further request gets the waiting one, with `coalesced`."""
    asked = data or SyncRequest()
    at = moment_of(asked.requested_at, "requested_at", "body") or now()
    if at > now():
        raise invalid("requested_at", "body", "it lies in the future")
    if at < FIRST_DAY:
        raise invalid("requested_at", "body", "it lies before Shopify's first order")
    run_id = str(asked.run_id) if asked.run_id else None
    wish = Wish(request.user.name, request.url.path, idempotency_key, asked, run_id, at)

    def start(run_id: str, requested_at: datetime) -> Started:
        said = {"run_id": run_id, "initiator": asked.initiator or "user", "requested_at": stamp(requested_at)}
        return _start(database, starter, DAILY, said, is_timed=asked.requested_at is not None)

    return once(database, wish, now(), start)


@post(
    "/ingest/backfills",
    status_code=202,
    operation_id="startBackfill",
    summary="Start a backfill",
    responses=_STARTED,
    sync_to_thread=True,
)
def start_backfill(
    *,
    request: Request[Staff, Any, Any],
    database: NamedDependency[Engine],
    starter: NamedDependency[Starter],
    now: NamedDependency[Now],
    data: JSONBody[BackfillRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[RunStarted]:
    """Orders with `start <= created_at < end`, whatever the daily runs have seen; the watermark stays where it is."""
    wanted = _checked(data, now())
    wish = Wish(request.user.name, request.url.path, idempotency_key, data, None, now())

    def start(run_id: str, requested_at: datetime) -> Started:
        said = {**wanted, "run_id": run_id, "initiator": "user", "requested_at": stamp(requested_at)}
        started = _start(database, starter, BACKFILL, said, is_timed=False)
        if started.joined and not _same(started.parameters, wanted):
            raise Refused(
                409,
                f"another backfill, {started.run_id}, is waiting already: ask again when it has begun",
                kind="backfill-waiting",
            )
        return started

    return once(database, wish, now(), start)


def _start(database: Engine, starter: Starter, deployment: str, said: Parameters, *, is_timed: bool) -> Started:
    """Start a run, or go on with it; `is_timed` when its sender said when it was asked for."""
    run_id = said["run_id"]
    known = read_run(database, run_id)
    if known is None:
        return starter.start(deployment, said)
    if known.job_type != KINDS[deployment]:
        problem = f"it is the id of a run of another kind ({known.job_type}): leave it out to start one"
        raise Refused(409, f"run_id: {problem}", kind="run-id-taken", errors=[FieldProblem("run_id", "body", problem)])
    # The flow would refuse another time: a run keeps the one that it was begun with, and with it its window.
    requested_at = stamp(known.requested_at)
    if is_timed and said["requested_at"] != requested_at:
        raise invalid("requested_at", "body", f"run {run_id} was asked for at {requested_at}: leave it out to go on")
    if known.status == Status.COMPLETED:
        return Started(run_id, said, joined=False, status=Status.COMPLETED)
    return starter.start(deployment, {**said, "requested_at": requested_at})


def _checked(data: BackfillRequest, now: datetime) -> dict[str, Any]:
    start, end = moment_of(data.start, "start", "body"), moment_of(data.end, "end", "body")
    assert start is not None
    assert end is not None
    if start < FIRST_DAY:
        raise invalid("start", "body", "it lies before Shopify's first order: 2006-01-01 is early enough")
    if end > now:
        raise invalid("end", "body", "it lies in the future")
    if start >= end:
        raise invalid("end", "body", "it does not lie after start")
    if not data.reason.strip():
        raise invalid("reason", "body", "it is empty")
    chosen = {"window_days": data.window_days, "by": data.by}
    given = {name: value for name, value in chosen.items() if value is not None}
    return {"start": stamp(start), "end": stamp(end), "reason": data.reason.strip(), **given}


def _same(parameters: Parameters, wanted: Parameters) -> bool:
    def range_of(of: Parameters) -> tuple[Any, ...]:
        start, end = (datetime.fromisoformat(str(of[name])) for name in ("start", "end"))
        return start, end, of.get("window_days"), of.get("by") or "created"

    return range_of(parameters) == range_of(wanted)


router = Router("/api", route_handlers=[start_sync, start_backfill], opt=open_to(Role.OPERATOR), tags=["analytics"])
