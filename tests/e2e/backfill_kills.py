"""Backfills that die at seeded moments, each started again under its run id, and what is wrong afterwards."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import httpx

from tests import lake_reader
from tests.e2e.backfilled import Backfilled
from tests.e2e.world import World, environment, now
from tests.simulator import Shop
from tests.soak import victim
from tests.waiting import PATIENCE_S, until

DAYS = 90
WINDOW_DAYS = 30
REQUESTS = 24
"""At least so many does Shopify hear of a backfill of three windows."""
RECORDS = 32
"""At least so many run records does it write, its windows' included."""
JUST_AFTER_S = 0.08
"""How long after a record a kill may come: longer than most steps take."""

OWNER = re.compile(r"# run_id=(\S+) ")


@dataclass(frozen=True)
class KilledBackfill:
    """What happened: the moment, the step of the last record, windows whose archive was complete; what is wrong."""

    moment: str
    killed_in: str | None
    archived: int
    operations: int
    recovery_s: float
    wrong: list[str]


def kill_one(world: World, seed: int, log: Path) -> KilledBackfill:
    """Start a backfill, kill it at the seed's moment, go on with it in this process, and compare everything."""
    random, filled = Random(seed), Backfilled(world)
    end, run_id = now(), uuid4()
    start = end - timedelta(days=DAYS)
    arguments = ["--start", start.isoformat(), "--end", end.isoformat(), "--reason", "to be killed"]
    arguments += ["--window-days", str(WINDOW_DAYS), "--run-id", str(run_id)]
    arguments += ["--requested-at", filled.requested_at.isoformat()]
    with environment(world.environ):  # for the process that runs are forked from
        process = victim.start(world.environ, arguments, log, "flows.backfill")
    moment = _strike(world, process, random)
    process.join(PATIENCE_S)
    killed = process.exitcode == -9
    told = lake_reader.read_telemetry(world.lake)
    killed_in = max(told, key=lambda each: each["at"])["step"] if told else "before the first record"
    archived, asked = _archived(world), len(world.shop.operations)
    world.storage.write("UPDATE lease SET expires_at = '2026-01-01 00:00:00'") if told else None
    begun = time.monotonic()
    filled.backfill(start, end, run_id=run_id, window_days=WINDOW_DAYS)
    wrong = filled.wrong() + _wrong(world, run_id, archived, asked)
    recovery_s = time.monotonic() - begun
    return KilledBackfill(
        moment, killed_in if killed else None, len(archived), len(world.shop.operations), recovery_s, wrong
    )


def small_shop(seed: int) -> Shop:
    """Return a shop whose backfill takes seconds."""
    return Shop(seed=seed, orders=45, now=now() - timedelta(minutes=5), days=DAYS - 1, operation_seconds=0.2)


def _strike(world: World, process: ForkServerProcess, random: Random) -> str:
    """Kill the process when Shopify has heard, or the lake has got, so much; return the moment in words."""
    if random.random() < 0.5:
        number = random.randint(1, REQUESTS)
        _strike_at_request(world, process, number)
        return f"request {number}"
    number, after_s = random.randint(1, RECORDS), random.uniform(0, JUST_AFTER_S)
    until(lambda: not process.is_alive() or _records(world) >= number, look_s=0.002)
    process.join(after_s)
    process.kill()
    return f"{after_s:.3f} s after record {number}"


def _strike_at_request(world: World, process: ForkServerProcess, number: int) -> None:
    """The answer to this request is made, and never arrives."""
    respond = world.shop.respond

    def struck(request: httpx.Request) -> httpx.Response:
        answer = respond(request)
        if len(world.shop.requests) >= number:
            process.kill()
        return answer

    world.shop.respond = struck
    process.join(PATIENCE_S)
    world.shop.respond = respond


def _records(world: World) -> int:
    return sum(1 for _ in world.lake.glob("sync.telemetry/date=*/run_id=*/*.jsonl"))


def _archived(world: World) -> set[str]:
    folders = world.lake.glob("raw/shopify/orders/date=*/run_id=*/manifest.json")
    return {path.parent.name.removeprefix("run_id=") for path in folders}


def _wrong(world: World, run_id: UUID, archived: set[str], asked: int) -> list[str]:
    found = [f"{each.id} is left {each.status}" for each in world.shop.operations if each.is_open]
    owners = [OWNER.match(each.query) for each in world.shop.operations[asked:]]
    again = sorted(archived & {owner[1] for owner in owners if owner})
    found += [f"window {each} was asked for again, though its archive was complete" for each in again]
    last = lake_reader.read_telemetry(world.lake, str(run_id))[-1]
    return found if last["status"] == "completed" else [*found, f"the backfill is {last['status']}"]
