"""How long and how often Shopify is asked again."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from shopsync.errors import (
    AnotherRunHolds,
    BulkAlreadyRunning,
    LeaseHeld,
    QueryRefused,
    RetryBudgetSpent,
    ShopifyUnavailable,
    SyncError,
    Throttled,
)
from shopsync.patience import LONGEST_LEASE_WAIT_S, LONGEST_WAIT_S, Patience
from tests.unit.shopify.fakes import NOW, Clock

DOWN = ShopifyUnavailable("shop", "down")
BUSY = BulkAlreadyRunning((), "busy")


def failing(*failures: SyncError) -> Callable[[], str]:
    """Return a call that fails so often, then succeeds."""
    left = list(failures)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def test_returns_without_waiting() -> None:
    """What succeeds at once waits for nothing."""
    clock = Clock()

    result = clock.patience().call(failing())

    assert (result, clock.naps) == ("done", [])


def test_doubles_the_wait() -> None:
    """Each failure doubles the wait, from the base on."""
    clock = Clock()

    clock.patience().call(failing(DOWN, DOWN, DOWN))

    assert clock.naps == [2, 4, 8]


def test_lease_is_asked_for_often() -> None:
    """A lease is held for seconds: the wait for it stays short."""
    clock = Clock()
    held = LeaseHeld("measure", "run-2", NOW)

    clock.patience().call(failing(held, held, held, held), (LeaseHeld,))

    assert clock.naps == [2, 4, 8, LONGEST_LEASE_WAIT_S]


def test_adds_jitter_below_cap() -> None:
    """Jitter lengthens a wait by up to a quarter, never beyond the longest."""
    clock = Clock()

    clock.patience(base_s=800, jitter=lambda: 0.5).call(failing(DOWN, DOWN))

    assert clock.naps == [900, LONGEST_WAIT_S]


def test_waits_as_throttled() -> None:
    """A throttled call waits as long as Shopify says, however often it failed before."""
    clock = Clock()

    clock.patience().call(failing(DOWN, Throttled(7.5)))

    assert clock.naps == [2, 7.5]


def test_waits_longer_when_busy() -> None:
    """Taken slots have a first wait of their own."""
    clock = Clock()

    clock.patience().call(failing(BUSY, BUSY))

    assert clock.naps == [60, 120]


def test_operation_of_ours_is_waited_for_evenly() -> None:
    """A slot that another run of ours will give back is asked for again and again, so that its turn is not missed."""
    clock = Clock()
    ours = AnotherRunHolds((), "busy")

    clock.patience().call(failing(ours, ours, ours))

    assert clock.naps == [60, 60, 60]


def test_backfill_waits_its_first() -> None:
    """A first wait above the cap is kept: a backfill's may be longer than any back-off."""
    clock = Clock()

    clock.patience(busy_s=1200).call(failing(BUSY, BUSY))

    assert clock.naps == [1200, 1200]


def test_doubling_goes_on_in_the_next_process() -> None:
    """A run whose container ended for a wait goes on doubling from that wait, up to the longest."""
    clock = Clock()

    clock.patience(waited_s=320).call(failing(DOWN, BUSY))

    assert clock.naps == [640, LONGEST_WAIT_S]


def test_success_ends_the_doubling() -> None:
    """What succeeds shows that the trouble of the process before is over: the next failure is a new one."""
    clock = Clock()
    patience = clock.patience(waited_s=512)

    patience.call(failing())
    patience.call(failing(DOWN))
    patience.call(failing(DOWN))

    assert clock.naps == [2, 2]


def test_wait_for_a_lease_is_told_now_and_then() -> None:
    """Looked at every ten seconds, a lease that is held for long costs a record every five minutes."""
    clock, told = Clock(), list[datetime]()
    held = LeaseHeld("daily", "run-2", NOW)

    clock.patience(on_wait=lambda until, _why: told.append(until)).call(failing(*[held] * 70), (LeaseHeld,))

    assert 2 <= len(told) <= 4
    assert sum(clock.naps) > 600


