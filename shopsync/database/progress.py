"""
How far a run has brought an archive in: counted in its orders, committed with the rows.

It moves by compare-and-set, so that no two attempts at the same orders both count: neither one whose commit was not
heard of and its repetition, nor two processes under one run id.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, bindparam, select, update

from shopsync.database.engine import insert_if_absent, writing
from shopsync.database.tables import archive_progress
from shopsync.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class UpsertProgress:
    """
    How far an archive is in, from its first order on.

    `orders`, `line_items` and `sales` were in it; of these orders `unchanged` were here already, in this version with
    the same figures or in a newer one. `removed` counts lines and sales that their orders no longer have.
    `max_updated_at` is the greatest of the orders; None as long as there is none.
    """

    orders: int = 0
    line_items: int = 0
    sales: int = 0
    unchanged: int = 0
    removed: int = 0
    max_updated_at: datetime | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class ProgressKey:
    """Whose progress: a run's, through one archive."""

    archive_sha256: str
    run_id: str


_KEY = and_(
    archive_progress.c.archive_sha256 == bindparam("of_archive"), archive_progress.c.run_id == bindparam("of_run")
)
_STORED = select(*(archive_progress.c[name] for name in UpsertProgress.__dataclass_fields__)).where(_KEY)
_ADVANCE = update(archive_progress).where(_KEY, archive_progress.c.orders == bindparam("from_orders"))
_BEGIN = insert_if_absent(archive_progress)


def begin(engine: Engine, key: ProgressKey) -> UpsertProgress:
    """Return what is in; of an archive that is new to the run, nothing."""
    with writing(engine) as connection:
        connection.execute(_BEGIN, asdict(key) | asdict(UpsertProgress()))
        return stored(connection, key)


def stored(connection: Connection, key: ProgressKey) -> UpsertProgress:
    """Return what is in of an archive that was begun."""
    return UpsertProgress(*connection.execute(_STORED, _named(key)).one())


def advance(connection: Connection, key: ProgressKey, before: UpsertProgress, after: UpsertProgress) -> bool:
    """Move from `before` to `after` in the connection's transaction; False when somebody else moved it meanwhile."""
    values = {**_named(key), "from_orders": before.orders, **asdict(after)}
    return connection.execute(_ADVANCE, values).rowcount == 1


def finish(engine: Engine, key: ProgressKey, progress: UpsertProgress) -> UpsertProgress:
    """Record that all of the archive is in, or raise DatabaseUnavailable when the database knows of less or more."""
    finished = replace(progress, finished=True)
    with writing(engine) as connection:
        if not advance(connection, key, progress, finished):
            raise forgotten(engine)
    return finished


def forgotten(engine: Engine) -> DatabaseUnavailable:
    """Return the error for a database that was restored, or emptied, while an archive was brought in."""
    return DatabaseUnavailable(
        engine.url.render_as_string(hide_password=True), "it has forgotten orders that it had committed"
    )


def _named(key: ProgressKey) -> dict[str, str]:
    return {"of_archive": key.archive_sha256, "of_run": key.run_id}
