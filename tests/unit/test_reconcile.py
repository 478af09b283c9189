"""Runs that died unseen get their last record, and crashed ones go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, make_url

from shopsync.backfill import WindowStatus
from shopsync.database import leases, runs, schema
from shopsync.database.engine import open_database
from shopsync.database.windows import BackfillPlan
from shopsync.errors import LeaseHeld, PrefectUnavailable, ShopifyUnavailable
from shopsync.journal import find_run, open_run
from shopsync.lake import Lake, open_lake, telemetry_key
from shopsync.prefect_api import PrefectAccess, PrefectApi
from shopsync.reconcile import GONE_AFTER, Reconciled, World, reconcile
from shopsync.run import Run
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Step
from shopsync.window import SyncWindow

RUN_ID = "00000000-0000-4000-8000-000000000001"
AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=10)
THREE_TIMES = (AT - timedelta(minutes=8), AT - timedelta(minutes=4), AT)


@dataclass
class Prefect:
    """
    A Prefect server with flow runs; it refuses every state of those in `refusing`, and has forgotten others.

    `crashed` is when it heard of crashes. While `proxied` is something, a proxy answers that in its place.
    """

    flow_runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    set_states: list[tuple[str, str]] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    crashed: Sequence[datetime] = (AT,)
    proxied: httpx.Response | None = None

    def add(self, state: str, *, ended: datetime = AT, deployment: str | None = "d1") -> None:
        self.flow_runs["f1"] = {
            "id": "f1",
            "name": "wise-owl",
            "flow_id": "flow",
            "deployment_id": deployment,
            "parameters": {"run_id": RUN_ID},
            "expected_start_time": AT.isoformat(),
            "state": {"type": state, "name": state.title(), "message": "told"},
            "end_time": ended.isoformat() if state not in {"RUNNING", "SCHEDULED"} else None,
        }

    def answer(self, request: httpx.Request) -> httpx.Response:
        *_, flow_run_id, last = request.url.path.split("/")
        if self.proxied:
            return self.proxied
        if last == "filter":
            return httpx.Response(200, json=self._filtered(json.loads(request.content)))
        if flow_run_id == "flow_run_states":
            return httpx.Response(200, json=list(self._states()))
        if flow_run_id in self.forgotten:
            return httpx.Response(404, json={"exception_message": f"Flow run with id {flow_run_id} not found"})
        if last == "set_state":
            self.set_states.append((flow_run_id, json.loads(request.content)["state"]["name"]))
            return httpx.Response(201, json={"status": "REJECT" if flow_run_id in self.refusing else "ACCEPT"})
        found = self.flow_runs.get(last)
        return httpx.Response(200, json=found) if found else httpx.Response(404, json={"detail": "Flow run not found"})

    def _states(self) -> Iterator[dict[str, Any]]:
        for at in self.crashed:
            yield {"type": "PENDING", "name": "Pending", "timestamp": (at - timedelta(seconds=2)).isoformat()}
            yield {"type": "CRASHED", "name": "Crashed", "timestamp": at.isoformat()}

    def _filtered(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        bounds = body["flow_runs"]["end_time"]
        return [
            each
            for each in self.flow_runs.values()
            if each["state"]["type"] == "CRASHED" and bounds["after_"] <= each["end_time"] <= bounds["before_"]
        ]


@dataclass
class Scene:
    """A run in its journal and its row, a Prefect that knows more, and what is done about it."""

    lake: Lake
    database: Engine
    prefect: Prefect = field(default_factory=Prefect)
    cancelled: list[str] = field(default_factory=list)
    shopify_is_down: bool = False
    now: datetime = LATER

    def begin(self, *steps: Step, flow_run_id: str | None = "f1", with_row: bool = True, run_id: str = RUN_ID) -> None:
        first = RunRecord(
            run_id,
            JobType.DAILY,
            Initiator.CRON,
            AT,
            AT,
            Step.INITIATED,
            Step.INITIATED.status,
            AT,
            flow_run_id=flow_run_id,
            window_start=AT - timedelta(days=1),
            window_end=AT,
        )
        journal = open_run(self.lake, first, self._project if with_row else None)
        for step in steps:
            journal.append(step, at=AT)

    def tell(self, step: Step, at: datetime, *, run_id: str = RUN_ID, **changes: Any) -> None:
        journal = find_run(self.lake, run_id, AT, self._project)
        assert journal is not None
        journal.append(step, at=at, **changes)

    def reconcile(self) -> Reconciled:
        http = httpx.Client(transport=httpx.MockTransport(self.prefect.answer))
        api = PrefectApi(PrefectAccess("http://prefect/api", {}), http)
        return reconcile(World(api, self.database, self.lake, lambda: self.now, self._cancel))

    def last(self) -> RunRecord:
        journal = find_run(self.lake, RUN_ID, AT)
        assert journal is not None
        return journal.last

    def _project(self, record: RunRecord) -> None:
        runs.project(self.database, record)

    def _cancel(self, run: Run) -> None:
        if self.shopify_is_down:
            raise ShopifyUnavailable("shop", "down")
        self.cancelled.append(run.run_id)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    engine = open_database(make_url(f"sqlite:///{tmp_path / 'x.db'}"))
    schema.prepare(engine)
    return Scene(open_lake((tmp_path / "lake").as_uri()), engine)


@pytest.mark.parametrize(
    ("state", "error"),
    [("CRASHED", "Crashed"), ("CANCELLED", "Cancelled"), ("FAILED", "Failed"), ("COMPLETED", "Completed")],
)
def test_dead_run_gets_its_last_record(scene: Scene, state: str, error: str):
    """What Prefect knows to be over is over for staff too, with the step it was in."""
    scene.begin(Step.UPSERT)
    scene.prefect.add(state)

    said = scene.reconcile()

    last = scene.last()
    assert last.error is not None
    assert ("failed", error, "upsert") == (last.status, last.error.type, last.error.step)
    assert "told" in last.error.message
    assert [] == runs.unfinished(scene.database)
    assert RUN_ID in said.done[0]


def test_forgotten_run_gets_its_last_record(scene: Scene):
    """A flow run that somebody deleted comes back no more: after a day it is over."""
    scene.begin(Step.POLL)
    scene.now = AT + GONE_AFTER + timedelta(seconds=1)

    scene.reconcile()

    last = scene.last()
    assert last.error is not None
    assert "Gone" == last.error.type
    assert [RUN_ID] == scene.cancelled


@pytest.mark.parametrize("state", ["RUNNING", "SCHEDULED"])
def test_living_run_is_left_alone(scene: Scene, state: str):
    """A run that waits, or of which nothing was heard for a while, is nobody's to end."""
    scene.begin(Step.POLL)
    scene.prefect.add(state)

    assert Reconciled() == scene.reconcile()
    assert Step.POLL is scene.last().step


