"""The plan of a backfill in the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from shopsync.backfill import BackfillWindow, WindowStatus
from shopsync.database.windows import BackfillPlan
from shopsync.telemetry import Counts
from shopsync.window import SyncWindow, WindowField

START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)
WHOLE = SyncWindow(START, START + 100 * DAY, WindowField.CREATED)
BACKFILL = "2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11"


def planned(database: Engine) -> BackfillPlan:
    plan = BackfillPlan(database, BACKFILL)
    plan.make(WHOLE)
    return plan


def begin(plan: BackfillPlan, days: int = 30) -> BackfillWindow:
    begun = plan.begin_next(days * DAY, NOW + timedelta(microseconds=7))
    assert begun is not None
    return begun


def parts(plan: BackfillPlan) -> list[tuple[int, int, WindowStatus]]:
    return [((w.start - START).days, (w.end - START).days, w.status) for w in plan.windows()]


def test_plan_is_made_once(database: Engine) -> None:
    """Planning again leaves what has begun; another backfill has a plan of its own."""
    plan = planned(database)
    begin(plan)

    plan.make(WHOLE)

    assert [(0, 30, WindowStatus.RUNNING), (30, 100, WindowStatus.PLANNED)] == parts(plan)
    assert [] == BackfillPlan(database, "another").windows()


def test_windows_are_cut_until_none_is_left(database: Engine) -> None:
    """Each window begins where the one before ended, the last ends with the range, each is another run."""
    plan = planned(database)

    begun = [begin(plan, 40), begin(plan, 40), begin(plan, 40)]

    assert begun == plan.windows()
    assert [(0, 40), (40, 80), (80, 100)] == [((w.start - START).days, (w.end - START).days) for w in begun]
    assert 3 == len({w.run_id for w in begun})
    assert plan.begin_next(DAY, NOW) is None


def test_done_window_keeps_what_it_brought(database: Engine) -> None:
    """Counts and times are those of the run that brought the window in."""
    plan = planned(database)
    window = begin(plan)

    done = plan.finish(window, window.end, Counts(orders=7, bytes=5_000_000_000), NOW + DAY)

    assert (WindowStatus.DONE, Counts(orders=7, bytes=5_000_000_000), NOW + DAY) == (
        done.status,
        done.counts,
        done.ended_at,
    )
    assert done == plan.windows()[0]


def test_rest_of_a_halved_window_is_planned(database: Engine) -> None:
    """What a window did not reach becomes a gap, which is the next to be cut."""
    plan = planned(database)
    window = begin(plan)

    done = plan.finish(window, START + 15 * DAY, Counts(), NOW)

    assert done.halved
    assert [(0, 15, "done"), (15, 30, "planned"), (30, 100, "planned")] == parts(plan)
    assert START + 15 * DAY == begin(plan).start


def test_failed_window_is_tried_again(database: Engine) -> None:
    """An attempt that failed leaves the window running under its run id; the last one ends it, with the reason."""
    plan = planned(database)
    window = begin(plan)

    again = plan.fail(window, "trouble", NOW)
    failed = plan.fail(plan.fail(again, "trouble", NOW), "x" * 5_000, NOW)

    assert (WindowStatus.RUNNING, 1, window.run_id) == (again.status, again.failures, again.run_id)
    assert (WindowStatus.FAILED, 3, 4_000) == (failed.status, failed.failures, len(failed.error or ""))
    assert failed == plan.windows()[0]


def test_attempts_belong_to_one_flow_run(database: Engine) -> None:
    """A flow run that fails goes on trying: its window is nobody else's meanwhile."""
    plan = planned(database)
    given = plan.assign(begin(plan), "flow-run-7")

    plan.fail(given, "trouble", NOW)

    assert "flow-run-7" == plan.windows()[0].flow_run_id


def test_given_up_window_is_the_last(database: Engine) -> None:
    """After a failure that all would meet no further window is begun, until somebody starts the backfill again."""
    plan = planned(database)

    plan.give_up(begin(plan), "Shopify is not well", NOW)

    assert plan.begin_next(DAY, NOW) is None
    plan.reopen(NOW)
    assert plan.begin_next(DAY, NOW) is not None


def test_reopened_window_runs_again(database: Engine) -> None:
    """A backfill that is started again tries its failed windows as if for the first time."""
    plan = planned(database)
    plan.give_up(begin(plan), "trouble", NOW)

    plan.reopen(NOW + DAY)

    (window, *_) = plan.windows()
    assert (WindowStatus.RUNNING, 0, None) == (window.status, window.failures, window.error)
    assert window.started_at == NOW + DAY


def test_same_gap_is_cut_once(database: Engine) -> None:
    """Two processes of one backfill that read the same gap never begin the same window."""
    plan = planned(database)
    gap = plan.windows()[0]
    begin(plan)

    stale = BackfillWindow(gap.start, gap.start + DAY, WindowStatus.RUNNING)
    assert not plan._change(gap, stale)
    assert [(0, 30, "running"), (30, 100, "planned")] == parts(plan)


def test_window_remembers_its_flow_run(database: Engine) -> None:
    """The flow run that a worker was given is found again after the parent went away."""
    plan = planned(database)

    given = plan.assign(begin(plan), "flow-run-7")

    assert "flow-run-7" == given.flow_run_id == plan.windows()[0].flow_run_id
