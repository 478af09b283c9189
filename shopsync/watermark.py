"""
The watermark's rules: up to which `updated_at` all orders are in.

A leaf; where the watermark is stored is the business of tasks (a Prefect block) and of the database (its history).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum


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


class Move(Enum):
    """What becomes of the block when a run that brought orders in wants to move it."""

    FORWARD = "it is moved"
    THERE = "it is there already"
    BEYOND = "it is further already"
    SET_BACK = "it is older than what the run began from: somebody set it back meanwhile, and it stays"


def move(block: datetime | None, began_from: datetime | None, wanted: datetime) -> Move:
    """
    Return what becomes of the block.

    Args:
        block: Where it stands; None when there is none.
        began_from: The watermark that the run began from; None for the floor, before which no run asks.
        wanted: What the run proves: all orders from where it began up to here are in.
    """
    if block is None:
        return Move.FORWARD
    if block == wanted:
        return Move.THERE
    if block > wanted:
        return Move.BEYOND
    return Move.SET_BACK if began_from is not None and block < began_from else Move.FORWARD
