"""
A flow run that goes on in another process: what it has done counts, what came to nothing does not come back.

Its processes are one after the other in this one; tests/e2e/test_deployed_runs.py has them under a worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.exceptions import Abort
from prefect.filesystems import LocalFileSystem
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run
from prefect.states import Pending

import flows.daily_sync
import flows.pipeline
import flows.replay
from flows.backfill import backfill
from flows.daily_sync import daily_sync
from flows.replay import replay
from flows.windows import backfill_window
from shopsync import patience
from shopsync.errors import BulkOperationFailed, DatabaseUnavailable, MustWait, PollBudgetExhausted
from tasks import completeness, connections, handing, poll, waiting
from tests.e2e.conftest import OpenWorld
from tests.e2e.deployed import steps
from tests.e2e.history import History, records
from tests.e2e.world import World, environment, now
from tests.lake_reader import read_telemetry
from tests.simulator import Shop

pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)

SHORT_POLLS = {"SHOPSYNC_POLL_ATTEMPTS": "6", "SHOPSYNC_POLL_INTERVAL_S": "0.5"}
"""An operation that runs long outlasts them; its window is halved."""


@pytest.fixture
def history(open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch) -> History:
    """A small world, in which a wait of a second ends a process."""
    monkeypatch.setattr(patience, "WORTH_TELLING_S", 0.2)
    monkeypatch.setattr(waiting, "SETTLE_S", 0.2)
    shop = Shop(seed=11, orders=40, now=now() - timedelta(minutes=5), days=10, operation_seconds=0.2)
    impatient = {"SHOPSYNC_BUSY_WAIT_S": "1.5", "SHOPSYNC_IN_PROCESS_WAIT_S": "1.0"}
    return History(open_world(shop, **impatient))


def begun(flow: Flow[..., Any], **parameters: Any) -> UUID:
    """Begin a deployed flow run, which no process has worked on; return its id."""
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(flow_id=client.create_flow(flow), name=f"going-on-{uuid4()}")
        return client.create_flow_run_from_deployment(deployment, parameters=parameters).id


def process(world: World, flow: Flow[..., Any], run_id: UUID) -> str:
    """Work on a flow run in a process, as a worker does and as *Retry* in Prefect lets it; return the state it left."""
    with get_client(sync_client=True) as client, environment(world.environ):
        client.set_flow_run_state(run_id, Pending(), force=True)
        run = client.read_flow_run(run_id)
        with suppress(Abort):
            run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")
        return str(client.read_flow_run(run_id).state_name)


def processes(world: World) -> tuple[str, list[str]]:
    """Run a deployed daily run for as long as it goes on; return its id, and the state that each process left."""
    run_id, states = begun(daily_sync), list[str]()
    while not states or (states[-1] == "AwaitingRetry" and len(states) < 5):
        states.append(process(world, daily_sync, run_id))
    return str(run_id), states


def failing_once(work: Callable[..., Any], failure: Exception) -> Callable[..., Any]:
    """Return what fails when it is called first, and then works."""
    left = [failure]

    def tried(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return work(*arguments)

    return tried


def once_after(failures: tuple[type[Exception], ...], then: Callable[[], object]) -> Callable[..., Any]:
    """Look after an operation as the product does; what comes after its first such failure is `then`."""
    look, left = poll.wait_until_done, [then]

    def looking(*arguments: Any, **named: Any) -> Any:
        try:
            return look(*arguments, **named)
        except failures:
            if left:
                left.pop()()
            raise

    return looking


def refused(*_arguments: Any, **_named: Any) -> None:
    """Keep nothing, as a bucket that refuses results."""
    raise OSError("An error occurred (Unauthorized) when calling the PutObject operation")


@pytest.mark.parametrize("results", ["kept", "refused"])
@pytest.mark.proves("long wait")
def test_budget_is_that_of_all_processes(history: History, monkeypatch: pytest.MonkeyPatch, results: str):
    """A run that waits in vain gives up when its budget is over, also when nothing is kept of its finished steps."""
    world, clock = history.world, connections.now
    world.shop.faults.limit_reached = 99
    # In the past: Prefect lets nothing begin before its time.
    monkeypatch.setattr(connections, "now", lambda: clock() - timedelta(hours=7) * max(3 - flow_run.run_count, 0))
    if results == "refused":
        monkeypatch.setattr(LocalFileSystem, "write_path", refused)
        monkeypatch.setattr(LocalFileSystem, "awrite_path", refused)

    run_id, states = processes(world)

    assert ["AwaitingRetry", "AwaitingRetry", "Failed"] == states
    assert "RetryBudgetSpent" == records(world, run_id)[-1]["error"]["type"]


def slots_are_taken(shop: Shop) -> Callable[[], None]:
    """Let Shopify refuse the next operation."""
    return lambda: setattr(shop.faults, "limit_reached", 1)


@pytest.mark.parametrize(
    ("faults", "settings"),
    [({"failed": 1}, {}), ({"canceled_by_shopify": 1}, {}), ({"runs_long": 1}, SHORT_POLLS)],
    ids=["failed", "canceled", "too long"],
)
@pytest.mark.proves("long wait")
def test_useless_operation_does_not_come_back(
    history: History, monkeypatch: pytest.MonkeyPatch, faults: dict[str, Any], settings: dict[str, str]
):
    """An operation that came to nothing, then a long wait: the next process asks for another, and completes."""
    world = history.world
    world.settings.update(settings)
    vars(world.shop.faults).update(faults)
    failures = (BulkOperationFailed, PollBudgetExhausted)
    monkeypatch.setattr(poll, "wait_until_done", once_after(failures, slots_are_taken(world.shop)))
    history.take()

    run_id, states = processes(world)

    assert ["AwaitingRetry", "Completed"] == states
    assert "completed" == records(world, run_id)[-1]["status"]
    assert 2 == len(world.shop.operations)
    world.shop.faults.clear()
    history.sync()
    assert [] == history.wrong()


@pytest.mark.proves("long wait")
def test_incomplete_file_is_asked_for_anew(history: History):
    """A file of other counts than Shopify's, and a long wait after it: the next process asks for another file."""
    world = history.world
    world.settings["SHOPSYNC_RETRY_BASE_S"] = "1.5"
    world.shop.faults.wrong_object_count, world.shop.faults.bad_files = 1, 1
    history.take()

    _, states = processes(world)

    assert ["AwaitingRetry", "Completed"] == states
    assert 2 == len(world.shop.operations)
    assert [] == history.wrong()


