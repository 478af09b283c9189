"""`python -m tests.services.upserting URL ARCHIVE`: upsert an archive's orders in a process that can be killed."""

from __future__ import annotations

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import make_url

from shopsync.database.chunks import ChunkBudget
from shopsync.database.engine import open_database
from shopsync.database.upsert import upsert_orders
from shopsync.shopify.jsonl import read_orders
from tests.factories import NOON

BUDGET = ChunkBudget(rows=60, bytes=1_000_000)
ZONE = ZoneInfo("America/New_York")
RUN_ID, SHA256 = "the-run", "a" * 64


def upsert(url: str, archive: Path) -> None:
    """Upsert the whole archive, or what is left of it."""
    engine = open_database(make_url(url))
    with archive.open("rb") as lines:
        upsert_orders(
            engine,
            read_orders((line.rstrip(b"\n") for line in lines), str(archive)),
            archive_sha256=SHA256,
            run_id=RUN_ID,
            synced_at=NOON,
            zone=ZONE,
            budget=BUDGET,
            on_chunk=lambda progress: None,
        )
    engine.dispose()


if __name__ == "__main__":
    upsert(sys.argv[1], Path(sys.argv[2]))
