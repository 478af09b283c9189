"""What deployed runs survive on a real Prefect server with a process worker: kills, outages, long waits, each other."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import psutil
from prefect.client.schemas.objects import FlowRun

from api.starter import DAILY
from tests import lake_reader
from tests.e2e.deployed import steps
from tests.e2e.history import OVERLAP, records
from tests.e2e.worker import cancel, ended, reached, start
from tests.e2e.world import now
from tests.soak.stage import Stage

STEPS = ("initiated", "request", "poll", "archive", "upsert", "measure", "watermark")
"""The first records of the seven steps: initiate, request, poll, download, upsert, transform, finalize."""

OUTAGE_S = 60.0
STARTS = 50
RECOVERS_WITHIN_S = 600.0

AGAIN_ON_PURPOSE = {
    *("enter shop", "find archive", "request bulk operation", "upsert archive", "measure", "refresh products"),
    *("compare with Shopify", "advance watermark"),
}
"""Steps that a run which goes on carries out anew: they ask what is there by now, or write what may have been lost."""


@dataclass(frozen=True)
class Outcome:
    """What was done to a run, what became of it, and what is wrong."""

    done: str
    became: str
    wrong: list[str]


def kills(stage: Stage) -> Iterator[Outcome]:
    """Kill a run in each of the seven steps; the reconciler starts it again."""
    stage.set()
    for number, step in enumerate(STEPS):
        stage.history.world.shop.trade(10, seed=number)
        yield _killed(stage, step)


def outages(stage: Stage) -> Iterator[Outcome]:
    """Stop each part for a minute while a run polls."""
    stage.set()
    stage.history.world.shop.operation_seconds = 45
    for number, name in enumerate(("worker", "Prefect server", "database", "simulator")):
        stage.history.world.shop.trade(10, seed=100 + number)
        yield _interrupted(stage, name)
    stage.history.world.shop.operation_seconds = 1.0


def waits(stage: Stage) -> Iterator[Outcome]:
    """Let Shopify be busy for some waits, and for longer than the budget."""
    shop = stage.history.world.shop
    stage.set(SHOPSYNC_IN_PROCESS_WAIT_S="1")
    shop.trade(10, seed=200)
    shop.faults.limit_reached = 5
    begun = time.monotonic()
    run = ended(run_id := stage.product.start())
    took_s, told = time.monotonic() - begun, records(stage.history.world, run_id)
    waited = [each for each in told if each["waiting_until"]]
    yield Outcome(
        "Shopify's slots taken five times",
        f"{run.state_name} after {took_s:.0f} s as the same run, in {run.run_count} containers that ran for"
        f" {run.total_run_time.total_seconds():.0f} s in all; {len(waited)} waits in its records",
        [*_unless(run.state_name == "Completed", f"it is {run.state}"), *stage.history.wrong()],
    )
    stage.set(SHOPSYNC_IN_PROCESS_WAIT_S="1", SHOPSYNC_RETRY_BUDGET_S="90")
    shop.faults.limit_reached = 10_000
    run = ended(run_id := stage.product.start())
    shop.faults.limit_reached = 0
    last = records(stage.history.world, run_id)[-1]
    yield Outcome(
        "Shopify's slots taken for longer than the budget (90 s for 12 h)",
        f"{run.state_name} in container {run.run_count}: {last['error']['message'] if last['error'] else last}",
        [*_unless(last["status"] == "failed", f"it is {last['status']}"), *_repaired(stage)],
    )


def turns(stage: Stage) -> Iterator[Outcome]:
    """Start 50 runs, deployed ones and others, while the shop trades; restart the server in the middle of one."""
    world, random, since = stage.history.world, Random(50), stage.history.standing
    stage.set()
    others: list[subprocess.Popen[str]] = []
    flow_runs: list[UUID] = []
    run_ids: list[str] = []
    for number in range(STARTS):
        if random.random() < 0.5:
            flow_runs.append(start(DAILY))
        else:
            run_ids.append(str(uuid4()))
            others.append(world.start("--run-id", run_ids[-1]))
        if number == STARTS // 2:
            _until_working(stage)
            stage.stop("Prefect server")
            time.sleep(5)
            stage.parts["Prefect server"].start()
        time.sleep(random.uniform(0, 8))
        # Whichever run brings an order in, it comes out the same.
        world.shop.touch(random.choice(list(world.shop.orders.values())))
        while sum(each.poll() is None for each in others) > 2:
            time.sleep(0.5)
    states = [ended(each).state_name for each in flow_runs]
    codes = [each.wait(600) for each in others]
    stage.history.truth.fetch(world.shop, since - OVERLAP, now())
    told = sorted(lake_reader.read_telemetry(world.lake), key=lambda each: each["at"])
    history = [each["watermark_after"] for each in told if each["watermark_after"]]
    of_these = {*map(str, flow_runs), *run_ids}
    failures = [each["error"]["message"] for each in told if each["error"] and each["run_id"] in of_these]
    back = sum(after < before for before, after in pairwise(history))
    yield Outcome(
        f"{STARTS} starts: {len(flow_runs)} of the deployment, {len(others)} by command line; the server restarted",
        f"{states.count('Completed')} and {codes.count(0)} completed; the watermark moved {len(history)} times,"
        f" {back} of them back; {_overlaps(stage)} runs overlapped another"
        + "".join(f"; told: {each}" for each in failures),
        [*_unless(back == 0, f"the watermark went back {back} times"), *_repaired(stage)],
    )


def cancels(stage: Stage) -> Iterator[Outcome]:
    """Cancel a run while it polls, and one while it upserts."""
    world = stage.history.world
    stage.set()
    for number, step in enumerate(("poll", "upsert")):
        world.shop.trade(30, seed=400 + number)
        world.shop.operation_seconds = 100 if step == "poll" else 1
        world.storage.write("CREATE TRIGGER trouble AFTER INSERT ON order_header FOR EACH ROW DO SLEEP(0.3)")
        run_id = stage.product.start()
        stage.product.until_step(run_id, step)
        begun = time.monotonic()
        cancel(run_id)
        run = ended(run_id)
        stage.product.until(world.shop.bulk.is_idle)
        took_s, last, operation = time.monotonic() - begun, records(world, run_id)[-1], world.shop.operations[-1]
        world.storage.allow()
        world.shop.operation_seconds = 1
        yield Outcome(
            f"cancelled in {last['error']['step'] if last['error'] else last['step']}",
            f"{run.state_name} in Prefect, {last['status']} in telemetry, {operation.status} at Shopify"
            f" after {took_s:.0f} s",
            [
                *_unless((run.state_name, last["status"]) == ("Cancelled", "failed"), f"{run.state} {last['status']}"),
                *_unless(took_s < 60, "it took longer than a minute"),
                *_repaired(stage),
            ],
        )


@dataclass(frozen=True)
class Scenario:
    """What is done to deployed runs, under a title of the report."""

    title: str
    play: Callable[[Stage], Iterator[Outcome]]


SCENARIOS = {
    "kills": Scenario("Deployed runs that were killed", kills),
    "cancels": Scenario("Deployed runs that were cancelled", cancels),
    "waits": Scenario("Deployed runs that waited", waits),
    "outages": Scenario("Deployed runs whose neighbours were stopped", outages),
    "turns": Scenario("Runs that were started at once", turns),
}


def _killed(stage: Stage, step: str) -> Outcome:
    world, run_id = stage.history.world, stage.product.start()
    asked = len(world.shop.operations)
    victims: list[psutil.Process] = []
    stage.product.until(lambda: bool(victims.extend(stage.product.worker.processes(run_id)) or victims))
    stage.product.until_step(run_id, step)
    for each in stage.product.worker.processes(run_id) if step == "initiated" else victims:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    begun, crashed = time.monotonic(), ended(run_id)
    died_in = records(world, run_id)[-1]["step"]
    run = reached(run_id, lambda found: found.run_count > 1 and _is_final(found))
    told, ended_as = records(world, run_id), steps(run_id)
    cached = sum("Cached" in states for states in ended_as.values())
    twice = [name for name, states in ended_as.items() if states.count("Completed") > 1]
    deaths = [each["error"]["type"] for each in told if each["error"]]
    operations = len(world.shop.operations) - asked
    return Outcome(
        f"killed in {died_in}",
        f"{crashed.state_name}, then {run.state_name} after {time.monotonic() - begun:.0f} s as the same run:"
        f" {cached} steps kept, {operations} bulk operation",
        [
            *_unless((crashed.state_name, run.state_name) == ("Crashed", "Completed"), f"{crashed.state}, {run.state}"),
            *_unless(deaths == ["Crashed"], f"telemetry tells of {deaths}"),
            *_unless(operations == 1, f"{operations} operations"),
            *_unless(set(twice) <= AGAIN_ON_PURPOSE, f"carried out twice: {twice}"),
            *stage.history.wrong(),
            *lake_reader.manifest_problems(world.lake, str(run_id)),
        ],
    )


def _interrupted(stage: Stage, name: str) -> Outcome:
    world, run_id = stage.history.world, stage.product.start()
    stage.product.until_step(run_id, "poll")
    begun = time.monotonic()
    stage.stop(name)
    time.sleep(OUTAGE_S)
    stage.parts[name].start()
    run = _last_state(run_id)
    took_s, told = time.monotonic() - begun, records(world, run_id)
    failures = [each["error"]["message"] for each in told if each["error"]]
    found = [] if run.state_name == "Completed" else _repaired(stage)
    return Outcome(
        f"the {name} stopped for a minute",
        f"{run.state_name} in Prefect, {told[-1]['status']} in telemetry, {took_s:.0f} s after the outage began, in"
        f" process {run.run_count}" + "".join(f"; told: {each}" for each in failures),
        [
            *_unless(run.state_name == "Completed" or bool(failures), f"it is {run.state}, and telemetry silent"),
            *_unless((run.state_name == "Completed") == (told[-1]["status"] == "completed"), "they disagree"),
            *found,
            *stage.history.wrong(),
        ],
    )


def _last_state(run_id: UUID) -> FlowRun:
    """Return a run once it is over and nobody starts it again: a crash is, after a minute."""
    deadline = time.monotonic() + RECOVERS_WITHIN_S
    while True:
        found = reached(run_id, _is_final)
        if found.state_name != "Crashed" or time.monotonic() > deadline:
            return found
        time.sleep(1)


def _repaired(stage: Stage) -> list[str]:
    """Let the next run repair everything; return what is wrong then."""
    stage.history.requested_at = now()
    run = ended(stage.product.start())
    return [*_unless(run.state_name == "Completed", f"the next run is {run.state}"), *stage.history.wrong()]


def _until_working(stage: Stage) -> None:
    """Wait until some run is between its first record and its last."""
    unfinished = "SELECT run_id FROM sync_run WHERE status IN ('polling', 'downloading', 'upserting')"
    stage.product.until(lambda: bool(stage.history.world.storage.select(unfinished)), 0.05)


def _overlaps(stage: Stage) -> int:
    """Return how many runs asked Shopify while another was between its request and its watermark."""
    spans: list[tuple[str, str]] = []
    by_run: dict[str, list[dict[str, str]]] = {}
    for each in lake_reader.read_telemetry(stage.history.world.lake):
        by_run.setdefault(each["run_id"], []).append(each)
    for told in by_run.values():
        begun = [each["at"] for each in told if each["step"] == "request"]
        # Those before are of its wait for the lease.
        spans += [(begun[-1], told[-1]["at"])] if begun and told[-1]["status"] == "completed" else []
    spans.sort()
    return sum(_moment(later[0]) < _moment(earlier[1]) for earlier, later in pairwise(spans))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_final(found: FlowRun) -> bool:
    return found.state is not None and found.state.is_final()


def _unless(good: bool, wrong: str) -> list[str]:
    return [] if good else [wrong]


def markdown(name: str, outcomes: Sequence[Outcome], took_s: float) -> str:
    """Return the part of the report about a scenario."""
    wrong = [each for each in outcomes if each.wrong]
    verdict = "Nothing was ever wrong." if not wrong else f"**{len(wrong)} left something wrong.**"
    lines = [
        f"# {SCENARIOS[name].title}",
        "",
        "On a Prefect server with a process worker, the reconciler, MariaDB and the simulator, each a process of its",
        f"own; {now():%Y-%m-%d}, {took_s / 60:.0f} minutes. After each line rows, figures, watermark and what is owed",
        f"were compared with an independent reference. {verdict}",
        "",
        "| what was done | what became of it |",
        "|---|---|",
        *(f"| {each.done} | {each.became} |" for each in outcomes),
        *(f"\n- {each.done}: {found}" for each in wrong for found in each.wrong),
    ]
    return "\n".join(lines) + "\n"
