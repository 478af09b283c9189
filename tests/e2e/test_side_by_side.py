"""Windows of a backfill as flow runs of their own: a real Prefect server, a process worker, three at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import AwaitingRetry, Cancelled, Crashed, Running

from flows.windows import backfill_window
from shopsync.backfill import Lengths
from shopsync.database.windows import BackfillPlan
from shopsync.errors import MissingScopes
from tasks import connections
from tasks.backfill import begun_backfill
from tasks.handing import fail_dead_windows, start_windows
from tasks.reconciliation import end_cancelled_run
from tests.e2e.backfilled import Backfilled
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import records
from tests.e2e.worker import ended, start, worker
from tests.e2e.world import environment, now
from tests.simulator import Shop
from tests.simulator.shop import SCOPES

pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)

DAYS = 90


@flow
def look_after(run_id: str, requested_at: datetime) -> None:
    """Look after a backfill's windows as it does itself."""
    fail_dead_windows(begun_backfill(run_id, requested_at))


@pytest.fixture
def handed_out(open_world: OpenWorld) -> tuple[Backfilled, list[str]]:
    """A backfill that stopped for want of a scope, and the flow runs of its windows, which fared differently."""
    shop = Shop(seed=47, orders=20, now=now() - timedelta(minutes=5), days=DAYS - 1, operation_seconds=0.2)
    shop.scopes = ("read_orders",)
    filled, run_id, end = Backfilled(open_world(shop)), uuid4(), now()
    with pytest.raises(MissingScopes):
        filled.backfill(end - timedelta(days=DAYS), end, run_id=run_id)
    later = end + timedelta(hours=1)
    states = [Crashed(message="gone"), AwaitingRetry(scheduled_time=later), Running(), Cancelled()]
    with get_client(sync_client=True) as client:
        given = [str(client.create_flow_run(look_after, state=state).id) for state in states] + [str(uuid4())]
    filled.run_id = str(run_id)
    with environment(filled.world.environ), connections.database() as database:
        plan = BackfillPlan(database, filled.run_id)
        for flow_run_id in given:
            window = plan.begin_next(timedelta(days=15), end)
            assert window is not None
            plan.assign(window, flow_run_id)
    return filled, given


@pytest.mark.proves("dead window")
def test_dead_window_is_tried_again(handed_out: tuple[Backfilled, list[str]]):
    """
    A window whose flow run died, or was deleted, is taken for a failed attempt; one that waits, or runs, is left alone.

    One that somebody cancelled is given up. Started again, the backfill brings all of them in.
    """
    filled, given = handed_out

    with environment(filled.world.environ):
        look_after(filled.run_id, filled.requested_at)

    crashed, waiting, running, cancelled, deleted, _gap = filled.windows("status", "failures", "flow_run_id")
    assert [("running", 1, None)] * 2 == [crashed, deleted]
    assert [("running", 0, given[1]), ("running", 0, given[2])] == [waiting, running]
    assert ("failed", 0, None) == cancelled
    filled.world.shop.scopes = SCOPES
    begun = records(filled.world, filled.run_id)[0]
    start, end = (datetime.fromisoformat(begun[name]) for name in ("window_start", "window_end"))
    filled.backfill(start, end, run_id=UUID(filled.run_id))
    assert [] == filled.wrong() + filled.manifest_problems()


def test_windows_are_cancelled_with_their_backfill(handed_out: tuple[Backfilled, list[str]]):
    """Flow runs that still bring windows in are cancelled; started again, the backfill would bring these in anew."""
    filled, given = handed_out
    parent = UUID(records(filled.world, filled.run_id)[0]["flow_run_id"])

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(parent, Cancelled(), force=True)
        with environment(filled.world.environ):
            end_cancelled_run(None, client.read_flow_run(parent), None)
        states = [client.read_flow_run(UUID(each)).state_name for each in given[:-1]]

    crashed, waiting, running, cancelled = states
    assert ("Crashed", "Cancelled") == (crashed, cancelled)
    assert {waiting, running} <= {"Cancelling", "Cancelled"}
    *told, gap = filled.windows("status", "error_message")
    assert [("failed", "the backfill was cancelled")] * 5 == told
    assert "planned" == gap[0]


def test_window_meets_what_all_would_meet(handed_out: tuple[Backfilled, list[str]]):
    """A window whose flow run meets what is not its own ends it by name, and with it the handing out of others."""
    filled, _ = handed_out
    ((text,),) = filled.windows("window_start")[:1]
    filled.world.storage.write("UPDATE backfill_window SET flow_run_id = NULL")

    with environment(filled.world.environ):
        with pytest.raises(MissingScopes):
            backfill_window(UUID(filled.run_id), filled.requested_at, datetime.fromisoformat(text).replace(tzinfo=UTC))
        started = start_windows(begun_backfill(filled.run_id, filled.requested_at), Lengths(), 5)

    status, error = filled.windows("status", "error_message")[0]
    assert ("failed", True) == (status, "read_all_orders" in error)
    assert [] == started


def test_windows_side_by_side(open_world: OpenWorld, tmp_path: Path):
    """
    Three windows at once are as exact as in turn; each is a flow run of its own, whose records name it.

    The backfill ends its process while it waits, and goes on as the same flow run.
    """
    shop = Shop(seed=46, orders=90, now=now() - timedelta(minutes=5), days=DAYS - 1, operation_seconds=3.0)
    filled, run_id = Backfilled(open_world(shop)), uuid4()
    end = now()
    filled.take(end - timedelta(days=DAYS), end)
    parameters = {"start": (end - timedelta(days=DAYS)).isoformat(), "end": end.isoformat(), "reason": "three at once"}

    with worker(filled.world, tmp_path / "worker.log"):
        parent = ended(
            start(
                "backfill/backfill",
                **parameters,
                window_days=30,
                max_parallel=3,
                run_id=str(run_id),
                requested_at=filled.requested_at.isoformat(),
            )
        )

    windows = [run for (run,) in filled.windows("run_id")]
    flow_runs = {records(filled.world, run)[-1]["flow_run_id"] for run in windows}
    began = sorted(operation.created_at for operation in shop.operations)
    assert "Completed" == parent.state_name, (tmp_path / "worker.log").read_text()[-3_000:]
    assert "completed" == records(filled.world, run_id)[-1]["status"]
    assert 3 == len(flow_runs - {str(parent.id)})
    assert parent.run_count > 1
    assert 3 == len(began)
    assert [] == filled.wrong() + filled.manifest_problems()
