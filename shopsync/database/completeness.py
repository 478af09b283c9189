"""What is here of a window, to be compared with what Shopify has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from shopsync.completeness import Seen, SeenOrder
from shopsync.database.engine import snapshot
from shopsync.database.tables import order_header, order_line_item, sync_run
from shopsync.telemetry import JobType, Status
from shopsync.window import SyncWindow

_FIELDS = (
    "name",
    "created_at",
    "is_test",
    "financial_status",
    "fulfillment_status",
    "currency",
    "total_price",
    "current_total_price",
)


SAMPLED = 10
"""As many as the query asks Shopify for."""


def start_of_sample(engine: Engine, window: SyncWindow, share: float) -> datetime:
    """Return a moment from which on a sample of a window's orders starts, so far (0 to 1) along those that are here."""
    updated_at = order_header.c.updated_at
    within = updated_at.between(window.start, window.end)
    with snapshot(engine) as connection:
        count = connection.scalar(select(func.count()).where(within)) or 0
        skipped = int(share * max(0, count - SAMPLED + 1))
        found = connection.scalar(select(updated_at).where(within).order_by(updated_at).limit(1).offset(skipped))
    return window.start if found is None else found


def look_here(engine: Engine, window: SyncWindow, order_ids: Collection[int]) -> Seen:
    """Return how many orders updated in a window are here, and what these ones look like."""
    header, line = order_header.c, order_line_item.c
    count = select(func.count()).where(header.updated_at.between(window.start, window.end))
    orders = select(order_header).where(header.order_id.in_(order_ids))
    lines = select(line.order_id, line.line_item_id, line.quantity, line.current_quantity)
    with snapshot(engine) as connection:
        found = connection.scalar(count) or 0
        rows = connection.execute(orders).mappings().all()
        of_orders = connection.execute(lines.where(line.order_id.in_(order_ids))).all()
    return Seen(found, [_seen(row, of_orders) for row in rows])


def was_held_back(engine: Engine, run_id: str) -> bool:
    """Return whether the daily run that completed before this one left the watermark because of differences."""
    run = sync_run.c
    others = (run.job_type == JobType.DAILY, run.status == Status.COMPLETED, run.run_id != run_id)
    newest = select(run.differences, run.watermark_after).where(*others).order_by(run.requested_at.desc()).limit(1)
    with snapshot(engine) as connection:
        last = connection.execute(newest).one_or_none()
    return last is not None and bool(last.differences) and last.watermark_after is None


def _seen(row: Any, lines: Collection[Any]) -> SeenOrder:
    return SeenOrder(
        row["order_id"],
        row["updated_at"],
        {name: row[name] for name in _FIELDS},
        {
            each.line_item_id: (each.quantity, each.current_quantity)
            for each in lines
            if each.order_id == row["order_id"]
        },
    )
