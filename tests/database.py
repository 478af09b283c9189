"""What tests do with a database again and again: load orders, read tables back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Table, event, select

import shopsync.database as database_package
from shopsync.database.chunks import DAILY_CHUNKS, ChunkBudget
from shopsync.database.engine import reading, writing
from shopsync.database.ledger import write_sales_day
from shopsync.database.progress import UpsertProgress
from shopsync.database.tables import dirty_day, order_header, order_line_item, order_sale, product
from shopsync.database.upsert import WRITERS, upsert_orders
from shopsync.records import Order
from tests.factories import NOON

MIGRATIONS = tuple(sorted(file.stem for file in Path(database_package.__path__[0], "migrations", "mysql").iterdir()))
"""Those of the release, in their order."""
BERLIN = ZoneInfo("Europe/Berlin")


def _never(seconds: float) -> None:
    raise AssertionError(f"nothing should wait {seconds} s here")


def load(
    database: Engine,
    orders: Iterable[Order],
    *,
    run_id: str = "run-1",
    archive: str = "a" * 64,
    synced_at: datetime = NOON,
    zone: ZoneInfo = BERLIN,
    budget: ChunkBudget = DAILY_CHUNKS,
    on_chunk: Callable[[UpsertProgress], None] = lambda progress: None,
    writers: int = WRITERS,
    sleep: Callable[[float], None] = _never,
) -> UpsertProgress:
    """Upsert orders as a run would, in a shop in Berlin."""
    return upsert_orders(
        database,
        orders,
        archive_sha256=archive,
        run_id=run_id,
        synced_at=synced_at,
        zone=zone,
        budget=budget,
        on_chunk=on_chunk,
        writers=writers,
        sleep=sleep,
    )


def rows(database: Engine, table: Table) -> list[dict[str, Any]]:
    """Return a table's rows by key."""
    with reading(database) as connection:
        query = select(table).order_by(*table.primary_key.columns)
        return [dict(row) for row in connection.execute(query).mappings()]


def column(database: Engine, table: Table, name: str) -> list[Any]:
    """Return one column of a table, by key."""
    return [row[name] for row in rows(database, table)]


def everything(database: Engine) -> dict[str, list[dict[str, Any]]]:
    """Return all that an upsert writes for readers, to compare before and after."""
    tables = (order_header, order_line_item, order_sale, product, dirty_day)
    return {table.name: rows(database, table) for table in tables}


@contextmanager
def rows_at_once(engine: Engine) -> Generator[list[int]]:
    """Note how many rows each SELECT returns and each DELETE takes away while the block runs."""
    counts: list[int] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("DELETE"):
            counts.append(cursor.rowcount)
        if statement.startswith("SELECT"):  # SQLite does not say how many there are
            again = connection.connection.cursor()
            again.execute(f"SELECT COUNT(*) FROM ({statement}) AS asked", parameters)
            counts.append(again.fetchone()[0])
            again.close()

    event.listen(engine, "after_cursor_execute", note)
    try:
        yield counts
    finally:
        event.remove(engine, "after_cursor_execute", note)


def replace_sales_day(database: Engine, day: date, figures: Iterable[Mapping[str, Any]]) -> None:
    """Make `figures` all that `sales_day` has of a day, in a transaction of its own."""
    with writing(database) as connection:
        write_sales_day(connection, day, figures)
