"""
Reads and deletes by many integer keys.

Most are sent past SQLAlchemy, which would compile each anew, with the keys written into them: binding a thousand costs
more than the rows that they find. What is written is numbers and names of this package, so there is nothing to
escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, CursorResult, Row, select

KEYS = 900
"""How many keys one statement names: from a thousand on, MariaDB makes a table of the list."""

Item = TypeVar("Item")


def rows_with(
    connection: Connection, columns: Sequence[ColumnElement[Any]], key: Column[Any], keys: Iterable[int]
) -> list[Row[Any]]:
    """Return the rows of `columns` whose `key` is one of `keys`, in no order; the key is the first of an index."""
    query = select(*columns).with_hint(key.table, f"FORCE INDEX ({_index(key)})", "mysql")
    return [row for batch in in_batches(keys) for row in connection.execute(query.where(key.in_(batch)))]


def raw_rows_with(
    connection: Connection, columns: str, key: Column[Any], keys: Iterable[int], *, locked: bool = False
) -> list[Row[Any]]:
    """
    Do the same at a fraction of the cost, for columns whose values are the driver's own: integers and text.

    Locked, they stay as they are until the transaction ends; SQLite has one writer at a time anyway.
    """
    dialect = connection.dialect.name
    query = f"SELECT {columns} FROM {_by_index(dialect, key)} WHERE "
    end = " FOR UPDATE" if locked and dialect != "sqlite" else ""
    return [row for batch in in_batches(keys) for row in _send(connection, query + _is_one_of(key, batch) + end)]


def remove(connection: Connection, key: Column[Any], keys: Iterable[int]) -> None:
    """Delete the rows whose `key` is one of `keys`."""
    for batch in in_batches(keys):
        _send(connection, f"DELETE FROM {key.table} WHERE {_is_one_of(key, batch)}")


def in_batches(items: Iterable[Item], size: int = KEYS) -> Iterator[list[Item]]:
    """Cut items into lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _by_index(dialect: str, key: Column[Any]) -> str:
    return key.table.name if dialect == "sqlite" else f"{key.table.name} FORCE INDEX ({_index(key)})"


@cache
def _index(key: Column[Any]) -> str:
    """Return the index that finds a key: left to its choice, the server reads a young table from end to end."""
    named = (str(index.name) for index in key.table.indexes if index.columns[0] is key)
    return "PRIMARY" if key.primary_key else next(named)


def _is_one_of(key: Column[Any], keys: Iterable[int]) -> str:
    return f"{key.name} IN ({','.join(map(int.__repr__, keys))})"


def _send(connection: Connection, statement: str) -> CursorResult[Any]:
    # No parameters: a % in a statement is no placeholder.
    return connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
