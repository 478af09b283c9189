"""
The watermark's rules: up to which `updated_at` all orders are in.

A leaf; where the watermark is stored is the business of tasks (a Prefect block) and of the database (its history).
"""

from __future__ import annotations

from datetime import datetime


def advanced(old: datetime | None, fetched: datetime | None, window_end: datetime) -> datetime | None:
    """
    Return the watermark after a completed run: it never goes back, and never passes the window's end.

    Args:
        old: The watermark before; None when there is none yet.
        fetched: MAX(updated_at) of what was fetched; None when the window was empty.
        window_end: An export may read live data, so orders newer than this prove nothing.
    """
    if fetched is None:
        return old
    reached = min(fetched, window_end)
    return reached if old is None else max(old, reached)


def agreed(block: datetime | None, database: datetime | None) -> datetime | None:
    """
    Return where a run starts: the older of the block's watermark and the database's last recorded advance.

    A missing one counts as older than any: a restored or new database has not seen what the block claims.
    """
    if block is None or database is None:
        return None
    return min(block, database)
