"""
A run that is killed or told to stop, at whichever step: nothing is wrong after the next one.

Steps that speak to Shopify are struck while the shop answers, the others when their record or their work appears.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest

from tests import lake_reader
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import History, Template, records, select, write
from tests.e2e.world import World
from tests.simulator.shop import Asked

PATIENCE_S = 60

Moment = Callable[[World, str], Callable[[], bool]]


def is_look(each: Asked) -> bool:
    """Whether a request is a look at one operation."""
    return "query Operation" in str(each.body)


def asked(meets: Callable[[Asked], bool]) -> Moment:
    """When Shopify is asked for something; the answer is made, and never arrives."""

    def moment(world: World, _run_id: str) -> Callable[[], bool]:
        before = len(world.shop.requests)
        return lambda: any(meets(each) for each in world.shop.requests[before:])

    return moment


def recorded(step: str) -> Moment:
    """When a step has told that it begins."""
    return lambda world, run_id: lambda: any(world.lake.glob(f"sync.telemetry/date=*/run_id={run_id}/*-{step}.jsonl"))


def half_measured(world: World, run_id: str) -> Callable[[], bool]:
    """When some of the marked days are measured and others are not."""
    begun = recorded("measure")(world, run_id)
    marked: list[int] = []

    def met() -> bool:
        if begun():
            marked.append(len(select(world, "SELECT day FROM dirty_day")))
        return bool(marked) and 0 < marked[-1] < max(marked)

    return met


@dataclass(frozen=True)
class Kill:
    """A moment in which the process dies, and the step of its last record."""

    name: str
    step: str
    moment: Moment


KILLS = {
    kill.name: kill
    for kill in (
        Kill("operation just created", "request", asked(lambda each: each.field == "bulkOperationRunQuery")),
        Kill("first look", "poll", asked(is_look)),
        Kill("download begun", "archive", asked(lambda each: each.to_storage)),
        Kill("upsert begun", "upsert", recorded("upsert")),
        Kill("upserted, not measured", "events", recorded("events")),
        Kill("half measured", "measure", half_measured),
        Kill("advance begun", "watermark", recorded("watermark")),
    )
}


class Runs:
    """Starts runs in processes of their own, and ends them."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, history: History) -> tuple[UUID, subprocess.Popen[str]]:
        """Start a run over what the shop has now."""
        run_id = uuid4()
        history.take()
        arguments = ["--run-id", str(run_id), "--requested-at", history.requested_at.isoformat()]
        self.processes.append(history.world.start(*arguments))
        return run_id, self.processes[-1]

    def kill(self, history: History, name: str) -> UUID:
        """Run until the moment, and kill; return the run's id."""
        world, kill = history.world, KILLS[name]
        run_id, process = self.start(history)
        met = kill.moment(world, str(run_id))
        respond = world.shop.respond

        def struck(request: httpx.Request) -> httpx.Response:
            answer = respond(request)
            if met():
                process.kill()
            return answer

        world.shop.respond = struck
        until(met, process)
        process.kill()
        process.communicate()
        world.shop.respond = respond
        assert kill.step == records(world, run_id)[-1]["step"]
        return run_id

    def end(self) -> None:
        """End what still runs."""
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Runs in processes, none of which outlives the test."""
    started = Runs()
    yield started
    started.end()


def until(met: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a moment of a running process."""
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert process.poll() is None or met(), f"the run ended before: {process.communicate()}"
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.001)


def let_leases_end(world: World) -> None:
    """Let the killed run's leases be over, as they are half a minute later."""
    write(world, "UPDATE lease SET expires_at = '2026-01-01 00:00:00'")


def manifests(world: World, run_id: UUID) -> list[str]:
    """The problems of a run's only manifest."""
    return lake_reader.manifest_problems(world.lake, str(run_id))


@pytest.fixture
def busy_day(settled: History) -> History:
    """A small world in whose shop things have happened since its first run."""
    settled.world.shop.trade(12, seed=9)
    return settled


@pytest.fixture
def first_day(template: Template, open_world: OpenWorld) -> History:
    """A small world before its first run, with many days to measure."""
    return History(open_world(template.open_shop()))


@pytest.mark.parametrize("name", ["first look", "download begun", "upserted, not measured", "advance begun"])
def test_next_run_leaves_nothing_wrong(runs: Runs, busy_day: History, name: str):
    """A killed run leaves the watermark; the run after it brings everything to the truth."""
    before = busy_day.world.watermark

    runs.kill(busy_day, name)

    assert before == busy_day.world.watermark
    let_leases_end(busy_day.world)
    busy_day.sync()
    assert [] == busy_day.wrong()


def test_next_run_measures_what_is_owed(runs: Runs, first_day: History):
    """Days that a killed run left unmeasured are measured by the next, though it brings no sale of them."""
    runs.kill(first_day, "half measured")

    owed = select(first_day.world, "SELECT day FROM dirty_day")
    let_leases_end(first_day.world)
    first_day.sync()
    assert owed
    assert [] == first_day.wrong()


def test_resumed_run_adopts_its_operation(runs: Runs, busy_day: History):
    """The same run id goes on with the operation that it had asked for, over the window that it was begun with."""
    world = busy_day.world
    run_id = runs.kill(busy_day, "operation just created")
    window = records(world, run_id)[0]["window_end"]

    world.sync(run_id=run_id)

    assert 1 == len(world.shop.operations)
    assert [window] == sorted({record["window_end"] for record in records(world, run_id)})
    assert [] == busy_day.wrong() + manifests(world, run_id)


def test_resumed_run_needs_no_operation(runs: Runs, first_day: History):
    """Once its archive is whole, the same run id asks Shopify for the shop alone, and measures the days still owed."""
    world = first_day.world
    run_id = runs.kill(first_day, "half measured")
    before = len(world.shop.requests)

    world.sync(run_id=run_id)

    assert ["shop"] == [each.field for each in world.shop.requests[before:]]
    assert [] == first_day.wrong() + manifests(world, run_id)


def test_resumed_after_it_was_overtaken(runs: Runs, busy_day: History):
    """A killed run that goes on after a newer one has completed takes nothing back."""
    world = busy_day.world
    run_id = runs.kill(busy_day, "upsert begun")
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


@pytest.mark.usefixtures("keyboard")
@pytest.mark.parametrize(
    ("told", "code", "error"), [(signal.SIGINT, 130, "KeyboardInterrupt"), (signal.SIGTERM, 143, "TerminationSignal")]
)
def test_told_to_stop(runs: Runs, busy_day: History, told: signal.Signals, code: int, error: str):
    """A run that is told to stop says so in its record and in one line, cancels its operation, and can go on."""
    world = busy_day.world
    world.shop.operation_seconds = 600
    run_id, process = runs.start(busy_day)
    until(asked(is_look)(world, str(run_id)), process)

    process.send_signal(told)
    _, errors = process.communicate(timeout=60)

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
