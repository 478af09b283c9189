"""
Runs that die at a chosen moment, in processes of their own.

Steps that speak to Shopify are struck while the shop answers, the others when their record or their work appears.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from uuid import UUID, uuid4

import httpx

from tests import lake_reader
from tests.e2e.history import History, records
from tests.e2e.world import World, environment
from tests.simulator.shop import Asked
from tests.soak import victim
from tests.waiting import until

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
            marked.append(len(world.storage.select("SELECT day FROM dirty_day")))
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

    def __init__(self, log: Path) -> None:
        self.log = log
        self.commands: list[subprocess.Popen[str]] = []
        self.victims: list[ForkServerProcess] = []

    def start(self, history: History) -> tuple[UUID, subprocess.Popen[str]]:
        """Start a run over what the shop has now, by its command."""
        run_id, arguments = self._begin(history)
        self.commands.append(history.world.start(*arguments))
        return run_id, self.commands[-1]

    def fork(self, history: History) -> tuple[UUID, ForkServerProcess]:
        """Start a run over what the shop has now, in a process that has imported everything."""
        run_id, arguments = self._begin(history)
        with environment(history.world.environ):  # for the process that runs are forked from
            self.victims.append(victim.start(history.world.environ, arguments, self.log))
        return run_id, self.victims[-1]

    def _begin(self, history: History) -> tuple[UUID, list[str]]:
        run_id = uuid4()
        history.take()
        return run_id, ["--run-id", str(run_id), "--requested-at", history.requested_at.isoformat()]

    def kill(self, history: History, name: str) -> UUID:
        """Run until the moment, and kill; return the run's id."""
        world, kill = history.world, KILLS[name]
        run_id, process = self.fork(history)
        met = kill.moment(world, str(run_id))
        respond = world.shop.respond

        def struck(request: httpx.Request) -> httpx.Response:
            answer = respond(request)
            if met():
                process.kill()
            return answer

        world.shop.respond = struck
        until(met, lambda: None if process.is_alive() else self.log.read_text())
        process.kill()
        process.join()
        world.shop.respond = respond
        assert kill.step == records(world, run_id)[-1]["step"]
        return run_id

    def end(self) -> None:
        """End what still runs."""
        for process in self.victims:
            process.kill()
            process.join()
        for command in self.commands:
            command.kill()
            command.communicate()


def last_words(command: subprocess.Popen[str]) -> Callable[[], object]:
    """What gives a command's output, once it has ended."""
    return lambda: None if command.poll() is None else command.communicate()


def let_leases_end(world: World) -> None:
    """Let the killed run's leases be over, as they are half a minute later."""
    world.storage.write("UPDATE lease SET expires_at = '2026-01-01 00:00:00'")


def manifests(world: World, run_id: UUID) -> list[str]:
    """The problems of a run's only manifest."""
    return lake_reader.manifest_problems(world.lake, str(run_id))
