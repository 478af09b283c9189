"""What becomes of deployed runs: killed, cancelled, waiting, two at once. A real Prefect server, a process worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from api.starter import Starter
from shopsync.prefect_api import PrefectAccess, PrefectApi
from shopsync.settings import Settings
from tests import lake_reader
from tests.e2e.deployed import DAILY, SLOW, Deployed, deployed, steps
from tests.e2e.history import records
from tests.e2e.worker import cancel, ended, state_of
from tests.e2e.world import now
from tests.simulator import Shop

AGREED_WITHIN = timedelta(minutes=1)
"""How soon after it was cancelled everybody says that a run is over."""

KEPT = ("initiate daily run", "check shop", "check watermark")
OF_SHOPIFY = ("request bulk operation", "poll bulk operation", "archive result")


@pytest.fixture(scope="module")
def product(prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A world that has completed a run, and a worker; each test leaves it exact for the next."""
    shop = Shop(seed=47, orders=60, now=now() - timedelta(minutes=5), days=70, operation_seconds=0.2)
    waits = {"SHOPSYNC_BUSY_WAIT_S": "6", "SHOPSYNC_IN_PROCESS_WAIT_S": "1"}
    with deployed(shop, tmp_path_factory.mktemp("deployed") / "world", prefect, **waits) as product:
        product.history.sync()
        yield product


@pytest.mark.proves("killed with worker")
def test_killed_run_goes_on(product: Deployed):
    """
    Prefect shows the crash, telemetry tells it, and the same run goes on where it was.

    Shopify is asked for the comparison at the end alone, the tables are exact. No finished step is carried out again
    but those that write into the database, which find their work done.
    """
    world = product.world
    world.shop.trade(30, seed=0)
    run_id = product.start()
    product.until_step(run_id, "upsert")

    product.worker.kill(run_id)
    crashed = ended(run_id)
    before = len(world.shop.requests)
    said = product.reconcile_after_crash(run_id)
    run = ended(run_id)
    [failed] = [each for each in records(world, run_id) if each["status"] == "failed"]

    assert "Crashed" == crashed.state_name
    assert ("Crashed", "upsert") == (failed["error"]["type"], failed["error"]["step"])
    assert any("is recorded as failed" in line and str(run_id) in line for line in said)
    assert "Completed" == run.state_name, product.worker.told
    assert "completed" == records(world, run_id)[-1]["status"]
    assert ["ordersCount"] == [each.field for each in world.shop.requests[before:]]
    assert [["Completed", "Cached"]] * len(KEPT) == [steps(run_id)[name] for name in KEPT]
    assert ["Completed", "Completed"] == steps(run_id)["enter shop"]
    assert [["Completed"]] * len(OF_SHOPIFY) == [steps(run_id)[name] for name in OF_SHOPIFY]
    assert [] == product.history.wrong() + lake_reader.manifest_problems(world.lake, str(run_id))


@pytest.mark.proves("cancelled")
def test_cancelled_in_polling(product: Deployed):
    """Status, telemetry and Shopify's operation agree soon that the run is over; the next one is exact."""
    shop = product.world.shop
    shop.trade(5, seed=1)
    shop.operation_seconds = 600
    run_id = product.start()
    product.until_step(run_id, "poll")

    begun = datetime.now(UTC)
    cancel(run_id)
    run = ended(run_id)
    product.until(shop.bulk.is_idle)
    last = records(product.world, run_id)[-1]

    assert datetime.now(UTC) - begun < AGREED_WITHIN
    assert ("Cancelled", "failed", "poll") == (run.state_name, last["status"], last["error"]["step"])
    assert ("CANCELED", 1) == (shop.operations[-1].status, shop.operations[-1].cancel_requests)
    shop.operation_seconds = 0.2
    product.history.sync()
    assert [] == product.history.wrong()


@pytest.mark.proves("cancelled")
def test_cancelled_in_upserting(product: Deployed):
    """What is written when a run is cancelled is whole orders; its operation had ended; the next run is exact."""
    world = product.world
    world.shop.trade(30, seed=2)
    world.storage.write(SLOW)
    run_id = product.start()
    product.until_step(run_id, "upsert")

    begun = datetime.now(UTC)
    cancel(run_id)
    run = ended(run_id)
    last = records(world, run_id)[-1]

    assert datetime.now(UTC) - begun < AGREED_WITHIN
    assert ("Cancelled", "failed", "upsert") == (run.state_name, last["status"], last["error"]["step"])
    assert "COMPLETED" == world.shop.operations[-1].status
    world.storage.allow()
    product.history.sync()
    assert [] == product.history.wrong()


@pytest.mark.proves("long wait")
def test_container_ends_while_shopify_is_busy(product: Deployed):
    """A long wait ends the process; the same run goes on by itself, tells its wait, and never says that it failed."""
    shop = product.world.shop
    shop.trade(5, seed=3)
    shop.faults.limit_reached = 1
    before = len(shop.operations)

    run = ended(run_id := product.start())

    told = records(product.world, run_id)
    assert "Completed" == run.state_name, product.worker.told
    assert 2 == run.run_count
    assert [1] == [1 for record in told if record["waiting_until"]]
    assert "failed" not in {record["status"] for record in told}
    assert 1 == len(shop.operations) - before
    assert [] == product.history.wrong()


@pytest.mark.proves("two at once")
def test_runs_take_turns(product: Deployed):
    """Of two triggers at once one runs and one waits; a third is answered with the one that waits."""
    world = product.world
    world.shop.trade(5, seed=4)
    world.shop.operation_seconds = 4
    access = PrefectAccess.of(Settings.from_environment(world.environ))

    both = [product.start(), product.start()]
    product.until(lambda: {"Running", "AwaitingConcurrencySlot"} == {state_of(each).state_name for each in both}, 0.25)
    first, second = sorted(both, key=lambda each: str(state_of(each).state_name), reverse=True)
    with httpx.Client() as http:
        third = Starter(PrefectApi(access, http), lambda: datetime.now(UTC)).start(DAILY, {"run_id": str(uuid4())})
    ended(first)
    world.shop.trade(5, seed=5)
    product.history.take()
    ended(second)
    before, after = (records(world, each) for each in (first, second))

    assert (str(second), True) == (third.run_id, third.joined)
    assert ["completed", "completed"] == [told[-1]["status"] for told in (before, after)], product.worker.told
    assert before[-1]["at"] <= after[0]["at"]
    assert before[-1]["watermark_after"] < after[-1]["watermark_after"]
    assert [] == product.history.wrong()
