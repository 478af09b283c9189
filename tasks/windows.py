"""The plan of a backfill, as its flow moves along it: which window is next, how one ended, what is told of all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prefect import get_run_logger

from shopsync.archive import Manifest
from shopsync.backfill import BackfillProgress, BackfillWindow, Lengths, WindowStatus, is_hopeless, worth_showing
from shopsync.database.progress import UpsertProgress
from shopsync.database.windows import BackfillPlan
from shopsync.errors import BackfillIncomplete, SyncError, WindowError
from shopsync.run import Run
from shopsync.telemetry import Status, Step
from shopsync.window import stamp
from tasks import connections
from tasks.artifacts import show_artifact, shown_artifact
from tasks.step import again
from tasks.upsert import counts
from tasks.waiting import is_continued

TABLE = "backfill-windows"

ERROR_CHARACTERS = 300
"""Of a window's failure, in the table; the whole message is in sync.telemetry."""


@contextmanager
def plan_of(run: Run) -> Iterator[BackfillPlan]:
    """Open the plan of a backfill."""
    with connections.database() as database:
        yield BackfillPlan(database, run.run_id)


@again
def plan_windows(run: Run) -> None:
    """
    Plan the range, unless it is planned; who starts a backfill again wants its failed windows tried again.

    No task: a flow run that is retried in Prefect's UI, or whose database was emptied, is started again too.
    """
    started_again = not is_continued() or connections.journal(run).last.status is Status.FAILED
    with plan_of(run) as plan:
        plan.make(run.whole)
        if started_again:
            plan.reopen(connections.now())


def next_window(run: Run, lengths: Lengths) -> BackfillWindow | None:
    """Return the window to bring in now: one that was begun and has not ended, or the plan's next; None at last."""
    if all_given_up(run):
        return None
    begun = running_windows(run)
    return begun[0] if begun else begin_next(run, lengths)


@again
def window_at(run: Run, start: datetime) -> BackfillWindow:
    """Return the window that starts then."""
    with plan_of(run) as plan:
        found = next((window for window in plan.windows() if window.start == start), None)
    if found is None:
        raise WindowError(f"backfill {run.run_id} has no window that starts at {stamp(start)}")
    return found


def take_window(run: Run, start: datetime, flow_run_id: str) -> BackfillWindow | None:
    """Return the window that starts then, for this flow run to bring in; None when it ended, or is another's by now."""
    window = window_at(run, start)
    if window.status is not WindowStatus.RUNNING or window.flow_run_id not in {None, flow_run_id}:
        return None
    return window_handed_out(run, window, flow_run_id)


@again
def running_windows(run: Run) -> list[BackfillWindow]:
    """Return the windows that were begun and have not ended."""
    with plan_of(run) as plan:
        return [window for window in plan.windows() if window.status is WindowStatus.RUNNING]


@again
def all_given_up(run: Run) -> bool:
    """Whether a window failed for a reason that the others would meet too."""
    with plan_of(run) as plan:
        return is_hopeless(plan.windows())


@again
def begin_next(run: Run, lengths: Lengths) -> BackfillWindow | None:
    """Begin the plan's next window; None when there is none left."""
    with plan_of(run) as plan:
        return plan.begin_next(lengths.following(plan.windows()), connections.now())


@again
def window_handed_out(run: Run, window: BackfillWindow, flow_run_id: str | None) -> BackfillWindow:
    """Note the flow run that brings a window in; None when it died."""
    with plan_of(run) as plan:
        return plan.assign(window, flow_run_id)


@again
def window_done(run: Run, window: BackfillWindow, manifest: Manifest, upserted: UpsertProgress) -> BackfillWindow:
    """Record that a window is in, as far as its archive reaches."""
    with plan_of(run) as plan:
        return plan.finish(window, manifest.window.end, counts(manifest, upserted), connections.now())


@again
def window_failed(run: Run, window: BackfillWindow, failure: SyncError) -> BackfillWindow:
    """Record a failed attempt at a window; the last one ends it."""
    with plan_of(run) as plan:
        failed = plan.fail(window, str(failure), connections.now())
    what_now = "tried again" if failed.status is WindowStatus.RUNNING else "given up"
    get_run_logger().warning("the window %s is %s: %s", window.name, what_now, failure)
    return failed


@again
def window_given_up(run: Run, window: BackfillWindow, failure: SyncError) -> BackfillWindow:
    """Record that a window met what the others would meet too: the backfill begins no further one."""
    get_run_logger().error("the window %s is given up, and no other is begun: %s", window.name, failure)
    with plan_of(run) as plan:
        return plan.give_up(window, str(failure), connections.now())


@again
def require_all_windows(run: Run) -> None:
    """Raise BackfillIncomplete when a window failed, or was never reached."""
    with plan_of(run) as plan:
        missing = [window for window in plan.windows() if window.status is not WindowStatus.DONE]
    if missing:
        reason = next((window.error for window in missing if window.error), "it was not begun")
        raise BackfillIncomplete(run.run_id, tuple(window.name for window in missing), reason)


@again
def show_windows(run: Run, lengths: Lengths, at_once: int = 1) -> BackfillProgress:
    """
    Return where a backfill stands now, and show it: a progress artifact, a table of windows, a line, a run record.

    Where nothing has changed since this flow run showed it last, nothing is written.
    """
    with plan_of(run) as plan:
        windows = plan.windows()
    progress = BackfillProgress.of(windows, lengths.following(windows), connections.now(), at_once)
    shown = worth_showing(windows)
    more = sum(window.status is not WindowStatus.PLANNED for window in windows) - len(shown)
    table = json.dumps([_told(window) for window in shown])
    description = f"Windows of backfill {run.run_id}" + (f"; {more:,} more are not shown" if more else "")
    if shown_artifact(TABLE) != (table, description):
        connections.record(run, Step.WINDOWS, progress.counts)
        show_artifact("progress", "backfill", 100 * progress.share, f"Backfill {run.run_id}: {progress}")
        show_artifact("table", TABLE, table, description)  # last: by it a look that was cut short is seen
        get_run_logger().info("%d %% of the range: %s", 100 * progress.share, progress)
    return progress


def _told(window: BackfillWindow) -> dict[str, str]:
    took = window.ended_at - window.started_at if window.ended_at and window.started_at else None
    return {
        "from": stamp(window.start),
        "to": stamp(window.end),
        "status": window.status.value,
        "orders": "" if window.counts.orders is None else f"{window.counts.orders:,}",
        "seconds": "" if took is None else f"{took.total_seconds():.0f}",
        "run": window.run_id or "",
        "error": (window.error or "")[:ERROR_CHARACTERS],
    }
