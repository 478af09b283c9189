"""
The way of an archive's orders into the tables: chunk by chunk, each in one transaction, resumable after any crash.

The transaction that writes a chunk also records how many orders of the archive are in, so a run that comes again
skips them without sending a row. Progress belongs to a run and an archive, not to the archive alone. Another run that
brings identical bytes goes through all of them: equal data changes nothing, and a replay after a repair of the parser
or of the rows must not be taken for done. A database that was emptied or restored has lost the progress together with
the rows, and gets both again.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from shopsync.database.chunks import ChunkBudget, Chunks
from shopsync.database.progress import ProgressKey, UpsertProgress, begin, finish
from shopsync.database.writers import Chunk, Writers
from shopsync.records import Order

WRITERS = 2
"""Chunks that are written side by side: the server works on one while another is committed."""
SWITCH_S = 0.0002
"""
How long the thread that parses goes on while another waits for the interpreter: usually 5 ms, longer than a statement
takes, and each statement waits for it several times.
"""

P = ParamSpec("P")
R = TypeVar("R")


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
    writers: int = WRITERS,
    sleep: Callable[[float], None] = time.sleep,
) -> UpsertProgress:
    """
    Write an archive's orders, from where this run's last attempt at it ended.

    Equal or newer data overwrites, older never does; equal data changes not a row. A finished archive is not
    read again. Orders are read and their statements built in this thread, while others write the chunks before; at
    most `writers` + 2 chunks are held.

    Args:
        engine: Where to.
        orders: All orders of the archive, in its order; consumed as they are written.
        archive_sha256: Of its uncompressed bytes.
        run_id: The run, which stays on the headers that it brings or updates.
        synced_at: When that was, UTC.
        zone: Cuts the days that are marked, as long as the database knows no shop.
        budget: How much one transaction takes.
        on_chunk: Told after each commit, in the archive's order.
        writers: How many connections write at once; SQLite has one writer, whatever is asked for.
        sleep: Waits between tries, when another transaction is in the way or the server is busy.

    Raises:
        RowRefused: The database cannot hold an order; those before it are in.
        InexactMoney: An amount would lose digits.
        DatabaseUnavailable: Nothing of the current chunk is in; the same call resumes with it.
        SchemaOutdated: A table or column is missing.
    """
    key = ProgressKey(archive_sha256, run_id)
    progress = begin(engine, key)
    if progress.finished:
        return progress
    cut = Chunks(islice(orders, progress.orders, None), budget)
    side_by_side = Writers(engine, key, synced_at, zone, cut, progress, writers, sleep)
    ahead = 0 if engine.dialect.name == "sqlite" else writers
    with _tuned(), ThreadPoolExecutor(writers, "upsert") if ahead else _ThisThread() as pool:
        chunks = (side_by_side.prepare(number, chunk) for number, chunk in enumerate(cut))
        for progress in _in_order(pool, side_by_side.write, chunks, ahead):
            on_chunk(progress)
    return finish(engine, key, progress)


@contextmanager
def _tuned() -> Generator[None]:
    """Let threads take turns often, and search for garbage in what is new, not in all that is loaded."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(usual_s)


class _ThisThread(Executor):
    """
    Runs what is submitted at once.

    For SQLite, whose driver takes the interpreter's lock for every row: beside a busy thread it would crawl.
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run it; what it raises passes."""
        done = Future[R]()
        done.set_result(fn(*args, **kwargs))
        return done


def _in_order(pool: Executor, work: Callable[[Chunk], R], chunks: Iterable[Chunk], ahead: int) -> Iterator[R]:
    """Yield what `work` returns for each chunk, with so many of them submitted beyond the one that is waited for."""
    submitted = deque[Future[R]]()
    for chunk in chunks:
        submitted.append(pool.submit(work, chunk))
        if len(submitted) > ahead:
            yield submitted.popleft().result()
    while submitted:
        yield submitted.popleft().result()
