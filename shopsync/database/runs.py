"""
`sync_run` and `sync_step`: what staff see of the runs, and when each step of one began, projected from sync.telemetry.

The records are the truth: projecting them again, in their order, makes the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, select

from shopsync.database.engine import reading, writing
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import sync_run, sync_step
from shopsync.telemetry import RunRecord, Status

MESSAGE_CHARACTERS = 4_000
"""The whole message is in sync.telemetry."""

_PASSING = frozenset({"waiting_until", "error_type", "error_message"})
"""What a later record without it takes back: the run waits no more, or a retry got past the error."""

_RUNS = Upsert(
    sync_run,
    tuple(sync_run.c.keys()),
    guard="updated_at",
    kept=frozenset(column.name for column in sync_run.c if column.nullable) - _PASSING,
)

_STEPS = Upsert(sync_step, tuple(sync_step.c.keys()), guard=None)


def project(engine: Engine, record: RunRecord) -> None:
    """
    Bring a run's row up to a record; the later record wins, whichever comes last. Its step is kept beside it.

    What a later record does not repeat stays (a bulk operation's id, a count), but for waits and errors.
    """
    with writing(engine) as connection:
        _project(connection, record)


def project_anew(engine: Engine, records: Sequence[RunRecord]) -> None:
    """
    Make the rows of a run what its records say, at once, whatever they said before.

    Of a run that goes on, what was projected since these records were read stays.
    """
    newest = max(record.at for record in records)
    with writing(engine) as connection:
        for table, at in ((sync_run, sync_run.c.updated_at), (sync_step, sync_step.c.at)):
            connection.execute(delete(table).where(table.c.run_id == records[0].run_id, at <= newest))
        for record in records:
            _project(connection, record)


def _project(connection: Connection, record: RunRecord) -> None:
    row = _row(record)
    upsert(connection, _RUNS, [tuple(row[name] for name in _RUNS.columns)])
    upsert(connection, _STEPS, [(record.run_id, record.at, record.step, record.flow_run_id)])


def _row(record: RunRecord) -> dict[str, Any]:
    fields = asdict(record)
    counts, error = record.counts, record.error
    return {
        **fields,
        **{name: getattr(counts, name) for name in counts.__dataclass_fields__},
        "updated_at": record.at,
        "differences": None if record.differences is None else len(record.differences),
        "error_type": error and error.type,
        "error_message": error and error.message[:MESSAGE_CHARACTERS],
    }


def requested_at(engine: Engine, run_id: str) -> datetime | None:
    """Return when a run was asked for; None when it has no record yet."""
    with reading(engine) as connection:
        return connection.scalar(select(sync_run.c.requested_at).where(sync_run.c.run_id == run_id))


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as far as it takes to find its journal and its flow run."""

    run_id: str
    requested_at: datetime
    flow_run_id: str | None


def unfinished(engine: Engine) -> list[KnownRun]:
    """Return the runs that neither completed nor failed, the oldest first."""
    over = (Status.COMPLETED.value, Status.FAILED.value)
    return _known(engine, sync_run.c.status.not_in(over))


def of_flow_run(engine: Engine, flow_run_id: str) -> list[KnownRun]:
    """Return the runs that a flow run last worked on: one, or a backfill and its windows."""
    return _known(engine, sync_run.c.flow_run_id == flow_run_id)


def last_heard_of(engine: Engine, run_ids: Collection[str]) -> datetime | None:
    """Return when any of these runs last told something, or until when it said that it waits; None without a row."""
    heard, waits = func.max(sync_run.c.updated_at), func.max(sync_run.c.waiting_until)
    with reading(engine) as connection:
        row = connection.execute(select(heard, waits).where(sync_run.c.run_id.in_(run_ids))).one()
    return max((at for at in row if at is not None), default=None)


def _known(engine: Engine, which: ColumnElement[bool]) -> list[KnownRun]:
    columns = (sync_run.c.run_id, sync_run.c.requested_at, sync_run.c.flow_run_id)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(which).order_by(sync_run.c.requested_at, sync_run.c.run_id))
        return [KnownRun(row.run_id, row.requested_at, row.flow_run_id) for row in rows]
