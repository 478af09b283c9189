"""
`api_idempotency`: requests that start runs, remembered by the key that their sender gave them.

A request is stored before it is acted on, with the id of the run that it is to start. Whoever repeats it gets the
answer that it got; when it was never answered because its process died, the repetition goes on under the same run id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, Engine, and_, delete, select, update

from shopsync.database.engine import insert_if_absent, writing
from shopsync.database.pages import delete_paged
from shopsync.database.tables import api_idempotency as table

ATTEMPT = timedelta(seconds=30)
"""After this long an attempt that has not answered is taken for dead; none takes nearly as long."""
KEPT = timedelta(days=1)
"""How long a key is remembered."""

_INSERT = insert_if_absent(table)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request: who sent it under which key, what it says, and the run that it would start."""

    principal: str
    key: str
    fingerprint: str
    run_id: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """It is ours to act on, under the run id and the time that were stored first."""

    run_id: str
    requested_at: datetime
    attempt: str


@dataclass(frozen=True, slots=True)
class Answered:
    """It was answered so."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class InFlight:
    """Somebody acts on it right now."""


@dataclass(frozen=True, slots=True)
class Differs:
    """The key belongs to a request that says something else."""


def claim(engine: Engine, request: KeyedRequest, now: datetime) -> Claimed | Answered | InFlight | Differs:
    """Store a request, unless it is there already; tell what is to be done about it."""
    attempt = uuid4().hex
    with writing(engine) as connection:
        # Read first: an insert that is refused would keep a lock, over which two of them could die of a deadlock.
        stored = connection.execute(select(table).where(_of(request))).one_or_none()
        if stored is None:
            # By both: `requested_at` is the sender's, and may lie long ago.
            old = and_(table.c.requested_at < now - KEPT, table.c.attempted_at < now - KEPT)
            delete_paged(connection, delete(table).where(old))
            row = {
                "principal": request.principal,
                "idempotency_key": request.key,
                "fingerprint": request.fingerprint,
                "run_id": request.run_id,
                "requested_at": request.requested_at,
                "attempt": attempt,
                "attempted_at": now,
            }
            if connection.execute(_INSERT, row).rowcount:
                return Claimed(request.run_id, request.requested_at, attempt)
            stored = connection.execute(select(table).where(_of(request))).one()
        if stored.fingerprint != request.fingerprint:
            return Differs()
        if stored.status is not None:
            return Answered(stored.status, stored.answer)
        if stored.attempted_at > now - ATTEMPT:
            return InFlight()
        dead = and_(_of(request), table.c.attempt == stored.attempt)
        took = connection.execute(update(table).where(dead).values(attempt=attempt, attempted_at=now)).rowcount
        return Claimed(stored.run_id, stored.requested_at, attempt) if took else InFlight()


def remember(engine: Engine, request: KeyedRequest, claimed: Claimed, answer: Answered) -> None:
    """Store the answer that repetitions get."""
    with writing(engine) as connection:
        ours = and_(_of(request), table.c.attempt == claimed.attempt)
        connection.execute(update(table).where(ours).values(status=answer.status, answer=answer.answer))


def give_back(engine: Engine, request: KeyedRequest, claimed: Claimed, now: datetime) -> None:
    """Let the next repetition act at once, under the same run id: this attempt failed, or may have."""
    with writing(engine) as connection:
        ours = and_(_of(request), table.c.attempt == claimed.attempt)
        connection.execute(update(table).where(ours).values(attempted_at=now - 2 * ATTEMPT))


def _of(request: KeyedRequest) -> ColumnElement[bool]:
    return and_(table.c.principal == request.principal, table.c.idempotency_key == request.key)
