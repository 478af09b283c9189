"""
The history of the watermark in the database: up to where its rows are complete.

The watermark itself is a Prefect block. A run starts at the older of the two, so that a restored database, which
knows nothing of the block's last advances, leaves no gap.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, func, select

from shopsync.database.engine import reading, writing
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import watermark_advance

_ADVANCES = Upsert(watermark_advance, tuple(watermark_advance.c.keys()), guard="watermark")


def record_advance(engine: Engine, shop: str, run_id: str, watermark: datetime, at: datetime) -> None:
    """Record that a run brought all orders up to `watermark`; safe to repeat."""
    with writing(engine) as connection:
        upsert(connection, _ADVANCES, [(shop, run_id, watermark, at)])


def last_advance(engine: Engine, shop: str) -> datetime | None:
    """Return up to where the database has all orders of a shop; None when no run has completed."""
    query = select(func.max(watermark_advance.c.watermark)).where(watermark_advance.c.shop == shop)
    with reading(engine) as connection:
        return connection.scalar(query)