def test_run_has_seconds_to_say_it_itself(scene: Scene):
    """A process that was told to end is still writing."""
    scene.begin(Step.POLL)
    scene.prefect.add("CANCELLED", ended=LATER - timedelta(seconds=5))

    assert Reconciled() == scene.reconcile()


def test_run_of_another_prefect_is_left_alone(scene: Scene):
    """A run in a terminal may have a Prefect of its own: unknown here, it keeps its lease and its operation."""
    scene.begin(Step.POLL)
    leases.acquire(scene.database, "daily", RUN_ID, AT, timedelta(hours=9))
    scene.now = AT + timedelta(hours=8)

    assert Reconciled() == scene.reconcile()
    assert Step.POLL is scene.last().step
    assert [] == scene.cancelled
    with pytest.raises(LeaseHeld):
        leases.acquire(scene.database, "daily", "r2", scene.now, timedelta(hours=9))


def test_unknown_run_that_waits_is_left_alone(scene: Scene):
    """Who says until when it waits is not silent until then."""
    scene.begin()
    scene.tell(Step.REQUEST, AT, waiting_until=AT + timedelta(hours=12))
    scene.now = AT + GONE_AFTER + timedelta(hours=11)

    assert Reconciled() == scene.reconcile()


def test_unknown_backfill_lives_in_its_windows(scene: Scene):
    """A backfill says nothing while its windows are brought in, for days."""
    plan = BackfillPlan(scene.database, RUN_ID)
    plan.make(SyncWindow(AT - timedelta(days=9), AT))
    window = plan.begin_next(timedelta(days=3), AT)
    assert window is not None and window.run_id is not None
    scene.begin(Step.WINDOWS)
    scene.begin(run_id=window.run_id)
    scene.now = AT + GONE_AFTER + timedelta(hours=11)
    scene.tell(Step.UPSERT, scene.now - timedelta(hours=1), run_id=window.run_id)

    assert Reconciled() == scene.reconcile()


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404, text="default backend - 404"), httpx.Response(404, json={"detail": "Not Found"})],
    ids=["ingress", "another service"],
)
def test_proxy_knows_no_run_to_be_gone(scene: Scene, answer: httpx.Response):
    """A 404 that is not Prefect's own says that Prefect is away, however old the runs are."""
    scene.begin(Step.POLL)
    scene.prefect.add("RUNNING")
    scene.prefect.proxied, scene.now = answer, AT + timedelta(days=9)

    with pytest.raises(PrefectUnavailable, match="it answered 404"):
        scene.reconcile()

    assert Step.POLL is scene.last().step


