"""What Prefect says, asked for once by all who want to know it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from api.live import UNKNOWN, Live, LiveRuns
from api.shared import Shared
from api.starter import DAILY
from shopsync.errors import FlowRunRefused
from tests.api.conftest import NOW
from tests.api.prefect import FakePrefect
from tests.waiting import until

ONE = {"run-1": "flow-run-0"}


class Clock:
    """A clock that stands until somebody moves it."""

    def __init__(self) -> None:
        self.at_s = 1_000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def live(prefect: FakePrefect, clock: Clock) -> LiveRuns:
    """Prefect's view, with one run that waits."""
    prefect.add(DAILY, {}, expected=NOW + timedelta(hours=6))
    return LiveRuns(prefect, clock)


def test_answer_serves_whoever_asks_within_a_second(live: LiveRuns, prefect: FakePrefect, clock: Clock) -> None:
    """Many browsers that look at one page are one question; a second later it is asked anew."""
    assert [{"run-1": Live("Scheduled")}] * 3 == [live.states(ONE) for _ in range(3)]
    assert 1 == prefect.asked

    clock.at_s += 1
    live.states(ONE)

    assert 2 == prefect.asked


def test_all_who_ask_at_once_are_one(live: LiveRuns, prefect: FakePrefect) -> None:
    """While the answer is on its way, too."""
    prefect.answers.clear()
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(live.states, ONE) for _ in range(8)]
        until(lambda: prefect.asked)
        prefect.answers.set()

        assert [{"run-1": Live("Scheduled")}] * 8 == [each.result() for each in asking]

    assert 1 == prefect.asked


def test_silent_prefect_is_left_alone(live: LiveRuns, prefect: FakePrefect, clock: Clock) -> None:
    """Nobody waits for it again within five seconds, whatever is asked; then somebody tries."""
    prefect.is_down = True
    assert {"run-1": Live(UNKNOWN)} == live.states(ONE)
    prefect.is_down = False

    assert (False, {"run-1": Live(UNKNOWN)}) == (live.next_run(DAILY).known, live.states(ONE))
    assert 1 == prefect.asked
    clock.at_s += 5
    assert {"run-1": Live("Scheduled")} == live.states(ONE)


def test_what_was_not_there_is_asked_for_again(prefect: FakePrefect, clock: Clock) -> None:
    """A run that was started a moment after somebody looked for it is found at once."""
    live = LiveRuns(prefect, clock)
    assert live.awaited("run-1") is None
    prefect.add(DAILY, {"run_id": "run-1"})

    found = live.awaited("run-1")

    assert found is not None


def test_refused_question_is_no_mistake_of_the_reader(live: LiveRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect of another release may not take our filter: its view is unknown, and the answer is there."""

    def refused(*_given: object, **_named: object) -> None:
        raise FlowRunRefused("sort: no such order")

    monkeypatch.setattr(FakePrefect, "flow_runs", refused)

    assert {"run-1": Live(UNKNOWN)} == live.states(ONE)


def test_failure_is_shared_and_not_kept() -> None:
    """What nobody foresaw is told to whoever asks, and is tried again."""
    shared = Shared(1.0, Clock())

    with pytest.raises(ZeroDivisionError):
        shared.ask("key", lambda: 1 // 0)

    assert 7 == shared.ask("key", lambda: 7)
