"""Waiting for the bulk operation, with a progress artifact that moves at each look."""

from __future__ import annotations

import time

from shopsync.run import Run
from shopsync.shopify.bulk import BulkOperation, read_operation
from shopsync.shopify.poll import PollBudget, wait_until_done
from shopsync.telemetry import Step
from tasks import connections
from tasks.progress import Progress
from tasks.step import step


@step("poll bulk operation")
def poll_bulk_operation(run: Run, operation_id: str) -> BulkOperation:
    """Return the operation once Shopify has completed it; its id alone, since all else of it moves until then."""
    settings = connections.settings()
    budget = PollBudget(settings.poll_interval_s, settings.poll_attempts)
    progress = Progress("poll", "bulk operation")

    def show(look: int, seen: BulkOperation) -> None:
        progress.show(
            look, budget.attempts, f"look {look} of {budget.attempts}, {seen.status}, {seen.object_count:,} lines"
        )

    connections.record(run, Step.POLL, bulk_operation_id=operation_id)
    with connections.shopify(connections.patience(run)) as shopify:
        done = wait_until_done(
            lambda: read_operation(shopify, operation_id), budget, time.sleep, connections.now, on_look=show
        )
    progress.finish()
    return done
