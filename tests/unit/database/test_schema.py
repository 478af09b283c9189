"""Migrations; tests/services runs this on MariaDB too."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Engine,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
)
from sqlalchemy.types import TypeEngine

from shopsync.database import schema
from shopsync.database.columns import Ids, Money, UtcDateTime, UtcInstant
from shopsync.database.engine import open_database
from shopsync.database.tables import metadata, schema_version
from shopsync.errors import SchemaOutdated
from tests.database import MIGRATIONS, load, rows
from tests.factories import order

TABLES = tuple(metadata.tables.values())
DECLARED: dict[str, dict[type[Any], str]] = {
    "sqlite": {
        BigInteger: "INTEGER",
        Integer: "INTEGER",
        Boolean: "INTEGER",
        Money: "INTEGER",
        Double: "REAL",
        String: "TEXT",
        Text: "TEXT",
        UtcDateTime: "TEXT",
        UtcInstant: "TEXT",
        Ids: "BLOB",
        Date: "TEXT",
    },
    "mysql": {
        BigInteger: "BIGINT",
        Integer: "INTEGER",
        Boolean: "TINYINT",
        Money: "DECIMAL(19, 4)",
        Double: "DOUBLE",
        Text: "MEDIUMTEXT",
        UtcDateTime: "DATETIME",
        UtcInstant: "DATETIME(6)",
        Ids: "MEDIUMBLOB",
        Date: "DATE",
    },
}


@pytest.fixture
def empty(url: URL) -> Generator[Engine]:
    """A database without a table."""
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_migrations_make_these_columns(database: Engine, table: Table) -> None:
    """The migrations and tables.py agree on names, order and nulls."""
    reflected = inspect(database).get_columns(table.name)

    assert [(column.name, column.nullable) for column in table.columns] == [
        (column["name"], column["nullable"]) for column in reflected
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_migrations_make_these_types(database: Engine, table: Table) -> None:
    """They agree on types."""
    reflected = inspect(database).get_columns(table.name)

    assert [(column.name, _declared(column, database.dialect.name)) for column in table.columns] == [
        (column["name"], _reflected(column["type"], database)) for column in reflected
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_migrations_make_these_keys(database: Engine, table: Table) -> None:
    """They agree on primary keys and indexes."""
    inspector = inspect(database)
    indexes = {str(index["name"]): index["column_names"] for index in inspector.get_indexes(table.name)}

    assert [key.name for key in table.primary_key] == inspector.get_pk_constraint(table.name)["constrained_columns"]
    assert {str(index.name): [column.name for column in index.columns] for index in table.indexes} == indexes


def test_migrations_make_no_more(database: Engine) -> None:
    """There is no table that tables.py does not know."""
    assert set(metadata.tables) == set(inspect(database).get_table_names())


def test_empty_database_lacks_all(empty: Engine) -> None:
    """An empty database lacks every migration, in their order."""
    assert MIGRATIONS == schema.missing(empty)


def test_applies_what_is_missing(empty: Engine) -> None:
    """Applying names what it applied; then nothing is missing."""
    assert MIGRATIONS == schema.apply(empty)
    assert () == schema.missing(empty)


def test_applies_nothing_twice(database: Engine) -> None:
    """Applying again changes nothing."""
    assert () == schema.apply(database)


def test_applies_over_a_half(database: Engine) -> None:
    """A migration that failed before it was recorded runs again, over tables, columns and indexes that are there."""
    load(database, [order(1)])
    with database.begin() as connection:
        connection.execute(delete(schema_version))

    assert MIGRATIONS == schema.apply(database)
    assert [{"version": name} for name in MIGRATIONS] == rows(database, schema_version)


def test_newer_schema_is_no_problem(database: Engine) -> None:
    """A migration of a later release does not stop this one."""
    with database.begin() as connection:
        connection.execute(insert(schema_version).values(version="9999_later"))

    assert () == schema.missing(database)


def test_current_schema_is_left_alone(database: Engine) -> None:
    """A database with the release's schema is ready."""
    schema.prepare(database)

    assert () == schema.missing(database)


def test_missing_table_names_the_command(empty: Engine) -> None:
    """A statement that meets a missing table says which command to run."""
    with pytest.raises(SchemaOutdated, match=r"lacks .*archive_progress.*: run `python -m shopsync.database apply`"):
        load(empty, [order(1)])


def test_missing_column_names_the_command(database: Engine) -> None:
    """A statement that meets a missing column says which command to run, too."""
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE order_header DROP COLUMN tags")

    with pytest.raises(SchemaOutdated, match=r"lacks .*tags.*: run `python -m shopsync.database apply`"):
        load(database, [order(1)])


def _declared(column: Column[Any], dialect: str) -> str:
    kind: Any = column.type
    return DECLARED[dialect].get(type(kind)) or f"VARCHAR({kind.length})"


def _reflected(kind: TypeEngine[Any], database: Engine) -> str:
    # Without the charset, and without the widths that MariaDB shows for integers.
    return re.sub(r" CHARACTER SET.*|(?<=INT|GER)\(\d+\)", "", kind.compile(database.dialect))
