"""
Kills: runs of every kind, alone and side by side, die by SIGKILL at random moments, and everything is compared.

A season is a small shop with a database and a lake of its own, whose shop trades before each round. A round starts one
run or two, and kills them. Then each goes on under its run id, or a new daily run comes instead of a killed one; and
rows, figures, watermark, manifests and what is owed are what an independent reference makes of the archives.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import temporary_settings
from sqlalchemy import URL

from shopsync.telemetry import Initiator
from tests import lake_reader, reference
from tests.e2e.prefect_server import clean_environment, client_settings, drain, prefect_server
from tests.e2e.storage import embedded
from tests.e2e.world import World, environment, now, opened
from tests.proof.bare import FileBlocks
from tests.proof.committed import PROGRESS, Committed
from tests.simulator import Shop
from tests.soak import bare, chunks, victim
from tests.soak.stage import on_mariadb
from tests.truth import differences

ROUNDS = 10
"""In a season: its shop grows, and a comparison with it."""
DAYS = 70
OVERTIME = 1.15
"""A kill comes within so many times a usual run."""
JUST_AFTER_S = 0.12
"""How long after a record a kill may come: longer than most steps take."""
PATIENCE_S = 150.0
WITH_PREFECT = 12
"""In two of so many seasons runs are flow runs on Prefect's server; they take ten times as long."""
WHY = "to be killed"
WAITS_IN = 20
"""In one of so many rounds the leases of the killed end by themselves, within a minute; in others at once."""
IN_FLIGHT = 4
"""How many chunks a killed run may have begun and not committed: two writers', and those ahead of them."""

