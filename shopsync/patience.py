"""
Back-off: the one home of every wait for Shopify.

It knows how long to wait after which failure, and when to stop: the exception's type says whether asking again helps.
A wait never multiplies: what gives up here raises `RetryBudgetSpent`, which nobody retries.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from shopsync.errors import (
    BulkAlreadyRunning,
    BulkOperationFailed,
    DownloadIncomplete,
    RetryBudgetSpent,
    ShopifyUnavailable,
    SyncError,
    Throttled,
)

LONGEST_WAIT_S = 300.0
"""Doubling stops here: Shopify's outages end by the minute, and a waiting run should notice."""

SHORTEST_WAIT_S = 0.05
"""Never zero, so that no setting makes a busy loop."""

WORTH_TELLING_S = 5.0
"""Longer waits are told to `on_wait`, which shows them to staff."""

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


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long, and how often, one run asks again.

    Args:
        base_s: First delay after a failure; it doubles, with jitter.
        busy_s: First wait when Shopify's bulk slots are taken; it doubles too.
        deadline: When the run stops trying: its first start plus its budget. At least one try is always made.
        budget_s: That budget, for the message.
        on_wait: Called before each longer wait with its end and its reason; what it raises ends the wait.
        jitter: Gives numbers in [0, 1).
    """

    base_s: float
    busy_s: float
    deadline: datetime
    budget_s: float
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    on_wait: Callable[[datetime, SyncError], None] = _tell_nobody
    jitter: Callable[[], float] = random.random

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
        return Retrying(
            retry=retry_if_exception_type(retried),
            stop=lambda _state: self.now() >= self.deadline,
            wait=self._wait_s,
            sleep=self.sleep,
            before_sleep=self._announce,
            retry_error_callback=self._give_up,
        )(attempt)

    def _wait_s(self, state: RetryCallState) -> float:
        failure = _failure(state)
        if isinstance(failure, Throttled):
            wait_s = failure.retry_after_s
        else:
            first_s = self.busy_s if isinstance(failure, BulkAlreadyRunning) else self.base_s
            # 2.0 ** 1024 overflows; long before, the wait is the longest.
            doubled_s = first_s * 2.0 ** min(state.attempt_number - 1, 64)
            wait_s = min(doubled_s * (1 + self.jitter() / 4), max(LONGEST_WAIT_S, first_s))
        left_s = (self.deadline - self.now()).total_seconds()
        return max(min(wait_s, left_s), SHORTEST_WAIT_S)

    def _announce(self, state: RetryCallState) -> None:
        failure, wait_s = _failure(state), state.upcoming_sleep
        _log.warning("try %d failed, the next is in %.1f s: %s", state.attempt_number, wait_s, failure)
        if wait_s > WORTH_TELLING_S:
            self.on_wait(self.now() + timedelta(seconds=wait_s), failure)

    def _give_up(self, state: RetryCallState) -> NoReturn:
        failure = _failure(state)
        raise RetryBudgetSpent(self.budget_s, state.attempt_number, str(failure)) from failure


def _failure(state: RetryCallState) -> SyncError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, SyncError), "tenacity asks only after a failure of the retried types"
    return failure
