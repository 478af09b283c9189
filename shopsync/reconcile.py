"""
No run dies unseen: what Prefect knows to be dead gets its `failed` record, and what crashed is started again.

A process that was killed could not say so itself. The world is an argument: Prefect's REST API, the database, the
lake, the clock, and how an operation at Shopify is cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from sqlalchemy import Engine

from shopsync.backfill import WindowStatus
from shopsync.database import runs
from shopsync.database.leases import release_all
from shopsync.database.runs import KnownRun
from shopsync.database.windows import BackfillPlan
from shopsync.errors import NotInPrefect, PrefectRefused, PrefectUnavailable, SyncError
from shopsync.journal import Journal, find_run
from shopsync.lake import Lake
from shopsync.prefect_api import FlowRun, PrefectApi, StateType
from shopsync.run import Run
from shopsync.telemetry import RunError, RunRecord, Status, Step

LATE_REPORT = timedelta(seconds=60)
"""A worker reports a crash a second time, seconds later: a retry before it would be overwritten by it."""

LAST_WORD = timedelta(seconds=10)
"""A run that is over has had the time to say so itself: its last record takes seconds."""

LONG_AGO = timedelta(hours=6)
"""What crashed before is left to an operator: the next daily run has brought its window in by now."""

GONE_AFTER = timedelta(days=1)
"""A run that Prefect does not know may work under another one, from a terminal: it speaks more often than that."""

LONG_BEFORE = datetime.min.replace(tzinfo=UTC)

CRASHES = 3
"""A flow run that crashed so often crashes for a reason."""

TAG = "shopsync"
"""Every deployment of prefect.yaml has it."""

IN_WORDS = {
    StateType.CRASHED: "its process died",
    StateType.CANCELLED: "somebody cancelled it in Prefect",
    StateType.FAILED: "its flow run failed before it could say why",
    StateType.COMPLETED: "its flow run ended without a word",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """
    What the reconciler looks at and acts on.

    `cancel` ends a run's operation at Shopify; the reconciler calls it for runs that nobody continues. What crashed is
    left alone for `late_report`.
    """

    prefect: PrefectApi
    database: Engine
    lake: Lake
    now: Callable[[], datetime]
    cancel: Callable[[Run], None]
    late_report: timedelta = LATE_REPORT


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A line for each thing that was `done`, and for each that is `left` to an operator for as long as it stands."""

    done: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    @contextmanager
    def one(self, what: str) -> Generator[None]:
        """Let the others go on when one of them cannot be brought to anything; without Prefect nothing is known."""
        try:
            yield
        except (PrefectUnavailable, PrefectRefused):
            raise
        except SyncError as failure:
            self.left.append(f"{what} is left as it is: {failure}")


def reconcile(world: World) -> Reconciled:
    """
    Bring records, leases and crashed runs to what Prefect knows.

    A run that waits, and one of which Prefect merely heard nothing for a while, is left alone. One whose records cannot
    be read keeps no other from its due.

    Raises:
        PrefectUnavailable, PrefectRefused: Nothing is known then, and nothing was done beyond what was said.
        SyncError: The database fails.
    """
    crashed, said = _crashed(world), Reconciled()
    for found in crashed:
        with said.one(f"flow run {found.name}"):
            _bring_up_row(world, found)
    for known in runs.unfinished(world.database):
        with said.one(f"run {known.run_id}"):
            said.done.extend(_record_the_dead(world, known))
    for found in crashed:
        with said.one(f"flow run {found.name}"):
            _retry(world, found, said)
    return said


def end_run(world: World, known: KnownRun, found: FlowRun | None) -> str | None:
    """
    Write the `failed` record of a run whose flow run is over or gone; None when the run had its last word.

    With a cancelled backfill go the flow runs of its windows, whatever it said itself.
    """
    if found is not None and found.state is not None and found.state.type is StateType.CANCELLED:
        _cancel_windows(world, known.run_id)
    journal = find_run(world.lake, known.run_id, known.requested_at, lambda each: runs.project(world.database, each))
    if journal is None:
        return None
    if journal.last.status in {Status.COMPLETED, Status.FAILED}:
        runs.project(world.database, journal.last)  # the record was written, its projection was not
        return None
    last, error = journal.last, _error(found, journal.last)
    journal.append(Step.FAILED, at=world.now(), error=error)
    release_all(world.database, known.run_id)
    if last.step in {Step.REQUEST, Step.POLL} and not (found and _may_retry(world, found)):
        _cancel(world, journal)
    return f"run {known.run_id} is recorded as failed: {error.message}"


