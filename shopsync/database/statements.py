"""
The guarded upsert, per dialect: the one thing that the write path does not leave to SQLAlchemy.

A Core insert costs 26 to 35 microseconds a row and PyMySQL's escaping 18, where 4 suffice. SQLite takes
prepared statements with bound values. For MySQL the values are written into the statement: numbers, decimals and
times from their own types, text through the driver's escaping. Rows come as tuples in the order of the columns, of
plain Python values, sorted by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Table

from shopsync.database.driver import PatientConnection
from shopsync.database.literals import Columns, Rows, bound, literals

STATEMENT_BYTES = 1_000_000
"""Well under the smallest `max_allowed_packet` in use (16 MB), whatever the rows hold."""


@dataclass(frozen=True)
class Upsert:
    """
    An insert that updates the row which is there, unless that is newer.

    Args:
        table: Where to.
        columns: The columns that the rows bring, keys included; the others are left alone.
        guard: The row is overwritten when the new value of this column is equal or greater, or the old one null;
            None when the caller knows, and holds a lock that keeps it so, that the new rows are the newest.
        kept: Columns in which a null never replaces a value.
        newer_only: Columns that change only with a greater guard.
    """

    table: Table
    columns: tuple[str, ...]
    guard: str | None
    kept: frozenset[str] = frozenset()
    newer_only: frozenset[str] = frozenset()

    @property
    def keys(self) -> tuple[str, ...]:
        """The primary key."""
        return tuple(column.name for column in self.table.primary_key.columns)

    @property
    def updated(self) -> tuple[str, ...]:
        """What an update sets; the guard comes last, since MySQL assigns from left to right."""
        others = (name for name in self.columns if name not in self.keys)
        return tuple(sorted(others, key=lambda name: name == self.guard))

    def column(self, name: str) -> Column[Any]:
        """Return a column of the table."""
        return self.table.c[name]


@dataclass(frozen=True, slots=True)
class Statements:
    """What is ready to be sent: MySQL's statements hold their rows, SQLite's one has them bound."""

    texts: Sequence[str]
    rows: Sequence[tuple[Any, ...]] | None = None

    def execute(self, connection: Connection) -> int | None:
        """
        Send them in the connection's transaction.

        Returns:
            How many of the rows were there already; None where the database does not say.
        """
        counts: list[int | None] = []
        for text in self.texts:
            # No parameters for MySQL: the driver must not take a % in a value for a placeholder.
            connection.exec_driver_sql(text, self.rows, execution_options={"no_parameters": self.rows is None})
            driver = connection.connection.dbapi_connection
            counts.append(driver.duplicates() if isinstance(driver, PatientConnection) else None)
        return None if None in counts else sum(filter(None, counts))


def prepared(dialect: str, into: Upsert, rows: Sequence[Sequence[Any]]) -> Statements:
    """
    Return the statements that upsert `rows`, none for no rows.

    Raises:
        InexactMoney: An amount has more than four decimals.
        UnicodeEncodeError: A text holds half of a character.
    """
    if not rows:
        return Statements(())
    columns = [into.column(name) for name in into.columns]
    if dialect == "sqlite":
        return Statements((sqlite_statement(into),), bound(columns, rows))
    head, tail = mysql_statement(into)
    return Statements([f"{head}{values.decode()}{tail}" for values in packed(columns, rows, STATEMENT_BYTES)])


def upsert(connection: Connection, into: Upsert, rows: Sequence[Sequence[Any]]) -> None:
    """Write `rows` in the connection's transaction, or raise as `prepared` does."""
    prepared(connection.dialect.name, into, rows).execute(connection)


@cache
def sqlite_statement(into: Upsert) -> str:
    """Return the statement for prepared, bound rows."""
    old_guard, new_guard = f"{into.table.name}.{into.guard}", f"excluded.{into.guard}"

    def value(name: str) -> str:
        old, new = f"{into.table.name}.{name}", f"excluded.{name}"
        if name in into.newer_only:
            return f"CASE WHEN {new_guard} > {old_guard} THEN {new} ELSE {old} END"
        return f"COALESCE({new}, {old})" if name in into.kept else new

    return (
        f"INSERT INTO {into.table.name} ({', '.join(into.columns)}) VALUES ({', '.join('?' * len(into.columns))}) "
        f"ON CONFLICT ({', '.join(into.keys)}) DO UPDATE SET "
        f"{', '.join(f'{name} = {value(name)}' for name in into.updated)}"
        + (f" WHERE {new_guard} >= {old_guard} OR {old_guard} IS NULL" if into.guard else "")
    )


@cache
def mysql_statement(into: Upsert) -> tuple[str, str]:
    """Return what stands before and after the rows."""
    # VALUES() is the only form that MySQL 8, MariaDB and Vitess all take.
    new_guard = f"VALUES({into.guard})"
    as_new = f"{new_guard} >= {into.guard}"
    if into.guard and into.column(into.guard).nullable:
        as_new = f"({into.guard} IS NULL OR {as_new})"

    def value(name: str) -> str:
        new = f"COALESCE(VALUES({name}), {name})" if name in into.kept else f"VALUES({name})"
        if into.guard is None:
            return new
        return f"IF({f'{new_guard} > {into.guard}' if name in into.newer_only else as_new}, {new}, {name})"

    return (
        f"INSERT INTO {into.table.name} ({', '.join(into.columns)}) VALUES ",
        f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = {value(name)}' for name in into.updated)}",
    )


def packed(columns: Columns, rows: Rows, limit: int) -> Iterator[bytes]:
    """Write rows out, as many at a time as fit into `limit` bytes, or a single one."""
    together = literals(columns, rows)
    if len(rows) == 1 or len(together) <= limit:
        yield together
        return
    half = len(rows) // 2
    yield from packed(columns, rows[:half], limit)
    yield from packed(columns, rows[half:], limit)