def test_run_without_a_flow_run_is_left_alone(scene: Scene):
    """Nobody knows."""
    scene.begin(Step.POLL, flow_run_id=None)

    assert Reconciled() == scene.reconcile()


@pytest.mark.parametrize("record", [b'{"run_id": 1}', b""], ids=["newer release", "empty"])
def test_damaged_run_keeps_no_other_from_its_due(scene: Scene, record: bytes):
    """A run whose records cannot be read is named; others are recorded and started again."""
    scene.begin(Step.POLL)
    scene.begin(Step.UPSERT, run_id="second")
    scene.lake.put(telemetry_key(AT, RUN_ID, 1, "poll"), record)
    scene.prefect.add("CRASHED")

    said = scene.reconcile()

    (left,) = said.left
    assert left.startswith(f"run {RUN_ID} is left as it is: ")
    assert "0001-poll.jsonl is not a run record" in left
    assert [RUN_ID] == [each.run_id for each in runs.unfinished(scene.database)]
    assert [("f1", "AwaitingRetry")] == scene.prefect.set_states


def test_damaged_run_without_a_row_is_named(scene: Scene):
    """A damaged run that only the lake knows is named too."""
    scene.begin(with_row=False)
    scene.lake.put(telemetry_key(AT, RUN_ID, 0, "initiated"), b"")
    scene.prefect.add("CRASHED")

    said = scene.reconcile()

    assert [True] == [line.startswith("flow run wise-owl is left as it is: ") for line in said.left]
    assert [("f1", "AwaitingRetry")] == scene.prefect.set_states


def test_run_is_over_though_a_clock_was_ahead(scene: Scene):
    """A machine whose clock is fast told the step before: the last record counts all the same."""
    scene.begin()
    scene.tell(Step.POLL, LATER + timedelta(minutes=5))

    scene.tell(Step.COMPLETED, LATER)

    assert [] == runs.unfinished(scene.database)


def test_row_catches_up_with_the_lake(scene: Scene):
    """A record whose projection failed is projected: the run had its last word."""
    scene.begin(Step.POLL)
    journal = find_run(scene.lake, RUN_ID, AT)
    assert journal is not None
    journal.append(Step.COMPLETED, at=LATER)
    scene.prefect.add("COMPLETED")

    assert Reconciled() == scene.reconcile()
    assert [] == runs.unfinished(scene.database)
    assert Step.COMPLETED is scene.last().step


def test_row_without_a_journal_is_left_alone(scene: Scene, tmp_path: Path):
    """A lake of another day knows nothing of it: there is nothing to write to."""
    scene.begin(Step.POLL)
    scene.lake = open_lake((tmp_path / "another").as_uri())

    assert Reconciled() == scene.reconcile()


def test_leases_of_the_dead_are_free(scene: Scene):
    """The next run need not wait for their end."""
    scene.begin(Step.UPSERT)
    leases.acquire(scene.database, "daily", RUN_ID, AT, timedelta(hours=9))
    scene.prefect.add("CANCELLED")

    scene.reconcile()

    leases.acquire(scene.database, "daily", "r2", AT, timedelta(hours=9))
    with pytest.raises(LeaseHeld, match="r2"):
        leases.acquire(scene.database, "daily", RUN_ID, AT, timedelta(hours=9))


def test_cancelled_run_leaves_no_operation(scene: Scene):
    """It would hold a slot for nobody."""
    scene.begin(Step.POLL)
    scene.prefect.add("CANCELLED")

    scene.reconcile()

    assert [RUN_ID] == scene.cancelled


def test_windows_are_cancelled_with_their_backfill(scene: Scene):
    """The flow runs that bring them in are, also one that Prefect forgot; what is done stays done."""
    plan = BackfillPlan(scene.database, RUN_ID)
    plan.make(SyncWindow(AT - timedelta(days=9), AT))
    done, forgotten, running = (plan.begin_next(timedelta(days=3), AT) for _ in range(3))
    assert done is not None and forgotten is not None and running is not None
    plan.finish(plan.assign(done, "f2"), done.end, Counts(), AT)
    plan.assign(forgotten, "f3")
    plan.assign(running, "f4")
    scene.begin(Step.WINDOWS)
    scene.prefect.add("CANCELLED")
    scene.prefect.forgotten.add("f3")

    scene.reconcile()

    told = [(window.status, window.error) for window in plan.windows()]
    assert [("f4", "Cancelling")] == scene.prefect.set_states
    assert [(WindowStatus.DONE, None), *[(WindowStatus.FAILED, "the backfill was cancelled")] * 2] == told


