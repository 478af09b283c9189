"""
Reads and deletes of however many rows, a page at a time.

PlanetScale refuses a statement that returns or deletes more than 100,000 rows, and ends a transaction after 20 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Engine, Row, Select, and_, literal, or_

from shopsync.database.engine import reading

PAGE = 20_000
"""Rows of one statement: some 10 MB of them in Python."""


def paged(
    engine: Engine,
    query: Select[Any],
    key: Sequence[ColumnElement[Any]],
    around: Callable[[Select[Any]], Select[Any]] = lambda page: page,
) -> Iterator[Row[Any]]:
    """
    Yield the rows of a query, in the order of its key.

    Each page is read in a transaction of its own, so two may be of different moments: the caller knows why each row is
    right by itself, or that whoever changes one meanwhile lets the whole be read again.

    Args:
        engine: Where from.
        query: Its first columns are the key, which no two rows share.
        key: What it is ordered by.
        around: Makes of one page's query the one that is asked, with a row for each of the page's, in the same order.
    """
    page = query.order_by(*key).limit(PAGE)
    rows = _read(engine, around(page))
    yield from rows
    while len(rows) == PAGE:
        rows = _read(engine, around(page.where(_after(key, rows[-1]))))
        yield from rows


def delete_paged(connection: Connection, some: Delete) -> None:
    """Delete rows in the connection's transaction; SQLite, which has no such limit, takes them all at once."""
    page = some.with_dialect_options(mysql_limit=PAGE)
    while connection.execute(page).rowcount >= PAGE:
        pass


def _read(engine: Engine, query: Select[Any]) -> Sequence[Row[Any]]:
    with reading(engine) as connection:
        return connection.execute(query).all()


def _after(key: Sequence[ColumnElement[Any]], row: Sequence[Any]) -> ColumnElement[bool]:
    """Return what finds the rows after one, in this form: for a row constructor MariaDB scans the whole index."""
    first, *others = key
    value = literal(row[0], first.type)
    return and_(first >= value, or_(first > value, _after(others, row[1:]))) if others else first > value
