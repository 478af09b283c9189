"""What tests do with a database again and again: load orders, read tables back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Table, select

from shopsync.database.chunks import DAILY_CHUNKS, ChunkBudget
from shopsync.database.engine import reading
from shopsync.database.tables import dirty_day, order_header, order_line_item, order_sale, product
from shopsync.database.upsert import UpsertProgress, upsert_orders
from shopsync.records import Order
from tests.factories import NOON

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