def test_windows_of_a_crashed_backfill_go_on(scene: Scene):
    """It will be started again, and waits for them then."""
    plan = BackfillPlan(scene.database, RUN_ID)
    plan.make(SyncWindow(AT - timedelta(days=3), AT))
    window = plan.begin_next(timedelta(days=3), AT)
    assert window is not None
    plan.assign(window, "f2")
    scene.begin(Step.WINDOWS)
    scene.prefect.add("CRASHED", ended=LATER - timedelta(seconds=20))

    scene.reconcile()

    assert [] == scene.prefect.set_states
    assert [WindowStatus.RUNNING] == [each.status for each in plan.windows()]


def test_record_stands_though_shopify_is_down(scene: Scene):
    """An operation ends by itself in the end."""
    scene.begin(Step.POLL)
    scene.prefect.add("CANCELLED")
    scene.shopify_is_down = True

    scene.reconcile()

    assert Step.FAILED is scene.last().step


def test_crashed_run_goes_on_with_its_operation(scene: Scene):
    """After the late report the flow run is started again; its operation is left to it."""
    scene.begin(Step.POLL)
    scene.prefect.add("CRASHED")

    said = scene.reconcile()

    assert [("f1", "AwaitingRetry")] == scene.prefect.set_states
    assert [] == scene.cancelled
    assert "flow run wise-owl crashed and is started again" == said.done[-1]


def test_waits_for_the_late_report(scene: Scene):
    """Before it a retry would be overwritten."""
    scene.begin(Step.POLL)
    scene.prefect.add("CRASHED", ended=LATER - timedelta(seconds=30))

    scene.reconcile()

    assert [] == scene.prefect.set_states


def test_crashing_again_and_again_ends(scene: Scene):
    """A run that crashed three times crashes for a reason, though only the first time it lived to tell of a step."""
    scene.begin(Step.POLL)
    scene.tell(Step.FAILED, AT, error=RunError("Crashed", "its process died"))
    scene.prefect.add("CRASHED")
    scene.prefect.crashed = THREE_TIMES

    said = scene.reconcile()

    assert [] == scene.prefect.set_states
    assert ["flow run wise-owl crashed 3 times and is not started again: look at its log"] == said.left


def test_third_crash_gives_the_operation_back(scene: Scene):
    """Nobody will adopt it."""
    scene.begin(Step.POLL)
    scene.prefect.add("CRASHED")
    scene.prefect.crashed = THREE_TIMES

    scene.reconcile()

    assert [RUN_ID] == scene.cancelled


def test_late_report_is_no_second_death(scene: Scene):
    """A worker that tells of a crash twice, with somebody's retry between, tells of one."""
    first = AT - timedelta(minutes=4)
    scene.prefect.add("CRASHED")
    scene.prefect.crashed = (first, first + timedelta(seconds=8), AT)

    scene.reconcile()

    assert [("f1", "AwaitingRetry")] == scene.prefect.set_states


def test_crash_before_the_first_row(scene: Scene):
    """A run that only the lake knows, since it died before the database was told, is recorded and goes on too."""
    scene.begin(with_row=False)
    scene.prefect.add("CRASHED")

    scene.reconcile()

    assert Step.FAILED is scene.last().step
    assert [("f1", "AwaitingRetry")] == scene.prefect.set_states


@pytest.mark.parametrize(("crashed", "retried"), [(THREE_TIMES[2:], 1), (THREE_TIMES[1:], 1), (THREE_TIMES, 0)])
def test_crash_before_the_first_record(scene: Scene, crashed: Sequence[datetime], retried: int):
    """A process that died while it started, before Prefect saw it run, is tried again until it died three times."""
    scene.prefect.add("CRASHED")
    scene.prefect.crashed = crashed

    scene.reconcile()

    assert retried == len(scene.prefect.set_states)


def test_terminal_run_is_nobodys_to_start(scene: Scene):
    """Without a deployment no worker would start it: it ends, and its operation with it."""
    scene.begin(Step.POLL)
    scene.prefect.add("CRASHED", deployment=None)

    scene.reconcile()

    assert [] == scene.prefect.set_states
    assert [RUN_ID] == scene.cancelled


def test_old_crash_is_history(scene: Scene):
    """Whoever starts the reconciler after a long night does not wake yesterday's runs."""
    scene.begin(Step.POLL)
    scene.prefect.add("CRASHED", ended=LATER - timedelta(hours=7))

    scene.reconcile()

    assert [] == scene.prefect.set_states
    assert [RUN_ID] == scene.cancelled


def test_refused_retry_is_not_told_as_done(scene: Scene):
    """Prefect's rules may refuse: somebody was faster."""
    scene.begin(Step.UPSERT)
    scene.prefect.add("CRASHED")
    scene.prefect.refusing.add("f1")

    assert [f"run {RUN_ID} is recorded as failed: its process died (told)"] == scene.reconcile().done
