"""After the figures and before the watermark: is what is here what Shopify has?"""

from __future__ import annotations

from datetime import datetime
from random import Random

from prefect import get_run_logger

from shopsync.completeness import Comparison, differences
from shopsync.database.completeness import look_here, start_of_sample, was_held_back
from shopsync.run import Run
from shopsync.shopify.changes import look_again
from shopsync.window import SyncWindow
from tasks import connections
from tasks.step import step


@step("compare with Shopify")
def compare_with_shopify(run: Run, window: SyncWindow, fetched: datetime | None) -> Comparison:
    """
    Compare the orders up to the new watermark with Shopify's; without differences they agree.

    Args:
        window: What was asked for in the end.
        fetched: MAX(updated_at) of the orders in the archive; None when there were none.
    """
    proven = window if fetched is None else window.until(max(window.start, min(fetched, window.end)))
    with connections.database() as database:
        # Another part of the window in each run, and the same one in a run that goes on.
        start = start_of_sample(database, proven, Random(run.run_id).random())  # noqa: S311 - no secret
        with connections.shopify(connections.patience(run)) as shopify:
            theirs = look_again(shopify, proven, proven.since(start))
        ours = look_here(database, proven, {order.order_id for order in theirs.sample})
        found = differences(theirs, ours, proven.end)
        ask_again = bool(found) and not was_held_back(database, run.run_id)
    if not found:
        get_run_logger().info(
            "compared with Shopify: its count of %s orders, %d of them field by field",
            f"{theirs.count:,}",
            len(theirs.sample),
        )
    then = (
        "the watermark stays, and the next run asks for this window again"
        if ask_again
        else "no run asks for it again: compare it in Shopify, then run a backfill by updated over this window"
    )
    for difference in found:
        get_run_logger().warning("%s: %s", difference, then)
    return Comparison(found, ask_again)
