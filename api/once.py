"""
Requests that start something, done once: what their `Idempotency-Key` promises.

The request is stored with a fingerprint before Prefect is asked. A repetition gets the stored answer; one that comes
while the first is at work gets 409, one that says something else 422; and one that comes after a crash goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import msgspec
from litestar import Response
from sqlalchemy import Engine

from api.problems import Refused
from api.responses import RunStarted
from api.starter import Started
from shopsync.database import idempotency
from shopsync.database.idempotency import Answered, Claimed, Differs, InFlight, KeyedRequest
from shopsync.telemetry import Status

IN_FLIGHT_S = 2
"""When to ask again what is being answered right now."""

Start = Callable[[str, datetime], Started]
"""Starts the run of an id, asked for at a time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for: by whom, under which key, with which body, for which run."""

    principal: str
    path: str
    key: str | None
    body: object
    run_id: str | None
    requested_at: datetime


def once(engine: Engine, wish: Wish, now: datetime, start: Start) -> Response[RunStarted]:
    """
    Start the run of a wish, unless that was done already; answer 202, or 200 when it joined a waiting run or is over.

    Raises:
        Refused: The key is another request's (422), or this one is being answered (409).
    """
    run_id = wish.run_id or str(uuid4())
    if wish.key is None:
        return _response(_begin(start, run_id, wish.requested_at))
    request = KeyedRequest(wish.principal, wish.key, _fingerprint(wish), run_id, wish.requested_at)
    match idempotency.claim(engine, request, now):
        case Claimed() as claimed:
            return _response(_answered(engine, request, claimed, start, now))
        case Answered() as answered:
            return _response(answered, replayed=True)
        case InFlight():
            raise Refused(
                409,
                "this request is being answered right now: ask again in a moment",
                kind="request-in-flight",
                headers={"Retry-After": str(IN_FLIGHT_S)},
            )
        case Differs():
            raise Refused(
                422,
                "this Idempotency-Key was given to a request that says something else: give this one a key of its own",
                kind="idempotency-key-reused",
            )


def _answered(engine: Engine, request: KeyedRequest, claimed: Claimed, start: Start, now: datetime) -> Answered:
    try:
        answered = _begin(start, claimed.run_id, claimed.requested_at)
    except Exception:
        # Prefect may have started the run all the same: who asks again goes on with the same run id.
        idempotency.give_back(engine, request, claimed, now)
        raise
    idempotency.remember(engine, request, claimed, answered)
    return answered


def _begin(start: Start, run_id: str, requested_at: datetime) -> Answered:
    started = start(run_id, requested_at)
    answer = RunStarted(
        run_id=started.run_id,
        status=started.status,
        url=f"/api/ingest/runs/{started.run_id}",
        coalesced=started.joined,
    )
    begins = not started.joined and started.status is Status.INITIATED
    return Answered(202 if begins else 200, msgspec.json.encode(answer).decode())


def _response(answered: Answered, *, replayed: bool = False) -> Response[RunStarted]:
    content = msgspec.json.decode(answered.answer, type=RunStarted)
    headers = {"Location": content.url} | ({"Idempotency-Replayed": "true"} if replayed else {})
    return Response(content, status_code=answered.status, headers=headers)


def _fingerprint(wish: Wish) -> str:
    return hashlib.sha256(msgspec.json.encode([wish.path, wish.body])).hexdigest()
