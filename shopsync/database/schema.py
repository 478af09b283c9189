"""
The numbered migrations: which of them a database lacks, and applying them.

`schema_version` holds the name of each migration that ran. On MySQL applying is a deliberate act of an operator
(PlanetScale wants it on a branch of its own), on SQLite it happens by itself.
"""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.exc import DBAPIError

from shopsync.database.engine import insert_if_absent, reading, writing
from shopsync.database.faults import there_already
from shopsync.database.tables import schema_version
from shopsync.errors import SchemaOutdated

_END_OF_STATEMENT = re.compile(r";\s*$", re.MULTILINE)
_RECORD = insert_if_absent(schema_version)


def missing(engine: Engine) -> tuple[str, ...]:
    """Return the names of the migrations that the database lacks, in their order."""
    with reading(engine) as connection:
        return _missing(connection)


def migration(engine: Engine, name: str) -> str:
    """Return the SQL of one migration in the database's dialect."""
    return _folder(engine.dialect.name).joinpath(f"{name}.sql").read_text("utf-8")


def apply(engine: Engine) -> tuple[str, ...]:
    """
    Apply what is missing and return the names; safe to run twice, and by two processes at once.

    SQLite takes all or nothing. On MySQL every DDL statement commits by itself; a file that failed half-way runs again.
    """
    with writing(engine) as connection:
        names = _missing(connection)
        for name in names:
            for statement in _END_OF_STATEMENT.split(migration(engine, name)):
                if statement.strip():
                    _execute(connection, statement)
            connection.execute(_RECORD, {"version": name})
        return names


def _execute(connection: Connection, statement: str) -> None:
    """Execute DDL; what a file that failed half-way has made is left: MySQL has no IF NOT EXISTS for columns."""
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if not there_already(error):
            raise


def prepare(engine: Engine) -> None:
    """
    Make sure that the schema is the release's.

    Raises:
        SchemaOutdated: A MySQL database lacks migrations; it names the command that applies them.
        DatabaseUnavailable: The database cannot be opened.
    """
    names = missing(engine)
    if not names:
        return
    if engine.dialect.name != "sqlite":
        raise SchemaOutdated(engine.url.render_as_string(hide_password=True), names)
    apply(engine)


def _missing(connection: Connection) -> tuple[str, ...]:
    folder = _folder(connection.dialect.name)
    known = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    if not inspect(connection).has_table(schema_version.name):
        return tuple(known)
    applied = set(connection.scalars(select(schema_version.c.version)))
    return tuple(name for name in known if name not in applied)


def _folder(dialect: str) -> Traversable:
    return resources.files("shopsync.database").joinpath("migrations", dialect)