def _record_the_dead(world: World, known: KnownRun) -> list[str]:
    if known.flow_run_id is None:
        return []
    found = world.prefect.flow_run(known.flow_run_id)
    is_dead = _is_silent(world, known.run_id) if found is None else found.is_over and _has_settled(world, found)
    line = end_run(world, known, found) if is_dead else None
    return [line] if line else []


def _is_silent(world: World, run_id: str) -> bool:
    """Whether nothing was heard for long of a run, nor of its windows when it is a backfill."""
    windows = [each.run_id for each in BackfillPlan(world.database, run_id).windows() if each.run_id is not None]
    heard = runs.last_heard_of(world.database, [run_id, *windows])
    return heard is None or world.now() - heard > GONE_AFTER


def _crashed(world: World) -> list[FlowRun]:
    """Return the flow runs that crashed, and of which the worker has said its last."""
    now = world.now()
    return world.prefect.flow_runs(
        state_types=[StateType.CRASHED], tags=[TAG], ended_after=now - LONG_AGO, ended_before=now - world.late_report
    )


def _bring_up_row(world: World, found: FlowRun) -> None:
    """Let the database know a run that died between its first record and its row: the lake has the record."""
    run_id, requested_at = str(found.parameters.get("run_id") or found.id), _requested_at(found)
    if requested_at is None or runs.of_flow_run(world.database, found.id):
        return
    journal = find_run(world.lake, run_id, requested_at)
    if journal is not None:
        runs.project(world.database, journal.last)


def _requested_at(found: FlowRun) -> datetime | None:
    """Return when a run was asked for, as it says in its first record."""
    try:
        return datetime.fromisoformat(str(found.parameters["requested_at"]))
    except (KeyError, ValueError):  # not given, or as null
        return found.expected_start_time


def _retry(world: World, found: FlowRun, said: Reconciled) -> None:
    if found.deployment_id is None:
        return
    deaths = _deaths(world, found)
    if deaths >= CRASHES:
        said.left.append(f"flow run {found.name} crashed {deaths} times and is not started again: look at its log")
    elif world.prefect.set_state(
        found.id, StateType.SCHEDULED, "AwaitingRetry", at=world.now(), message="Its process died; it goes on."
    ):
        said.done.append(f"flow run {found.name} crashed and is started again")


def _has_settled(world: World, found: FlowRun) -> bool:
    return found.end_time is None or world.now() - found.end_time > LAST_WORD


def _may_retry(world: World, found: FlowRun) -> bool:
    if found.state is None or found.state.type is not StateType.CRASHED or found.deployment_id is None:
        return False
    if found.end_time is not None and world.now() - found.end_time > LONG_AGO:
        return False
    return _deaths(world, found) < CRASHES


def _deaths(world: World, found: FlowRun) -> int:
    """Count how often a flow run's process died, as Prefect knows of those too that died before they wrote a word."""
    states = world.prefect.states(found.id)
    reports = [each.timestamp for each in states if each.type is StateType.CRASHED and each.timestamp is not None]
    # Sooner after another it is the late report of the same death: nothing is started again before it.
    return sum(at - before >= world.late_report for before, at in pairwise([LONG_BEFORE, *reports]))


def _cancel(world: World, journal: Journal) -> None:
    try:
        world.cancel(Run.of(journal.records()))
    except SyncError as failure:
        # The record is what matters; Shopify ends an operation by itself.
        logger.warning("the operation of run %s was not cancelled: %s", journal.last.run_id, failure)


def _cancel_windows(world: World, run_id: str) -> None:
    """Cancel the flow runs that bring in windows of a backfill; started again it brings these in anew."""
    plan = BackfillPlan(world.database, run_id)
    for window in plan.windows():
        if window.status is WindowStatus.RUNNING and window.flow_run_id is not None:
            with suppress(NotInPrefect):
                world.prefect.set_state(
                    window.flow_run_id, StateType.CANCELLING, "Cancelling", message="Its backfill was cancelled."
                )
            plan.give_up(window, "the backfill was cancelled", world.now())


def _error(found: FlowRun | None, last: RunRecord) -> RunError:
    if found is None or found.state is None:
        return RunError(type="Gone", message="Prefect does not know its flow run any more", step=last.step)
    kind = found.state.type
    said = f" ({found.state.message})" if found.state.message else ""
    return RunError(type=kind.value.title(), message=f"{IN_WORDS[kind]}{said}", step=last.step)
