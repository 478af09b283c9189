"""Windows of a backfill as flow runs of their own: starting them, waiting for them, seeing that one died."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry, Crashed

from shopsync.backfill import BackfillWindow, Lengths
from shopsync.errors import NotInPrefect, WindowRunDied
from shopsync.run import Run
from tasks import connections
from tasks.waiting import is_continued, wait_until
from tasks.windows import all_given_up, begin_next, running_windows, window_failed, window_given_up, window_handed_out

DEPLOYMENT = "backfill-window/backfill-window"

WAKE_TRIES = 20
"""Seconds: a backfill that is about to wait takes some until it does."""

LINGER_TRIES = 20
"""Seconds: woken by one window a backfill stays a while, since those that begin together end together."""

LOOK_AGAIN = timedelta(minutes=5)
"""Each window wakes its backfill when it has ended; this late it looks by itself, for one that died."""


def start_windows(run: Run, lengths: Lengths, at_once: int) -> list[BackfillWindow]:
    """Let up to so many windows of a backfill run, and return those that do."""
    running = running_windows(run)
    if all_given_up(run):
        return [window for window in running if window.flow_run_id]
    while len(running) < at_once and (window := begin_next(run, lengths)) is not None:
        running.append(window)
    return [window if window.flow_run_id else _started(run, window) for window in running]


def fail_dead_windows(run: Run) -> None:
    """Take a window whose flow run ended without bringing it in as a failed attempt; cancelled, it is given up."""
    for window in running_windows(run):
        end = _end_of(window)
        if end is not None:
            died = WindowRunDied(window.flow_run_id or "", f"{end.name}: {end.message or 'without a word'}")
            record = window_given_up if end.is_cancelled() else window_failed
            record(run, window_handed_out(run, window, None), died)


def wait_for_windows(run: Run, running: list[BackfillWindow]) -> None:
    """Wait, without a container, until one of the windows has ended, or until it is time to look after them."""
    for _ in range(LINGER_TRIES if is_continued() else 1):
        if len(running_windows(run)) < len(running):
            return
        time.sleep(1)
    wait_until(connections.now() + LOOK_AGAIN, f"{len(running)} windows of backfill {run.run_id} are running")


def wake(run: Run) -> None:
    """Let a backfill that waits for its windows, or is about to, go on now."""
    parent = connections.journal(run).last.flow_run_id
    for _ in range(WAKE_TRIES):
        found = _flow_run(parent) if parent else None
        if parent is None or found is None or found.state is None or found.state.is_final():
            return
        # From any other state it would be submitted twice.
        if found.state.name == "AwaitingRetry":
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(parent), AwaitingRetry(scheduled_time=connections.now()))
            return
        time.sleep(1)


def _started(run: Run, window: BackfillWindow) -> BackfillWindow:
    parameters = {
        "backfill_run_id": run.run_id,
        "requested_at": run.requested_at.isoformat(),
        "window_start": window.start.isoformat(),
    }
    try:
        # The same attempt is the same flow run, also after a crash between its start and the note of it.
        started = run_deployment(
            DEPLOYMENT,
            parameters=parameters,
            timeout=0,
            as_subflow=False,
            flow_run_name=window.name,
            tags=[f"backfill {run.run_id}"],
            idempotency_key=f"{flow_run.id} {window.name} {window.started_at} {window.failures}",
        )
    except ObjectNotFound as error:
        raise NotInPrefect(str(get_current_settings().api.url), f"deployment '{DEPLOYMENT}'") from error
    assert isinstance(started, FlowRun)
    get_run_logger().info("window %s: flow run %s", window.name, started.name)
    return window_handed_out(run, window, str(started.id))


def _end_of(window: BackfillWindow) -> State | None:
    """Return how a window's flow run ended; None while there is none, or one that may still bring it in."""
    if window.flow_run_id is None:
        return None
    found = _flow_run(window.flow_run_id)
    if found is None:
        return Crashed(message="somebody deleted it")
    return found.state if found.state is not None and found.state.is_final() else None


def _flow_run(flow_run_id: str) -> FlowRun | None:
    """Return a flow run; None when somebody deleted it."""
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        return client.read_flow_run(UUID(flow_run_id))
