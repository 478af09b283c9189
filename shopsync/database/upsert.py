"""
The way of an archive's orders into the tables: chunk by chunk, each in one transaction, resumable after any crash.

The transaction that writes a chunk also records how many orders of the archive are in, so a run that comes again
skips them without sending a row. Progress belongs to a run and an archive, not to the archive alone. Another run that
brings identical bytes goes through all of them: equal data changes nothing, and a replay after a repair of the parser
or of the rows must not be taken for done. A database that was emptied or restored has lost the progress together with
the rows, and gets both again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from shopsync.database.chunks import ChunkBudget, chunks
from shopsync.database.engine import reading, transact, writing
from shopsync.database.faults import Fault, described, fault, in_our_words
from shopsync.database.orders import write_orders
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import archive_progress
from shopsync.errors import RowRefused
from shopsync.records import Order

_KEYS = ("archive_sha256", "run_id")


@dataclass(frozen=True, slots=True)
class UpsertProgress:
    """
    How far an archive is in, from its first order on.

    `orders`, `line_items` and `sales` were in it; of these orders `unchanged` were here already in this version or a
    newer one. `removed` counts lines and sales that their orders no longer have. `max_updated_at` is the greatest of
    the orders; None as long as there is none.
    """

    orders: int = 0
    line_items: int = 0
    sales: int = 0
    unchanged: int = 0
    removed: int = 0
    max_updated_at: datetime | None = None
    finished: bool = False


_COUNTS = tuple(UpsertProgress.__dataclass_fields__)
_PROGRESS = Upsert(archive_progress, (*_KEYS, *_COUNTS), guard="orders")


def upsert_orders(
    engine: Engine,
    orders: Iterable[Order],
    *,
    archive_sha256: str,
    run_id: str,
    synced_at: datetime,
    zone: ZoneInfo,
    budget: ChunkBudget,
    on_chunk: Callable[[UpsertProgress], None],
    sleep: Callable[[float], None] = time.sleep,
) -> UpsertProgress:
    """
    Write an archive's orders, from where this run's last attempt at it ended.

    Equal or newer data overwrites, older never does; equal data changes not a row. Of a finished archive nothing is
    read.

    Args:
        engine: Where to.
        orders: All orders of the archive, in its order; consumed as they are written.
        archive_sha256: Of its uncompressed bytes.
        run_id: The run, which stays on the headers that it brings or updates.
        synced_at: When that was, UTC.
        zone: Cuts the days that are marked, as long as the database knows no shop.
        budget: How much one transaction takes.
        on_chunk: Told after each commit.
        sleep: Waits between tries after a deadlock.

    Raises:
        RowRefused: The database cannot hold an order; those before it are in.
        InexactMoney: An amount would lose digits.
        DatabaseUnavailable: Nothing of the current chunk is in; the same call resumes with it.
        SchemaOutdated: A table or column is missing.
    """
    archive = _Archive(engine, archive_sha256, run_id, synced_at, zone, on_chunk, sleep)
    progress = archive.progress()
    if progress.finished:
        return progress
    for chunk in chunks(islice(orders, progress.orders, None), budget):
        progress = archive.commit(chunk, progress)
    return archive.finish(progress)


@dataclass(frozen=True, slots=True)
class _Archive:
    engine: Engine
    archive_sha256: str
    run_id: str
    synced_at: datetime
    zone: ZoneInfo
    on_chunk: Callable[[UpsertProgress], None]
    sleep: Callable[[float], None]

    def progress(self) -> UpsertProgress:
        """Return what is in of it."""
        columns = archive_progress.c
        query = select(*(columns[name] for name in _COUNTS)).where(
            columns.archive_sha256 == self.archive_sha256, columns.run_id == self.run_id
        )
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return UpsertProgress() if row is None else UpsertProgress(*row)

    def commit(self, chunk: list[Order], before: UpsertProgress) -> UpsertProgress:
        """Write a chunk in one transaction or, if it holds what the database refuses, in ever smaller ones."""
        try:
            after = transact(self.engine, lambda connection: self._write(connection, chunk, before), self.sleep)
        except (SQLAlchemyError, UnicodeEncodeError, OverflowError) as error:
            if fault(error) is not Fault.REFUSED:
                raise in_our_words(self.engine.url, error) from error
            if len(chunk) == 1:
                raise RowRefused(chunk[0].header.order_id, described(error)) from error
        else:
            self.on_chunk(after)
            return after
        half = len(chunk) // 2
        return self.commit(chunk[half:], self.commit(chunk[:half], before))

    def finish(self, progress: UpsertProgress) -> UpsertProgress:
        """Record that all of it is in."""
        finished = replace(progress, finished=True)
        with writing(self.engine) as connection:
            self._record(connection, finished)
        return finished

    def _write(self, connection: Connection, chunk: list[Order], before: UpsertProgress) -> UpsertProgress:
        written = write_orders(connection, chunk, run_id=self.run_id, synced_at=self.synced_at, zone=self.zone)
        newest = max(order.header.updated_at for order in chunk)
        after = UpsertProgress(
            orders=before.orders + len(chunk),
            line_items=before.line_items + sum(len(order.line_items) for order in chunk),
            sales=before.sales + sum(len(order.sales) for order in chunk),
            unchanged=before.unchanged + len(chunk) - written.changed,
            removed=before.removed + written.removed,
            max_updated_at=newest if before.max_updated_at is None else max(before.max_updated_at, newest),
        )
        self._record(connection, after)
        return after

    def _record(self, connection: Connection, progress: UpsertProgress) -> None:
        upsert(connection, _PROGRESS, [(self.archive_sha256, self.run_id, *astuple(progress))])
