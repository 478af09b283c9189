"""What the last record of a run says of a failure that is not ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prefect.logging import disable_run_logger

from flows.pipeline import recorded
from shopsync.database.leases import acquire, holder
from shopsync.errors import DatabaseUnavailable, PrefectUnavailable, RetryBudgetSpent
from shopsync.journal import find_run, open_run
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Counts, Initiator, JobType, RunRecord, Step
from tasks import connections, telemetry, turn
from tasks.slots import WAITING
from tasks.step import again

ASKED = datetime(2026, 11, 21, 6, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    """A run in the middle of its upsert."""
    first = RunRecord(
        "r1",
        JobType.DAILY,
        Initiator.USER,
        ASKED,
        ASKED,
        Step.INITIATED,
        Step.INITIATED.status,
        ASKED,
        window_start=ASKED - timedelta(days=1),
        window_end=ASKED,
    )
    journal = open_run(connections.lake(), first)
    journal.append(Step.UPSERT, at=ASKED)
    return Run.of(journal.records())


def test_nobody_waits_for_a_failed_run(run: Run):
    """A run that gave up waiting in front of the backfills lets them go on."""
    with connections.database() as database:
        acquire(database, WAITING, run.run_id, connections.now(), timedelta(minutes=20))

        with pytest.raises(RetryBudgetSpent), recorded(run):
            raise RetryBudgetSpent(60.0, 9, "busy")

        assert holder(database, WAITING, connections.now()) is None


def test_completed_run_stays_completed(run: Run):
    """What fails after a run has told its end takes nothing back."""
    with pytest.raises(RetryBudgetSpent), recorded(run):
        telemetry.complete(run, Counts())
        raise RetryBudgetSpent(60.0, 9, "busy")

    assert ["initiated", "upserting", "completed"] == [each.status for each in connections.journal(run).records()]


def test_lease_of_a_completed_run_may_stay(run: Run, monkeypatch: pytest.MonkeyPatch):
    """A database that is away when the lease is given back fails no run: it ends by itself."""

    def away(*_given: object) -> None:
        raise DatabaseUnavailable("mysql://x", "gone away")

    monkeypatch.setattr(turn, "release", away)

    with disable_run_logger(), turn.only_daily_run(run, ShopProfile("x.myshopify.com", "UTC", "EUR")):
        pass


def test_body_of_a_flow_is_as_patient_as_a_step(run: Run, monkeypatch: pytest.MonkeyPatch):
    """What is no step is tried again too, three times, when the database or the lake is away; no other failure is."""
    monkeypatch.setenv("SHOPSYNC_RETRY_BASE_S", "0.01")
    failures: list[Exception] = [DatabaseUnavailable("mysql://x", "gone away")] * 3

    def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert "done" == again(work)()
    for failure in ([DatabaseUnavailable("mysql://x", "gone away")] * 4, [RetryBudgetSpent(60.0, 9, "busy")]):
        failures[:] = failure
        with pytest.raises(type(failure[0])):
            again(work)()
        assert [] == failures


def test_silent_prefect_is_named(run: Run):
    """A run that loses its Prefect server says so, and what to do, instead of the name of an exception."""
    with pytest.raises(PrefectUnavailable), recorded(run):
        raise httpx.ConnectError("All connection attempts failed")

    journal = find_run(connections.lake(), "r1", ASKED)
    assert journal is not None
    assert journal.last.error is not None
    assert ("PrefectUnavailable", "upsert") == (journal.last.error.type, journal.last.error.step)
    assert journal.last.error.message.startswith("Prefect does not answer at ")
    assert "All connection attempts failed" in journal.last.error.message