def test_standing_lease_is_told_though_its_looks_were() -> None:
    """What is told may end the wait: a holder that waits itself by now is not slept for in this process."""
    clock, told = Clock(), list[datetime]()
    short = LeaseHeld("daily", "run-2", NOW)
    standing = LeaseHeld("daily", "run-2", NOW + timedelta(minutes=30))

    clock.patience(on_wait=lambda until, _why: told.append(until)).call(failing(*[short] * 5, standing), (LeaseHeld,))

    assert 2 == len(told)
    assert clock.naps[-1] > 600


def test_tries_of_other_processes_count() -> None:
    """Who gives up says how often the whole run tried, not its last container alone."""
    clock = Clock()

    with pytest.raises(RetryBudgetSpent, match="gave up after 44 tries"):
        clock.patience(tried=43, budget_s=0).call(failing(BUSY))


def test_lease_of_a_waiting_run_is_waited_for() -> None:
    """A lease that stands for long is held by a run that waits itself: nobody asks every ten seconds."""
    clock = Clock()
    held = LeaseHeld("daily", "run-2", NOW + timedelta(seconds=500))

    clock.patience().call(failing(held), (LeaseHeld,))

    assert clock.naps == [500]


def test_never_makes_busy_loop() -> None:
    """A base of zero still waits a little."""
    clock = Clock()

    clock.patience(base_s=0).call(failing(DOWN))

    assert clock.naps == [0.05]


def test_gives_up_at_deadline() -> None:
    """The last try is at the deadline; its failure is the cause of the end."""
    clock = Clock()

    with pytest.raises(RetryBudgetSpent) as caught:
        clock.patience(budget_s=5).call(failing(DOWN, DOWN, DOWN, DOWN))

    assert (5, 3, str(DOWN)) == caught.value.args
    assert caught.value.__cause__ is DOWN
    assert clock.naps == [2, 3]


def test_tries_once_after_deadline() -> None:
    """A run that continues after its deadline still tries once."""
    clock = Clock()

    assert clock.patience(budget_s=-1).call(failing()) == "done"


def test_refusals_are_not_retried() -> None:
    """An exception whose type says that waiting does not help goes straight through."""
    clock = Clock()

    with pytest.raises(QueryRefused):
        clock.patience().call(failing(QueryRefused("no")))

    assert clock.naps == []


def test_retries_only_the_named() -> None:
    """A caller may name the failures that it wants retried."""
    clock = Clock()

    with pytest.raises(ShopifyUnavailable):
        clock.patience().call(failing(DOWN), (Throttled,))


def test_tells_longer_waits() -> None:
    """Waits of more than a few seconds are told with their end and their reason."""
    clock = Clock()
    told: list[tuple[datetime, SyncError]] = []

    clock.patience(on_wait=lambda until, why: told.append((until, why))).call(failing(DOWN, Throttled(30)))

    assert [NOW + timedelta(seconds=32)] == [until for until, _ in told]
    assert isinstance(told[0][1], Throttled)


def test_told_may_end_the_wait() -> None:
    """What `on_wait` raises leaves the call: a container that ends instead of waiting."""
    clock = Clock()

    class Elsewhere(Exception):
        """The run continues in another container."""

    def leave(_until: datetime, _why: SyncError) -> None:
        raise Elsewhere

    with pytest.raises(Elsewhere):
        clock.patience(on_wait=leave).call(failing(BUSY))

    assert clock.naps == []


def test_warns_of_each_wait(caplog: pytest.LogCaptureFixture) -> None:
    """Each wait is a line in the log that says why."""
    Clock().patience().call(failing(DOWN))

    assert [f"try 1 failed, the next is in 2.0 s: {DOWN}"] == caplog.messages


def test_brief_patience_ends_soon() -> None:
    """A first contact is given up within half a minute."""
    clock = Clock()

    with pytest.raises(RetryBudgetSpent):
        Patience.brief(clock.sleep, clock.now).call(failing(*[DOWN] * 20))

    assert sum(clock.naps) == pytest.approx(30)
