"""
Waiting for a bulk operation: how often to look, and what each status means for the run.

The looks count from the operation's creation, so that a poll which resumes after a crash has only the rest of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shopsync.errors import BulkAccessDenied, BulkOperationFailed, BulkTimedOut, PollBudgetExhausted
from shopsync.shopify.bulk import BulkOperation, BulkStatus


@dataclass(frozen=True, slots=True)
class PollBudget:
    """How often to look; the defaults make about 34 minutes (docs/operations.md)."""

    interval_s: float = 16
    attempts: int = 128

    def looks_left(self, age_s: float) -> int:
        """Return how many looks an operation of that age has left: at least one."""
        looks_done = int(age_s // self.interval_s) if self.interval_s else 0
        return min(max(self.attempts - looks_done, 1), self.attempts)


def wait_until_done(
    look: Callable[[], BulkOperation],
    budget: PollBudget,
    sleep: Callable[[float], None],
    now: Callable[[], datetime],
    on_look: Callable[[int, BulkOperation], None],
) -> BulkOperation:
    """
    Return the operation once Shopify has completed it; the first look is at once.

    Args:
        look: Asks Shopify for the operation.
        on_look: Called after each look with its number, counted from the operation's creation.

    Raises:
        BulkAccessDenied: It failed for lack of access; a new one would too.
        BulkTimedOut: Shopify could not finish it in its own time.
        BulkOperationFailed: It ended without a complete result; a new one may succeed.
        PollBudgetExhausted: It was still running after the last look.
    """
    operation = look()
    age_s = (now() - operation.created_at).total_seconds()
    first = budget.attempts - budget.looks_left(age_s) + 1
    for attempt in range(first, budget.attempts + 1):
        if attempt > first:
            sleep(budget.interval_s)
            operation = look()
        on_look(attempt, operation)
        match operation.status:
            case BulkStatus.COMPLETED:
                return operation
            case BulkStatus.FAILED if operation.error_code == "ACCESS_DENIED":
                raise BulkAccessDenied(operation.id)
            case BulkStatus.FAILED if operation.error_code == "TIMEOUT":
                raise BulkTimedOut(operation.id, "TIMEOUT")
            case BulkStatus.FAILED | BulkStatus.CANCELED | BulkStatus.EXPIRED:
                raise BulkOperationFailed(operation.id, operation.error_code or operation.status)
            # No branch past the last case: pyright holds the match exhaustive.
            case BulkStatus.CREATED | BulkStatus.RUNNING | BulkStatus.CANCELING:  # pragma: no branch
                continue
    late = age_s > budget.attempts * budget.interval_s
    raise PollBudgetExhausted(operation.id, budget.attempts, age_s if late else None)
