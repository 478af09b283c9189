"""What the drivers' exceptions mean, by the texts that the servers were recorded to give."""

from __future__ import annotations

import sqlite3

import pymysql
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shopsync.database.faults import Fault, described, fault, in_our_words, there_already, translated
from shopsync.errors import DatabaseUnavailable, SchemaOutdated

URL = make_url("mysql+pymysql://staff:hunter2@db.example/shop")


def _mysql(kind: type[DBAPIError], code: int, text: str) -> DBAPIError:
    return kind("SELECT 'a secret value'", None, pymysql.MySQLError(code, text))


@pytest.mark.parametrize("code", [1213, 1205, 1020])
def test_conflicts_are_tried_again(code: int) -> None:
    """Deadlocks and lock waits are nobody's fault."""
    assert Fault.CONFLICT is fault(_mysql(OperationalError, code, "try restarting transaction"))


@pytest.mark.parametrize(
    "error",
    [
        _mysql(DataError, 1406, "Data too long for column 'title' at row 1"),
        _mysql(IntegrityError, 1048, "Column 'title' cannot be null"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"),
    ],
)
def test_rows_are_refused(error: Exception) -> None:
    """What a column cannot hold is the row's fault."""
    assert Fault.REFUSED is fault(error)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (_mysql(ProgrammingError, 1146, "Table 'shop.order_header' doesn't exist"), "shop.order_header"),
        (_mysql(OperationalError, 1054, "Unknown column 'tags' in 'field list'"), "tags"),
        (OperationalError("", None, sqlite3.OperationalError("no such table: order_header")), "order_header"),
        (OperationalError("", None, sqlite3.OperationalError("no such column: tags")), "tags"),
        (OperationalError("", None, sqlite3.OperationalError("table a has no column named tags")), "tags"),
    ],
)
def test_old_schema_names_what_it_lacks(error: Exception, name: str) -> None:
    """A table or column that is not there leads to the command that makes it."""
    assert SchemaOutdated("mysql+pymysql://staff:***@db.example/shop", (name,)).args == in_our_words(URL, error).args


def test_the_rest_is_unavailable() -> None:
    """Anything else is told in the driver's words, without statement, values or password."""
    error = _mysql(OperationalError, 2003, "Can't connect to MySQL server on 'db.example'\n(timed out)")

    with pytest.raises(DatabaseUnavailable) as caught, translated(URL):
        raise error

    assert (
        "the database mysql+pymysql://staff:***@db.example/shop fails: Can't connect to MySQL server on 'db.example' "
        "(timed out). Check SHOPSYNC_DATABASE_URL"
    ) == str(caught.value)


def test_pool_speaks_for_itself() -> None:
    """SQLAlchemy's own failures have no driver's words."""
    assert "QueuePool limit reached" == described(PoolTimeout("QueuePool limit reached"))


def test_nameless_error_has_its_type() -> None:
    """An exception without a text is told by its type."""
    assert "TimeoutError" == described(PoolTimeout())


@pytest.mark.parametrize(
    "error",
    [
        _mysql(OperationalError, 1050, "Table 'shop' already exists"),
        _mysql(OperationalError, 1060, "Duplicate column name 'roots'"),
        _mysql(OperationalError, 1061, "Duplicate key name 'shop_name'"),
        OperationalError("ALTER", None, sqlite3.OperationalError("duplicate column name: roots")),
        OperationalError("CREATE", None, sqlite3.OperationalError("index shop_name already exists")),
        OperationalError("CREATE", None, sqlite3.OperationalError("table shop already exists")),
    ],
)
def test_knows_what_is_there_already(error: DBAPIError) -> None:
    """What a migration that failed half-way has made is no failure of the next try."""
    assert there_already(error)


def test_other_failures_are_none_of_that() -> None:
    """A missing table is not there already."""
    assert not there_already(_mysql(ProgrammingError, 1146, "Table 'shop.shop' doesn't exist"))
