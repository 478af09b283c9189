"""Small chunks, so that a small shop's run has many, and a count of those that were begun and those that are in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from shopsync.database.chunks import ChunkBudget
from tasks import upsert
from tests.e2e.storage import Storage

SMALL = ChunkBudget(rows=60, bytes=1_000_000)
HEADERS = re.compile(r"\s*INSERT\b.{0,40}?\border_header\b", re.IGNORECASE | re.DOTALL)
COMMITTED = "soak_chunk"

_COUNTERS = {
    "sqlite": (
        f"CREATE TABLE {COMMITTED} (run_id TEXT)",
        "CREATE TRIGGER soak_chunks AFTER UPDATE ON archive_progress WHEN NEW.orders <> OLD.orders"
        f" BEGIN INSERT INTO {COMMITTED} VALUES (NEW.run_id); END",
    ),
    "mysql": (
        f"CREATE TABLE {COMMITTED} (run_id VARCHAR(64)) ENGINE=InnoDB",
        "CREATE TRIGGER soak_chunks AFTER UPDATE ON archive_progress FOR EACH ROW"
        f" IF NEW.orders <> OLD.orders THEN INSERT INTO {COMMITTED} VALUES (NEW.run_id); END IF",
    ),
}


@contextmanager
def small_chunks(log: Path) -> Iterator[None]:
    """Cut this process's archives into small chunks during the block; append a byte to `log` for each that begins."""
    told = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def begun(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if HEADERS.match(statement):
            os.write(told, b".")

    event.listen(Engine, "before_cursor_execute", begun)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for budget in ("DAILY_CHUNKS", "BACKFILL_CHUNKS"):
                patch.setattr(upsert, budget, SMALL)
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", begun)
        os.close(told)


def count_committed(storage: Storage) -> None:
    """Let the database count the chunks that are committed from now on."""
    for statement in _COUNTERS["mysql" if storage.database.startswith("mysql") else "sqlite"]:
        storage.write(statement)


def committed(storage: Storage) -> int:
    """Return how many chunks were committed."""
    return int(storage.select(f"SELECT COUNT(*) FROM {COMMITTED}")[0][0])
