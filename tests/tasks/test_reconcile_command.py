"""`python -m deployments reconcile --every`: what it says, round after round."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deployments.reconcile import forever
from shopsync.errors import PrefectUnavailable
from shopsync.reconcile import Reconciled

LEFT = Reconciled(left=["flow run wise-owl crashed 3 times"])
DONE = Reconciled(done=["run 1 is recorded as failed"])


def rounds(*found: Reconciled) -> Callable[[], Reconciled]:
    """Find one after the other; then somebody stops it."""
    left = iter(found)

    def look() -> Reconciled:
        try:
            return next(left)
        except StopIteration:
            raise KeyboardInterrupt from None

    return look


def test_what_is_left_is_said_once():
    """A line that an operator has to see does not come every half minute; it comes again when it has been away."""
    said: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        forever(0, said.append, rounds(LEFT, LEFT, Reconciled(), LEFT), lambda _s: None)

    assert LEFT.left * 2 == said


def test_what_is_done_is_said_each_time():
    """The same thing done twice is two things."""
    said: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        forever(0, said.append, rounds(DONE, DONE), lambda _s: None)

    assert DONE.done * 2 == said


def test_silence_is_told_once(capsys: pytest.CaptureFixture[str]):
    """Who does not answer is asked again, and named once."""
    waits: list[float] = []

    def look() -> Reconciled:
        if len(waits) == 2:
            raise KeyboardInterrupt
        raise PrefectUnavailable("http://prefect/api", "refused")

    with pytest.raises(KeyboardInterrupt):
        forever(30, print, look, waits.append)

    assert [30, 30] == waits
    assert 1 == capsys.readouterr().err.count("Prefect does not answer")
