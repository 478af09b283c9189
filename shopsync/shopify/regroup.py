"""
Bringing an export whose lines are not grouped into grouped order, on local disk and in bounded memory.

Since 2026-01 Shopify promises no order of lines unless asked to group them. The lines go through a temporary SQLite
file: written as they come, read order by order.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp

import msgspec

from shopsync.errors import JsonlError
from shopsync.shopify.jsonl import Kind, head
from shopsync.shopify.lines import UNREADABLE, Line, content, plainly
from shopsync.shopify.nodes import Shape, Time

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8192;
CREATE TABLE line (number INTEGER PRIMARY KEY, text BLOB NOT NULL);
CREATE TABLE parent (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, first INTEGER NOT NULL, number INTEGER NOT NULL,
                     updated_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE child (parent TEXT NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL,
                    PRIMARY KEY (parent, kind, number)) WITHOUT ROWID;
"""

# An order that was exported twice keeps its first place, and the line with the newer updatedAt.
_PARENT = """
INSERT INTO parent VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT (id) DO UPDATE
SET number = excluded.number, updated_at = excluded.updated_at WHERE excluded.updated_at >= parent.updated_at
"""

_ORPHAN = """
SELECT child.number, child.parent FROM child LEFT JOIN parent
ON parent.id = child.parent AND parent.kind = CASE child.kind WHEN ?1 THEN ?2 ELSE ?3 END
WHERE parent.id IS NULL ORDER BY child.number LIMIT 1
"""


_ORDERS = """
SELECT parent.id, parent.number, line.text FROM parent JOIN line ON line.number = parent.number
WHERE parent.kind = ? ORDER BY parent.first
"""

_CHILDREN = """
SELECT child.number, child.kind, child.id, line.text FROM child JOIN line ON line.number = child.number
WHERE child.parent = ? ORDER BY child.kind, child.number
"""


class _Updated(Shape):
    updated_at: Time


_UPDATED = msgspec.json.Decoder(_Updated)


def regrouped(lines: Iterable[bytes], archive_key: str, folder: Path) -> Iterator[bytes]:
    """
    Yield the lines order by order, in the orders' first-seen order: an order, its line items, its agreements each
    with its sales. An order that is there twice is yielded once, as updated last. Lines keep their original number.

    The temporary file below `folder` is gone on every way out, also when the process dies.

    Raises:
        JsonlError: A line is not what the query asked for, has no parent in the file, or the disk is full.
    """
    try:
        with _temporary_database(folder) as database:
            database.execute("BEGIN")
            _fill(database, lines, archive_key)
            _refuse_orphans(database, archive_key)
            yield from _grouped(database)
    except sqlite3.Error as error:
        raise JsonlError(archive_key, None, f"it cannot be regrouped in {folder}: {error}") from error


@contextmanager
def _temporary_database(folder: Path) -> Generator[sqlite3.Connection]:
    """Open a database whose file has no name any more: it is gone with its connection, even when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(prefix="regroup-", dir=folder)
    os.close(handle)
    try:
        database = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        with closing(database):
            database.executescript(_SCHEMA)
            Path(name).unlink()
            yield database
    finally:
        Path(name).unlink(missing_ok=True)


def _fill(database: sqlite3.Connection, lines: Iterable[bytes], archive_key: str) -> None:
    for number, line in enumerate(lines, start=1):
        text = content(line, number)
        if not text:
            continue
        try:
            node, kind = head(text)
            updated_at = _UPDATED.decode(text).updated_at.timestamp() if kind is Kind.ORDER else 0.0
        except UNREADABLE as error:
            raise JsonlError(archive_key, number, plainly(error)) from error
        database.execute("INSERT INTO line VALUES (?, ?)", (number, text))
        if node.parent_id is not None:
            database.execute("INSERT INTO child VALUES (?, ?, ?, ?)", (node.parent_id, kind.value, number, node.id))
        if kind in {Kind.ORDER, Kind.AGREEMENT}:
            database.execute(_PARENT, (node.id, kind.value, number, updated_at))


def _refuse_orphans(database: sqlite3.Connection, archive_key: str) -> None:
    kinds = (Kind.SALE.value, Kind.AGREEMENT.value, Kind.ORDER.value)
    orphan = database.execute(_ORPHAN, kinds).fetchone()
    if orphan:
        raise JsonlError(archive_key, orphan[0], f"its parent {orphan[1][:80]} is not in the file")


def _grouped(database: sqlite3.Connection) -> Iterator[bytes]:
    orders = database.execute(_ORDERS, (Kind.ORDER.value,))
    for order_id, number, text in orders:
        yield Line.numbered(number, text)
        for child_number, kind, child_id, child_text in database.execute(_CHILDREN, (order_id,)):
            yield Line.numbered(child_number, child_text)
            if kind == Kind.AGREEMENT:
                for sale_number, _kind, _id, sale_text in database.execute(_CHILDREN, (child_id,)):
                    yield Line.numbered(sale_number, sale_text)