@pytest.mark.parametrize("settings", [{}, SHORT_POLLS], ids=["whole", "halved"])
@pytest.mark.proves("long wait")
def test_archive_is_not_fetched_again(history: History, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]):
    """A run that was interrupted at its end, after it had halved its window too, goes on from its archive."""
    world, look_again, left = history.world, completeness.look_again, [1]
    world.settings.update(settings)
    world.shop.faults.runs_long = len(settings) and 1

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if left:
            left.pop()
            raise MustWait(datetime.now(UTC), "the machine is needed elsewhere")
        return look_again(*arguments, **named)

    monkeypatch.setattr(completeness, "look_again", interrupted)
    history.take()

    run_id, states = processes(world)
    asked = len(world.shop.operations)

    assert ["AwaitingRetry", "Completed"] == states
    assert "completed" == records(world, run_id)[-1]["status"]
    assert (2 if settings else 1) == asked
    world.shop.faults.clear()
    history.sync()
    assert [] == history.wrong()


def test_finished_poll_is_not_repeated(history: History, monkeypatch: pytest.MonkeyPatch):
    """A run that ends early in archiving adopts its operation when it goes on, and knows that this has completed."""
    world, archived = history.world, flows.pipeline.archive_result
    gone = DatabaseUnavailable(world.database, "it is being restored")
    monkeypatch.setattr(flows.pipeline, "archive_result", failing_once(archived, gone))
    history.take()

    run_id = begun(daily_sync)
    states = [process(world, daily_sync, run_id) for _ in range(2)]

    assert ["Failed", "Completed"] == states
    assert ["Completed", "Cached"] == steps(run_id)["poll bulk operation"]
    assert 1 == len(world.shop.operations)
    assert [] == history.wrong()


