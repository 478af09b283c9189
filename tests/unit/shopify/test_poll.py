"""Waiting for a bulk operation."""

from datetime import timedelta

import pytest

from shopsync.errors import BulkAccessDenied, BulkOperationFailed, BulkTimedOut, PollBudgetExhausted
from shopsync.shopify.bulk import BulkOperation, BulkStatus
from shopsync.shopify.poll import PollBudget, wait_until_done
from tests.unit.shopify.fakes import NOW, Clock


def operation(status: str, error_code: str | None = None) -> BulkOperation:
    """Return an operation in that state, created now."""
    return BulkOperation("gid://shopify/BulkOperation/1", BulkStatus(status), error_code, NOW, None, 0, 0, None)


class Poll:
    """A poll of an operation that goes through the given states, and stays in the last."""

    def __init__(self, *states: BulkOperation, budget: PollBudget | None = None) -> None:
        self.states = list(states)
        self.budget = budget or PollBudget()
        self.clock = Clock()
        self.looks: list[int] = []

    def look(self) -> BulkOperation:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def run(self) -> BulkOperation:
        return wait_until_done(
            self.look,
            self.budget,
            self.clock.sleep,
            self.clock.now,
            lambda attempt, _: self.looks.append(attempt),
        )


def test_first_look_is_at_once() -> None:
    """An operation that is already completed costs no wait."""
    poll = Poll(operation("COMPLETED"))

    assert poll.run().status is BulkStatus.COMPLETED
    assert poll.clock.naps == []


def test_waits_while_it_runs() -> None:
    """Created, running and canceling operations are looked at again, every interval."""
    poll = Poll(operation("CREATED"), operation("RUNNING"), operation("CANCELING"), operation("COMPLETED"))

    poll.run()

    assert poll.clock.naps == [16, 16, 16]
    assert poll.looks == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (operation("FAILED"), "FAILED"),
        (operation("CANCELED"), "CANCELED"),
        (operation("EXPIRED"), "EXPIRED"),
    ],
)
def test_ended_without_result(state: BulkOperation, reason: str) -> None:
    """An operation that ended otherwise has failed, and a new one may succeed."""
    with pytest.raises(BulkOperationFailed) as caught:
        Poll(state).run()

    assert caught.value.reason == reason


def test_timeout_is_told_apart() -> None:
    """An operation that Shopify could not finish in its time would not finish the next time either."""
    with pytest.raises(BulkTimedOut):
        Poll(operation("FAILED", "TIMEOUT")).run()


def test_denied_access_is_final() -> None:
    """A lack of access is told apart: a new operation would lack it too."""
    with pytest.raises(BulkAccessDenied):
        Poll(operation("FAILED", "ACCESS_DENIED")).run()


def test_gives_up_after_the_last_look() -> None:
    """128 looks, 16 s apart, and no more."""
    poll = Poll(operation("RUNNING"))

    with pytest.raises(PollBudgetExhausted) as caught:
        poll.run()

    assert caught.value.attempts == 128
    assert poll.looks == list(range(1, 129))
    assert sum(poll.clock.naps) == 127 * 16


def test_resumed_poll_has_the_rest() -> None:
    """The looks count from the operation's creation, not from a retry."""
    poll = Poll(operation("RUNNING"))
    poll.clock.at = NOW + timedelta(seconds=16 * 126 + 5)

    with pytest.raises(PollBudgetExhausted):
        poll.run()

    assert poll.looks == [127, 128]


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(seconds=-90)])
def test_always_looks_within_budget(age: timedelta) -> None:
    """However old the operation, or wrong the clock, there is at least one look and at most the budget."""
    poll = Poll(operation("RUNNING"), budget=PollBudget(16, 3))
    poll.clock.at = NOW + age

    with pytest.raises(PollBudgetExhausted):
        poll.run()

    assert poll.looks in ([3], [1, 2, 3])


def test_interval_may_be_zero() -> None:
    """Without an interval there is no age in looks."""
    poll = Poll(operation("RUNNING"), operation("COMPLETED"), budget=PollBudget(0, 5))
    poll.clock.at = NOW + timedelta(hours=1)

    poll.run()

    assert poll.looks == [1, 2]


def test_age_beyond_all_looks_points_at_the_clock() -> None:
    """An operation that is too old at the first look may be new, and this machine's clock ahead: both are told."""
    poll = Poll(operation("RUNNING"))
    poll.clock.at = NOW + timedelta(hours=1)

    with pytest.raises(PollBudgetExhausted, match=r"running 1:00:00 after .* the clock is ahead of Shopify's"):
        poll.run()
