"""A run that is killed or told to stop, at whichever step: nothing is wrong after the next one."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.history import History, records
from tests.e2e.kills import Runs, asked, is_look, last_words, let_leases_end, manifests
from tests.waiting import PATIENCE_S, until

# The steps of a run die alike over either storage; tests/e2e/test_killed_on_servers.py has those that write.
pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)


@pytest.mark.proves("killed daily")
@pytest.mark.parametrize("name", ["first look", "download begun", "upserted, not measured", "advance begun"])
def test_next_run_leaves_nothing_wrong(runs: Runs, busy_day: History, name: str):
    """A killed run leaves the watermark; the run after it brings everything to the truth."""
    before = busy_day.world.watermark

    runs.kill(busy_day, name)

    assert before == busy_day.world.watermark
    let_leases_end(busy_day.world)
    busy_day.sync()
    assert [] == busy_day.wrong()


@pytest.mark.proves("killed daily")
def test_next_run_measures_what_is_owed(runs: Runs, first_day: History):
    """Days that a killed run left unmeasured are measured by the next, though it brings no sale of them."""
    runs.kill(first_day, "half measured")

    owed = first_day.world.storage.select("SELECT day FROM dirty_day")
    let_leases_end(first_day.world)
    first_day.sync()
    assert owed
    assert [] == first_day.wrong()


@pytest.mark.proves("killed daily")
def test_resumed_run_adopts_its_operation(runs: Runs, busy_day: History):
    """The same run id goes on with the operation that it had asked for, over the window that it was begun with."""
    world = busy_day.world
    run_id = runs.kill(busy_day, "operation just created")
    window = records(world, run_id)[0]["window_end"]

    world.sync(run_id=run_id)

    assert 1 == len(world.shop.operations)
    assert [window] == sorted({record["window_end"] for record in records(world, run_id)})
    assert [] == busy_day.wrong() + manifests(world, run_id)


@pytest.mark.proves("killed daily")
def test_resumed_run_needs_no_operation(runs: Runs, first_day: History):
    """Once its archive is whole, the same run id asks Shopify for no operation, and measures the days still owed."""
    world = first_day.world
    run_id = runs.kill(first_day, "half measured")
    before = len(world.shop.requests)

    world.sync(run_id=run_id)

    assert ["shop", "ordersCount"] == [each.field for each in world.shop.requests[before:]]
    assert [] == first_day.wrong() + manifests(world, run_id)


@pytest.mark.proves("overtaken")
def test_resumed_after_it_was_overtaken(runs: Runs, busy_day: History):
    """A killed run that goes on after a newer one has completed takes nothing back."""
    world = busy_day.world
    run_id = runs.kill(busy_day, "upsert begun")
    let_leases_end(world)
    world.shop.trade(12, seed=10)
    busy_day.sync()

    world.sync(run_id=run_id)

    assert "completed" == records(world, run_id)[-1]["status"]
    assert [] == busy_day.wrong() + manifests(world, run_id)


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Let started processes hear SIGINT, also where a shell's background job was told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.proves("told to stop")
@pytest.mark.usefixtures("keyboard")
@pytest.mark.parametrize(
    ("told", "code", "error"), [(signal.SIGINT, 130, "KeyboardInterrupt"), (signal.SIGTERM, 143, "TerminationSignal")]
)
def test_told_to_stop(runs: Runs, busy_day: History, told: signal.Signals, code: int, error: str):
    """A run that is told to stop says so in its record and in one line, cancels its operation, and can go on."""
    world = busy_day.world
    world.shop.operation_seconds = 600
    run_id, process = runs.start(busy_day)
    until(asked(is_look)(world, str(run_id)), last_words(process))

    process.send_signal(told)
    _, errors = process.communicate(timeout=PATIENCE_S)

    last = records(world, run_id)[-1]
    assert code == process.returncode, errors
    assert 1 == sum(line.startswith("shopsync: ") and "--run-id" in line for line in errors.splitlines())
    assert "Traceback" not in errors
    assert ("failed", error, "poll") == (last["status"], last["error"]["type"], last["error"]["step"])
    assert [1] == [operation.cancel_requests for operation in world.shop.operations]
    world.shop.operation_seconds = 0.2
    world.sync(run_id=run_id)
    assert 2 == len(world.shop.operations)
    assert [] == busy_day.wrong() + manifests(world, run_id)
