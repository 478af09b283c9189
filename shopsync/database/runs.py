"""
`sync_run`: what staff see of the runs, one row each, projected from the records of sync.telemetry.

The records are the truth: projecting them again, in their order, makes the same rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Engine, select

from shopsync.database.engine import reading, writing
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import sync_run
from shopsync.telemetry import RunRecord

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


def project(engine: Engine, record: RunRecord) -> None:
    """
    Bring a run's row up to a record; the later record wins, whichever comes last.

    What a later record does not repeat stays (a bulk operation's id, a count), but for waits and errors.
    """
    with writing(engine) as connection:
        upsert(connection, _RUNS, [tuple(_row(record)[name] for name in _RUNS.columns)])


def _row(record: RunRecord) -> dict[str, Any]:
    fields = asdict(record)
    counts, error = record.counts, record.error
    return {
        **fields,
        **{name: getattr(counts, name) for name in counts.__dataclass_fields__},
        "updated_at": record.at,
        "error_type": error and error.type,
        "error_message": error and error.message[:MESSAGE_CHARACTERS],
    }


def requested_at(engine: Engine, run_id: str) -> datetime | None:
    """Return when a run was asked for; None when it has no record yet."""
    with reading(engine) as connection:
        return connection.scalar(select(sync_run.c.requested_at).where(sync_run.c.run_id == run_id))
