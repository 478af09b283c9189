"""Who starts a backfill again gets its plan back, and no two flow runs bring in the same window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.logging import disable_run_logger

import flows.windows
from flows.windows import backfill_window
from shopsync.backfill import BackfillWindow, Lengths
from shopsync.errors import DatabaseUnavailable, LakeUnavailable, RetryBudgetSpent, SyncError, WindowRunDied
from shopsync.journal import open_run
from shopsync.run import Run
from shopsync.telemetry import Initiator, JobType, RunRecord, Status, Step
from shopsync.window import WindowField
from tasks import connections, handing
from tasks.handing import start_windows
from tasks.windows import (
    begin_next,
    plan_of,
    plan_windows,
    take_window,
    window_failed,
    window_given_up,
    window_handed_out,
)

ASKED = datetime(2026, 11, 21, 6, tzinfo=UTC)
FIRST = RunRecord(
    run_id="2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11",
    job_type=JobType.BACKFILL,
    initiator=Initiator.USER,
    requested_at=ASKED,
    process_initiated_at=ASKED,
    step=Step.INITIATED,
    status=Status.INITIATED,
    at=ASKED,
    window_field=WindowField.CREATED,
    window_start=ASKED - timedelta(days=90),
    window_end=ASKED,
)


@pytest.fixture
def run() -> Run:
    """A backfill over three months, whose first window was given up."""
    run = Run.of(open_run(connections.lake(), FIRST).records())
    plan_windows(run)
    with disable_run_logger():
        window_given_up(run, begun(run), RetryBudgetSpent(1, 3, "Shopify is down"))
    return run


@pytest.fixture
def goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process worked on this flow run before."""
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", "2")


def begun(run: Run) -> BackfillWindow:
    window = begin_next(run, Lengths())
    assert window is not None
    return window


def statuses(run: Run) -> list[str]:
    with plan_of(run) as plan:
        return [window.status.value for window in plan.windows()]


def test_new_flow_run_tries_again(run: Run) -> None:
    """Whoever starts a backfill again wants what failed tried again."""
    plan_windows(run)

    assert ["running", "planned"] == statuses(run)


@pytest.mark.usefixtures("goes_on")
def test_retried_flow_run_tries_again(run: Run) -> None:
    """A retry of the failed flow run, as Prefect's UI offers it, tries again what failed, too."""
    connections.record(run, Step.FAILED)

    plan_windows(run)

    assert ["running", "planned"] == statuses(run)


@pytest.mark.usefixtures("goes_on")
def test_continued_flow_run_goes_on(run: Run) -> None:
    """A flow run that merely waited finds the plan as it left it."""
    plan_windows(run)

    assert ["failed", "planned"] == statuses(run)


@pytest.mark.usefixtures("goes_on")
def test_lost_plan_is_made_anew(run: Run) -> None:
    """A plan that was lost with its database is no reason to call the backfill complete."""
    (connections.settings().data_dir / "shopsync.db").unlink()

    plan_windows(run)

    assert ["planned"] == statuses(run)


def test_window_is_one_flow_runs(run: Run) -> None:
    """A flow run that comes back from the dead leaves its window to the one that was started instead."""
    plan_windows(run)
    start = FIRST.window_start
    assert start is not None

    first, second, again = (take_window(run, start, each) for each in ("first", "second", "first"))

    assert second is None
    assert first == again


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys under which flow runs of windows are asked for; Prefect gives one flow run for each."""
    asked: list[str] = []

    def started(_deployment: str, *, idempotency_key: str, **_named: object) -> FlowRun:
        asked.append(idempotency_key)
        return FlowRun(id=uuid5(NAMESPACE_URL, idempotency_key), flow_id=uuid4())

    monkeypatch.setattr(handing, "run_deployment", started)
    return asked


def test_one_attempt_is_one_flow_run(run: Run, keys: list[str]) -> None:
    """A backfill that died before it noted the flow run of a window is given the same one again."""
    plan_windows(run)
    with disable_run_logger():
        (window,) = start_windows(run, Lengths(), 1)
        window_handed_out(run, window, None)
        start_windows(run, Lengths(), 1)

    assert 2 == len(keys)
    assert 1 == len({*keys})


def test_window_that_failed_gets_another_flow_run(run: Run, keys: list[str]) -> None:
    """The next attempt at a window is none of the flow run that died."""
    plan_windows(run)
    with disable_run_logger():
        (window,) = start_windows(run, Lengths(), 1)
        window_failed(run, window_handed_out(run, window, None), WindowRunDied("r", "Crashed: gone"))
        start_windows(run, Lengths(), 1)

    assert 2 == len({*keys})


def test_backfill_started_again_gets_other_flow_runs(
    run: Run, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again by hand, a backfill does not get back the dead flow runs of the windows that it gave up."""
    plan_windows(run)
    with disable_run_logger():
        (window,) = start_windows(run, Lengths(), 1)
        window_given_up(run, window, RetryBudgetSpent(1, 3, "Shopify is down"))
        later = connections.now() + timedelta(hours=1)
        monkeypatch.setattr(connections, "now", lambda: later)
        plan_windows(run)
        start_windows(run, Lengths(), 1)

    assert 2 == len({*keys})


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (DatabaseUnavailable("mysql://x", "gone away"), "running"),
        (LakeUnavailable("s3://x", "it is out of service"), "running"),
        (RetryBudgetSpent(1, 3, "Shopify is down"), "failed"),
    ],
)
def test_passing_failure_gives_no_window_up(
    run: Run, monkeypatch: pytest.MonkeyPatch, failure: SyncError, status: str
) -> None:
    """A window whose flow run meets a neighbour that is away is tried again; what all would meet ends the backfill."""

    def fail(*_given: object) -> None:
        raise failure

    woken: list[Run] = []
    monkeypatch.setattr(flows.windows, "bring_window_in", fail)
    monkeypatch.setattr(flows.windows, "wake", woken.append)
    plan_windows(run)

    with disable_run_logger(), pytest.raises(type(failure)):
        backfill_window.fn(UUID(run.run_id), run.requested_at, run.whole.start)

    assert [status, "planned"] == statuses(run)
    assert [run.run_id] == [each.run_id for each in woken]