KINDS: tuple[tuple[str, ...], ...] = (
    *[("daily",)] * 6,
    *[("backfill",)] * 2,
    *[("replay",)] * 4,
    *[("daily", "replay")] * 3,
    ("daily", "daily"),
    ("daily", "backfill"),
    ("backfill", "replay"),
    ("replay", "replay"),
)
QUIET = {"PREFECT_LOGGING_TO_API_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "CRITICAL"}
"""What a run says of itself is in its records."""
FLOWS = {"daily": "flows.daily_sync", "backfill": "flows.backfill", "replay": "flows.replay"}


@dataclass(frozen=True)
class Struck:
    """A run that was to be killed: the step of its last record, None when it had ended; whether it went on."""

    kind: str
    killed_in: str | None
    resumed: bool


@dataclass(frozen=True)
class Round:
    """What happened in a round, over which database; `repeated` are chunks begun and never committed."""

    number: int
    database: str
    prefect: bool
    struck: list[Struck]
    recovery_s: float
    operations: int
    committed: int
    repeated: int
    rows: int
    wrong: list[str]

    @property
    def kills(self) -> int:
        """How many runs died."""
        return sum(each.killed_in is not None for each in self.struck)


@dataclass
class Run:
    """One run: the arguments of its command, the parameters of its flow, its process."""

    kind: str
    run_id: UUID
    arguments: list[str]
    given: dict[str, Any]
    process: ForkServerProcess | None = None


@dataclass
class Season:
    """
    Rounds over one world; the same seed makes the same choices, though not the same moments.

    `blocks` is a folder that has the watermark in the place of Prefect's server, None where there is one.
    """

    world: World
    random: Random
    log: Path
    usual_s: dict[str, float]
    blocks: Path | None
    requested_at: datetime = field(default_factory=now)
    committed: Committed = field(init=False)
    reached: datetime | None = None

    def __post_init__(self) -> None:
        shop = self.world.shop
        self.committed = Committed(shop)
        # A replay beside a daily run may bring a line's variant back, or not, where its product was deleted meanwhile.
        shop.delete_product = lambda product: None

    def begin(self) -> list[str]:
        """Let a first daily run and a first backfill complete."""
        self._go_on(self._daily())
        chunks.count_committed(self.world.storage)
        self._go_on(self._backfill())
        return self.wrong()

    def round(self, number: int, kinds: Sequence[str] | None = None) -> Round:
        """Kill runs of these kinds, or of some that chance chooses; let them go on, compare."""
        world, random = self.world, self.random
        world.shop.trade(random.randint(3, 15), seed=number)
        asked, begun, in_before = len(world.shop.operations), self._begun(), chunks.committed(world.storage)
        runs = [self._new(kind) for kind in kinds or random.choice(KINDS)]
        for run in runs:
            self._start(run)
        wrong = self._strike(number, runs)
        died = [run for run in runs if run.process is not None and run.process.exitcode == -9]
        killed_in = {run.run_id: self._last_step(run) for run in died}
        self._take()
        if number % WAITS_IN and len(died) == len(runs):
            self._end_leases()
        began, resumed = time.monotonic(), dict[UUID, bool]()
        for run in died:
            resumed[run.run_id] = run.kind != "daily" or random.random() < 0.6
            if not resumed[run.run_id]:
                world.shop.trade(random.randint(0, 4), seed=100_000 + number)
            wrong += self._recovered(run if resumed[run.run_id] else self._new("daily"))
        recovery_s = time.monotonic() - began
        operations, allowed = len(world.shop.operations) - asked, self._allowed(runs, resumed)
        repeated = self._begun() - begun - (chunks.committed(world.storage) - in_before)
        wrong += [f"{operations} bulk operations instead of {allowed}"] if operations > allowed else []
        most = IN_FLIGHT * max(1, len(died))
        wrong += [f"{repeated} chunks were begun again, {most} may be"] if repeated > most else []
        self._take()
        wrong += self.wrong()
        struck = [Struck(run.kind, killed_in.get(run.run_id), resumed.get(run.run_id, False)) for run in runs]
        return Round(
            number,
            "MariaDB" if "://" in world.database else "SQLite",
            self.blocks is None,
            struck,
            recovery_s,
            operations,
            chunks.committed(world.storage) - in_before,
            repeated,
            self._rows(),
            wrong,
        )

    # --- runs ---

    def _new(self, kind: str) -> Run:
        return {"daily": self._daily, "backfill": self._backfill, "replay": self._replay}[kind]()

    def _daily(self) -> Run:
        return self._run("daily", [], {})

    def _backfill(self) -> Run:
        end, window_days = now(), self.random.choice([36, 80])
        start = end - timedelta(days=DAYS)
        arguments = ["--start", start.isoformat(), "--end", end.isoformat(), "--window-days", str(window_days)]
        return self._run(
            "backfill",
            [*arguments, "--reason", WHY],
            {"start": start, "end": end, "reason": WHY} | {"window_days": window_days},
        )

    def _replay(self) -> Run:
        folders = sorted((self.world.lake / "raw/shopify/orders").glob("date=*/run_id=*/manifest.json"))
        of_run = self.random.choice(folders).parent.name.removeprefix("run_id=")
        return self._run("replay", ["--of-run", of_run, "--reason", WHY], {"of_run": UUID(of_run), "reason": WHY})

    def _run(self, kind: str, arguments: list[str], given: dict[str, Any]) -> Run:
        run_id = uuid4()
        identity = ["--run-id", str(run_id), "--requested-at", self.requested_at.isoformat()]
        given |= {"run_id": run_id, "initiator": Initiator.USER, "requested_at": self.requested_at}
        return Run(kind, run_id, [*arguments, *identity], given)

    def _start(self, run: Run) -> None:
        world = self.world
        with environment(world.environ):  # for the process that runs are forked from
            if self.blocks is None:
                run.process = victim.start(world.environ, run.arguments, self.log, FLOWS[run.kind])
            else:
                run.process = bare.start(world.environ, self.blocks, run.kind, run.given, self.log)

    def _go_on(self, run: Run) -> None:
        if self.blocks is None:
            with environment(self.world.environ):
                bare.FLOWS[run.kind](**run.given)
        else:
            bare.run(self.world.environ, self.blocks, run.kind, run.given)

    # --- deaths ---

    def _strike(self, number: int, runs: list[Run]) -> list[str]:
        """Kill all at one moment, or one of two, and wait for the other; return what went wrong before a kill."""
        processes = [run.process for run in runs if run.process is not None]
        spared = self.random.randrange(2) if len(processes) == 2 and self.random.random() < 0.4 else None
        target = runs[0 if spared is None else 1 - spared]
        began = time.monotonic()
        self._wait(target)
        for each, process in enumerate(processes):
            if each != spared:
                process.kill()
                process.join()
        if spared is not None and number % WAITS_IN:
            self.world.storage.write(
                f"UPDATE lease SET expires_at = '2026-01-01 00:00:00' WHERE owner = '{target.run_id}'"
            )
        wrong: list[str] = []
        for run, process in zip(runs, processes, strict=True):
            process.join(PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()
                wrong.append(f"the {run.kind} beside a killed run did not end")
            elif process.exitcode not in {0, -9}:
                wrong.append(f"the {run.kind} ended with {process.exitcode}")
        if processes[runs.index(target)].exitcode == 0:
            self.usual_s[target.kind] = 0.7 * self.usual_s[target.kind] + 0.3 * (time.monotonic() - began)
        return wrong

    def _wait(self, run: Run) -> None:
        """Let a random part of a usual run go by, or wait for a record of a random number and a little."""
        assert run.process is not None
        usual_s, before = self.usual_s[run.kind], self._records()
        if self.random.random() < 0.5:
            run.process.join(self.random.uniform(0, usual_s * OVERTIME))
            return
        most = {"daily": 11, "backfill": 24, "replay": 5}[run.kind]
        wanted, deadline = self.random.randint(1, most), time.monotonic() + PATIENCE_S
        while run.process.is_alive() and self._records() - before < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        run.process.join(self.random.uniform(0, JUST_AFTER_S))

    def _records(self) -> int:
        return sum(1 for _ in self.world.lake.glob("sync.telemetry/date=*/run_id=*/*.jsonl"))

    def _last_step(self, run: Run) -> str:
        windows = [window for (window,) in self._windows(run)]
        told = [record for each in (str(run.run_id), *windows) for record in self._told(each)]
        return max(told, key=lambda each: each["at"])["step"] if told else "before the first record"

    def _told(self, run_id: str | None) -> list[dict[str, Any]]:
        return lake_reader.read_telemetry(self.world.lake, run_id) if run_id else []

    def _windows(self, run: Run) -> list[tuple[Any, ...]]:
        asked = f"SELECT run_id FROM backfill_window WHERE backfill_run_id = '{run.run_id}'"
        return self.world.storage.select(asked) if run.kind == "backfill" else []

    def _end_leases(self) -> None:
        """Let what the killed held be over, as it is a minute later."""
        self.world.storage.write("UPDATE lease SET expires_at = '2026-01-01 00:00:00'")
        if self.blocks is not None:
            return  # a lock ends with its process
        with get_client(sync_client=True) as client, suppress(ObjectNotFound):
            client.delete_global_concurrency_limit_by_name(f"watermark-{self.world.block}")

    def _recovered(self, run: Run) -> list[str]:
        """Go on with a run in this process; return what is wrong with what it says of itself."""
        self._go_on(run)
        told = self._told(str(run.run_id))
        wrong = [] if told[-1]["status"] == "completed" else [f"the {run.kind} is {told[-1]['status']}"]
        archived = {"daily": [str(run.run_id)], "backfill": [window for (window,) in self._windows(run)], "replay": []}
        return wrong + [
            each for run_id in archived[run.kind] for each in lake_reader.manifest_problems(self.world.lake, run_id)
        ]

    # --- what must be there, and what is ---

    def _allowed(self, runs: list[Run], resumed: Mapping[UUID, bool]) -> int:
        """One operation for each window, one more for a daily run in the place of a killed one, none for a replay."""
        daily = sum(1 if resumed.get(run.run_id, True) else 2 for run in runs if run.kind == "daily")
        return daily + sum(len(self._windows(run)) for run in runs if run.kind == "backfill")

    def _begun(self) -> int:
        log = Path(self.world.environ[victim.CHUNKS_LOG])
        return log.stat().st_size if log.exists() else 0

    def _rows(self) -> int:
        sales = sum(len(rows) for rows in lake_reader.read_sales(self.world.lake).values())
        return sales + sum(len(rows) for rows in self.world.rows.values())

    def _take(self) -> None:
        self.committed.take(self.world.storage.select(PROGRESS))

    def wrong(self) -> list[str]:
        """Return what differs from the truth: rows, figures, watermark, or work that is still owed."""
        self._take()
        world, zone, currency = self.world, self.world.shop.timezone.key, self.world.shop.currency
        as_of = reference.as_of_day(self.requested_at, zone)
        expected = self.committed.truth
        expected.measure(zone, as_of, currency)
        sales = expected.sales
        performance = reference.performance_as_of(sales, zone, as_of)
        found = differences(expected.tables, world.rows)
        found += differences(reference.sales_by_day(sales, zone), lake_reader.read_sales(world.lake))
        found += differences({as_of: performance}, {as_of: lake_reader.read_performance(world.lake, as_of)})
        found += [f"dirty_day: {row} is left" for row in world.storage.select("SELECT * FROM dirty_day")]
        alive = f"SELECT name, owner FROM lease WHERE expires_at > '{now():%Y-%m-%d %H:%M:%S}'"
        found += [f"lease: {row} is left" for row in world.storage.select(alive)]
        found += [f"{each.id} is left {each.status}" for each in world.shop.operations if each.is_open]
        return found + self._wrong_watermark()

    def _wrong_watermark(self) -> list[str]:
        """It is where the completed daily runs have brought it, never further back, and skips no order."""
        before, self.reached = self.reached, self._watermark()
        found = [] if before is None or (self.reached and self.reached >= before) else [f"it went back from {before}"]
        found += self.committed.missing(self.reached)
        newest = self._newest_of_completed()
        return found if newest == self.reached else [*found, f"watermark: {self.reached} instead of {newest}"]

    def _watermark(self) -> datetime | None:
        if self.blocks is None:
            return self.world.watermark
        try:
            return FileBlocks(self.blocks).load(self.world.block).watermark
        except ValueError:
            return None

    def _newest_of_completed(self) -> datetime | None:
        told: dict[str, dict[str, Any]] = {each["run_id"]: each for each in self._told_of_all()}
        completed = [
            each for each in told.values() if (each["job_type"], each["step"]) == ("DAILY_SYNC_EXECUTE", "completed")
        ]
        files = [
            file["sha256"]
            for each in completed
            for file in lake_reader.read_manifest(self.world.lake, each["run_id"])["files"]
        ]
        return max(
            (
                datetime.fromisoformat(order["updatedAt"])
                for sha256 in files
                for order in self.committed.exports[sha256].orders
            ),
            default=None,
        )

    def _told_of_all(self) -> list[dict[str, Any]]:
        return lake_reader.read_telemetry(self.world.lake)


@dataclass(frozen=True)
class Place:
    """Where seasons are: a folder, and what makes an empty database of a MariaDB server."""

    folder: Path
    new_database: Callable[[], URL]

    @property
    def chunks(self) -> Path:
        """The file that grows by a byte with each chunk that a process begins."""
        return self.folder / "chunks"


@contextmanager
def season(number: int, seed: int, place: Place, usual_s: dict[bool, dict[str, float]]) -> Iterator[Season]:
    """Open a season: every other one over MariaDB, the others over SQLite; some of both with Prefect's server."""
    chosen, folder = seed + number, place.folder / f"season-{number}"
    folder.mkdir()
    shop = Shop(seed=chosen, orders=40, now=now() - timedelta(minutes=5), days=DAYS - 1, operation_seconds=0.2)
    on_prefect = number % WITH_PREFECT < 2
    with ExitStack() as ending:
        environ = ending.enter_context(_prefect(folder)) if on_prefect else clean_environment()
        opening = opened(shop, folder / "data", environ, on_mariadb(place.new_database) if number % 2 else embedded)
        world, blocks = ending.enter_context(opening), None if on_prefect else folder / "blocks"
        world.settings |= QUIET | {victim.CHUNKS_LOG: str(place.chunks)}
        if blocks is not None:
            blocks.mkdir()
        yield Season(world, Random(chosen), folder / "runs.log", usual_s[on_prefect], blocks)


@contextmanager
def _prefect(folder: Path) -> Iterator[Mapping[str, str]]:
    with prefect_server(folder / "prefect") as environ, temporary_settings(client_settings(environ)):
        yield environ
        drain()


def kill(kills: int, seed: int, place: Place, kept: Path) -> Iterator[Round]:
    """
    Yield rounds until so many runs were killed, those that are in `kept` first.

    A season that was interrupted is left, and the next one begun.
    """
    rounds = [_of(json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    yield from rounds
    killed, usual_s = sum(each.kills for each in rounds), usual()
    number = math.ceil(max((each.number for each in rounds), default=0) / ROUNDS)
    with chunks.small_chunks(place.chunks):
        while killed < kills:
            with season(number, seed, place, usual_s) as playing:
                assert [] == playing.begin()
                for each in range(1, ROUNDS + 1):
                    found = playing.round(number * ROUNDS + each)
                    with kept.open("a") as told:
                        told.write(json.dumps(asdict(found)) + "\n")
                    yield found
                    killed += found.kills
                    if killed >= kills or found.wrong:
                        break
            number += 1


def kill_some(kinds: Iterable[tuple[str, ...]], seed: int, folder: Path) -> list[Round]:
    """
    Return the rounds of one season over SQLite, without Prefect's server.

    Args:
        kinds: Of the runs of a round, which is played again until one of them was killed.
        seed: Chooses shop and moments.
        folder: Where everything is.
    """
    place, rounds = Place(folder, _no_server), list[Round]()
    with chunks.small_chunks(place.chunks), season(WITH_PREFECT - 2, seed, place, usual()) as playing:
        assert [] == playing.begin()
        for each in kinds:
            rounds.append(playing.round(len(rounds) + 1, each))
            while not rounds[-1].kills:
                rounds.append(playing.round(len(rounds) + 1, each))
    return rounds


def usual() -> dict[bool, dict[str, float]]:
    """Return how long runs usually take, with Prefect's server and without it: a first guess, which they correct."""
    return {
        True: {"daily": 3.0, "backfill": 6.0, "replay": 3.0},
        False: {"daily": 1.0, "backfill": 1.5, "replay": 0.5},
    }


def _no_server() -> URL:
    raise AssertionError("no season here is over MariaDB")


def _of(told: dict[str, Any]) -> Round:
    return Round(**{**told, "struck": [Struck(**each) for each in told["struck"]]})
