"""
Back-off: the one home of every wait for Shopify.

It knows how long to wait after which failure, and when to stop: the exception's type says whether asking again helps.
A wait never multiplies: what gives up here raises `RetryBudgetSpent`, which nobody retries.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from shopsync.errors import (
    AnotherRunHolds,
    BulkAlreadyRunning,
    BulkOperationFailed,
    DownloadIncomplete,
    LeaseHeld,
    RetryBudgetSpent,
    ShopifyUnavailable,
    SyncError,
    Throttled,
)

LONGEST_WAIT_S = 900.0
"""Doubling stops here: a waiting run should notice within a quarter of an hour that Shopify is well again."""

SHORTEST_WAIT_S = 0.05
"""Never zero, so that no setting makes a busy loop."""

LONGEST_LEASE_WAIT_S = 10.0
"""A lease is ours, and whoever holds it is done in seconds."""

STANDING_LEASE_S = 120.0
"""One that stands for longer is held by a run that waits itself."""

WORTH_TELLING_S = 5.0
"""Longer waits are told to `on_wait`, which shows them to staff."""

TOLD_FOR = timedelta(minutes=5)
"""How long a wait for a lease is told by one record."""

BRIEF_S = 30.0
"""A first contact that fails for this long is more likely a wrong address than an outage."""

WAITING_HELPS: tuple[type[SyncError], ...] = (
    Throttled,
    ShopifyUnavailable,
    BulkAlreadyRunning,
    BulkOperationFailed,
    DownloadIncomplete,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def _tell_nobody(_until: datetime, _why: SyncError) -> None:
    """Tell nobody of a wait."""


@dataclass(slots=True)
class Patience:
    """
    How long, and how often, one run asks again; it changes only by what it remembers of its waits.

    Args:
        base_s: First delay after a failure; it doubles, with jitter.
        busy_s: First wait when Shopify's bulk slots are taken; it doubles too.
        deadline: When the run stops trying: its first start plus its budget. At least one try is always made.
        budget_s: That budget, for the message.
        on_wait: Called before each longer wait with its end and its reason; what it raises ends the wait.
        jitter: Gives numbers in [0, 1).
        waited_s: The run's last wait, when another process of it waited for the same: doubling goes on from there,
            until something succeeds.
        tried: How often other processes of the run tried the same.
    """

    base_s: float
    busy_s: float
    deadline: datetime
    budget_s: float
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    on_wait: Callable[[datetime, SyncError], None] = _tell_nobody
    jitter: Callable[[], float] = random.random
    waited_s: float = 0.0
    tried: int = 0
    _told_at: datetime | None = field(default=None, init=False)

    @classmethod
    def brief(cls, sleep: Callable[[float], None], now: Callable[[], datetime], budget_s: float = BRIEF_S) -> Patience:
        """Return the patience for a first contact: a few tries within `budget_s` from now."""
        return cls(1.0, 1.0, now() + timedelta(seconds=budget_s), budget_s, sleep, now)

    def call(self, attempt: Callable[[], _Result], retried: tuple[type[SyncError], ...] = WAITING_HELPS) -> _Result:
        """
        Return what `attempt` returns, calling it again with back-off after each of the `retried` failures.

        Raises:
            RetryBudgetSpent: The deadline passed; its cause is the last failure.
        """
        result: _Result = Retrying(
            retry=retry_if_exception_type(retried),
            stop=lambda _state: self.now() >= self.deadline,
            wait=self._wait_s,
            sleep=self.sleep,
            before_sleep=self._announce,
            retry_error_callback=self._give_up,
        )(attempt)
        self.waited_s = 0.0
        return result

    def _wait_s(self, state: RetryCallState) -> float:
        failure = _failure(state)
        # 2.0 ** 1024 overflows; long before, the wait is the longest.
        doubling = 2.0 ** min(state.attempt_number - 1, 64)
        match failure:
            case Throttled():
                wait_s = failure.retry_after_s
            case LeaseHeld():
                wait_s = self._lease_wait_s(failure, doubling)
            case AnotherRunHolds():
                # Who doubles its waits sleeps through the moment at which the slot is free.
                wait_s = self.busy_s * (1 + self.jitter() / 4)
            case _:
                first_s = self.busy_s if isinstance(failure, BulkAlreadyRunning) else self.base_s
                doubled_s = max(first_s, 2 * self.waited_s) * doubling
                wait_s = min(doubled_s * (1 + self.jitter() / 4), max(LONGEST_WAIT_S, first_s))
        left_s = (self.deadline - self.now()).total_seconds()
        return max(min(wait_s, left_s), SHORTEST_WAIT_S)

    def _lease_wait_s(self, held: LeaseHeld, doubling: float) -> float:
        standing_s = (held.until - self.now()).total_seconds()
        if standing_s > STANDING_LEASE_S:
            return min(standing_s, LONGEST_WAIT_S)
        return min(self.base_s * doubling * (1 + self.jitter() / 4), LONGEST_LEASE_WAIT_S)

    def _announce(self, state: RetryCallState) -> None:
        failure, wait_s = _failure(state), state.upcoming_sleep
        _log.warning("try %d failed, the next is in %.1f s: %s", state.attempt_number, wait_s, failure)
        if wait_s > WORTH_TELLING_S and not self._is_told(failure, wait_s):
            self._told_at = self.now()
            self.on_wait(self.now() + timedelta(seconds=wait_s), failure)

    def _is_told(self, failure: SyncError, wait_s: float) -> bool:
        """Whether this is one more look at a lease, every few seconds for as long as another run works, and known."""
        looks = isinstance(failure, LeaseHeld) and wait_s <= LONGEST_LEASE_WAIT_S
        return looks and self._told_at is not None and self.now() - self._told_at < TOLD_FOR

    def _give_up(self, state: RetryCallState) -> NoReturn:
        failure = _failure(state)
        raise RetryBudgetSpent(self.budget_s, self.tried + state.attempt_number, str(failure)) from failure


def _failure(state: RetryCallState) -> SyncError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, SyncError), "tenacity asks only after a failure of the retried types"
    return failure
