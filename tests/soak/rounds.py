"""
One round: the shop trades, a run is killed at a random moment, another makes it good, and everything is compared.

The recovering run is a new one, before which the shop may have traded on, or the killed one under its own run id.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

from shopsync.telemetry import Step
from tests import lake_reader
from tests.e2e.history import History, records, select
from tests.e2e.world import World, now
from tests.soak import victim
from tests.truth import orders_within

SLOWEST_RUN_S = 120.0
STEPS = [step for step in Step if step is not Step.FAILED]
JUST_AFTER_S = 0.15
"""How long after the beginning of a chosen step a kill may come: longer than most steps take."""


@dataclass(frozen=True)
class Round:
    """What happened: `killed_in` is None when the run was faster than its kill, `wrong` is what is not the truth."""

    number: int
    killed_in: str | None
    resumed: bool
    recovery_s: float
    operations: int
    rows: int
    wrong: list[str]


class Soak:
    """Rounds over one world; the same seed makes the same choices, though not the same moments."""

    def __init__(self, world: World, seed: int, log: Path) -> None:
        self.history = History(world)
        self.world, self.random, self.log = world, Random(seed), log
        self.usual_s = 5.0

    def first_run(self) -> list[str]:
        """Run once undisturbed, and learn how long a run takes; return what is wrong after it."""
        self.usual_s = self._recover(None)
        return self.history.wrong()

    def round(self, number: int) -> Round:
        """Kill one run and make it good."""
        history, world = self.history, self.world
        world.shop.trade(self.random.randint(3, 25), seed=number)
        asked_before = len(world.shop.operations)
        history.requested_at = now()
        history.take()
        run_id, killed_in = self._kill()
        resumed = self.random.random() < 0.5
        if killed_in and not resumed:
            self._take_what_is_in(run_id)
            world.shop.trade(self.random.randint(0, 5), seed=1000 + number)
        recovery_s = self._recover(run_id if resumed else None)
        asked = len(world.shop.operations) - asked_before
        return Round(number, killed_in, resumed, recovery_s, asked, self._rows(), self._wrong(run_id, resumed))

    def _kill(self) -> tuple[UUID, str | None]:
        """Start a run and kill it at a random moment; return the step that it was in, None when it had ended."""
        run_id = uuid4()
        arguments = ["--run-id", str(run_id), "--requested-at", self.history.requested_at.isoformat()]
        process = victim.start(self.world.environ, arguments, self.log)
        if self.random.random() < 0.5:
            process.join(self.random.uniform(0, self.usual_s))
        else:
            self._wait_for(self.random.choice(STEPS), run_id, process)
            process.join(self.random.uniform(0, JUST_AFTER_S))
        had_ended = not process.is_alive()
        process.kill()
        process.join()
        process.close()
        told = lake_reader.read_telemetry(self.world.lake, str(run_id))
        return run_id, None if had_ended else told[-1]["step"] if told else "before the first record"

    def _wait_for(self, step: Step, run_id: UUID, process: ForkServerProcess) -> None:
        folder, deadline = self.world.lake / "sync.telemetry", time.monotonic() + SLOWEST_RUN_S
        while not any(folder.glob(f"date=*/run_id={run_id}/*-{step}.jsonl")) and process.is_alive():
            assert time.monotonic() < deadline, f"{step} did not begin"
            time.sleep(0.002)

    def _take_what_is_in(self, run_id: UUID) -> None:
        """Take in those orders that the killed run had committed: its archive's first ones, by their updates."""
        committed = select(self.world, f"SELECT orders FROM archive_progress WHERE run_id = '{run_id}'")
        if committed:
            start, end = (
                datetime.fromisoformat(records(self.world, run_id)[-1][f"window_{name}"]) for name in ("start", "end")
            )
            within = orders_within(self.world.shop, start, end)
            within.sort(key=lambda order: (order["updatedAt"], int(order["id"].rsplit("/", 1)[1])))
            self.history.truth.take(within[: committed[0][0]])

    def _recover(self, run_id: UUID | None) -> float:
        begun = time.monotonic()
        if run_id is None:
            self.history.take()
        self.world.sync(run_id=run_id, requested_at=self.history.requested_at)
        return time.monotonic() - begun

    def _rows(self) -> int:
        sales = sum(len(rows) for rows in lake_reader.read_sales(self.world.lake).values())
        return sales + sum(len(rows) for rows in self.world.rows.values())

    def _wrong(self, run_id: UUID, resumed: bool) -> list[str]:
        recovered = records(self.world, run_id if resumed else None)
        found = self.history.wrong()
        if recovered[-1]["status"] != "completed":
            found.append(f"run {recovered[-1]['run_id']} is {recovered[-1]['status']}")
        return found + lake_reader.manifest_problems(self.world.lake, recovered[-1]["run_id"])