def test_restored_database_gets_its_rows_again(history: History, monkeypatch: pytest.MonkeyPatch):
    """A run fails, its database is restored, *Retry* is pressed: no kept result stands for rows that are gone."""
    world = history.world
    gone = DatabaseUnavailable(world.database, "it is being restored")
    monkeypatch.setattr(flows.daily_sync, "refresh_figures", failing_once(flows.daily_sync.refresh_figures, gone))
    history.take()

    run_id = begun(daily_sync)
    failed = process(world, daily_sync, run_id)
    (world.folder / "shopsync.db").unlink()
    again = process(world, daily_sync, run_id)

    assert ("Failed", "Completed") == (failed, again)
    assert [] == history.wrong()
    assert len(world.shop.orders) == records(world, str(run_id))[-1]["counts"]["orders"]


def test_replay_into_a_restored_database(history: History, monkeypatch: pytest.MonkeyPatch):
    """So it is with a replay: its archive goes into the tables that are there by then."""
    world = history.world
    history.sync()
    gone = DatabaseUnavailable(world.database, "it is being restored")
    monkeypatch.setattr(flows.replay, "refresh_figures", failing_once(flows.replay.refresh_figures, gone))
    (of_run,) = {record["run_id"] for record in read_telemetry(world.lake)}

    run_id = begun(replay, reason="a test", of_run=of_run, requested_at=history.requested_at.isoformat())
    failed = process(world, replay, run_id)
    (world.folder / "shopsync.db").unlink()
    again = process(world, replay, run_id)

    assert ("Failed", "Completed") == (failed, again)
    assert [] == history.wrong()


def artifacts(run_id: UUID) -> list[tuple[Any, ...]]:
    """What a flow run shows in Prefect, and since when."""
    own = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return sorted(
            (str(each.key), str(each.id), each.updated) for each in client.read_artifacts(artifact_filter=own)
        )


@pytest.mark.proves("long wait")
def test_mere_look_at_windows_writes_nothing(history: History, monkeypatch: pytest.MonkeyPatch):
    """A backfill that looks after its windows, and finds them as they were, adds neither record nor artifact."""
    monkeypatch.setattr(handing, "LINGER_TRIES", 1)
    world, end = history.world, now()
    with get_client(sync_client=True) as client:
        client.create_deployment(flow_id=client.create_flow(backfill_window), name="backfill-window")
    run_id = begun(
        backfill, start=(end - timedelta(days=9)).isoformat(), end=end.isoformat(), reason="a test", max_parallel=2
    )

    states = [process(world, backfill, run_id)]
    told, shown = records(world, str(run_id)), artifacts(run_id)
    states += [process(world, backfill, run_id) for _ in range(2)]

    assert ["AwaitingRetry"] * 3 == states
    assert ["backfill", "backfill-windows"] == [key for key, *_ in shown]
    assert shown == artifacts(run_id)
    assert told == records(world, str(run_id))


def test_artifacts_of_a_backfill_are_changed_in_place(open_world: OpenWorld):
    """However many windows a backfill has, it has one table and one progress, which tell of all of them."""
    shop = Shop(seed=12, orders=9, now=now() - timedelta(minutes=5), days=8, operation_seconds=0.1)
    world, end = open_world(shop), now()

    run_id = begun(
        backfill, start=(end - timedelta(days=3)).isoformat(), end=end.isoformat(), reason="a", window_days=1
    )
    state = process(world, backfill, run_id)

    own = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]), type=ArtifactFilterType(any_=["table"]))
    with get_client(sync_client=True) as client:
        tables = [each for each in client.read_artifacts(artifact_filter=own) if each.key == "backfill-windows"]
    assert "Completed" == state
    assert [["done"] * 3] == [[row["status"] for row in json.loads(str(table.data))] for table in tables]
    assert ["backfill", "backfill-windows"] == [key for key, *_ in artifacts(run_id) if key.startswith("backfill")]
