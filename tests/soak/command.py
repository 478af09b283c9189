"""`python -m tests.soak`: kill runs, play histories, compare everything after each, write docs/soak.md."""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prefect.settings import temporary_settings

from tests.e2e.prefect_server import client_settings, drain, prefect_server
from tests.e2e.world import now
from tests.proof.planted import Found, find_all
from tests.proof.reliability import PAGE, tell
from tests.services.chunk_kills import ChunkKills, Killed
from tests.services.mariadb import mariadb_server
from tests.soak import histories, kills, limited
from tests.soak.deployed import SCENARIOS, Outcome
from tests.soak.deployed import markdown as deployed_markdown
from tests.soak.histories import Played
from tests.soak.image import Built, build
from tests.soak.image import markdown as image_markdown
from tests.soak.kills import Place, Round
from tests.soak.limited import Limited
from tests.soak.race import Race, race
from tests.soak.race import markdown as race_markdown
from tests.soak.report import chunks_in_short, in_short, markdown, of_chunks
from tests.soak.stage import stage

KILLS = 500
CHUNK_KILLS = 100
HISTORIES = 2_000
REPORT = Path(__file__).resolve().parents[2] / "docs" / "soak.md"


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="The long proofs: all of them, or some.")
    parser.add_argument("--kills", type=int, nargs="?", const=KILLS, help="only kills of runs, so many")
    parser.add_argument(
        "--kept",
        type=Path,
        help="a file that keeps the rounds of kills, or the histories, to go on after an interruption",
    )
    parser.add_argument("--chunk-kills", type=int, nargs="?", const=CHUNK_KILLS, help="only kills of upserts, so many")
    parser.add_argument(
        "--deployed", nargs="*", choices=list(SCENARIOS), help="only these scenarios of deployed runs, or all of them"
    )
    parser.add_argument("--histories", type=int, nargs="?", const=HISTORIES, help="only random histories, so many")
    parser.add_argument(
        "--planted", action="store_true", help="only faults that are planted, for the histories to find"
    )
    parser.add_argument("--limited", action="store_true", help="only the run under a limit of memory; takes root")
    parser.add_argument("--images", action="store_true", help="only the images' build steps")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--report", type=Path, default=REPORT)
    return parser.parse_args()


def main() -> int:
    """Run the proofs; exit 0 only when nothing was ever wrong."""
    options = arguments()
    if options.histories is not None:
        return 1 if play_histories(options.histories, options).wrong else 0
    if options.planted:
        return 0 if find_planted(options.report) else 1
    if options.deployed is not None or options.images:
        return alone(options.deployed, options.images, options.report)
    with tempfile.TemporaryDirectory(prefix="shopsync-soak-") as folder:
        home = Path(folder)
        if options.limited:
            return 1 if run_limited(home, options.report).wrong else 0
        if options.kills is not None:
            return 1 if any(each.wrong for each in kill(home, options)) else 0
        if options.chunk_kills is not None:
            return 1 if any(each.wrong for each in kill_chunks(home, options.chunk_kills, options.report)) else 0
        within = run_limited(home, options.report)  # first: where it cannot be, that is known at once
        rounds = kill(home, options)
        ran = race_backfills(home)
        killed = kill_chunks(home, CHUNK_KILLS, options.report)
        played = list(play(home / "deployed", list(SCENARIOS)))
        steps = build_images(home / "images")
        told = play_histories(HISTORIES, options)
    all_found = find_planted(options.report)
    for part in [race_markdown(ran), image_markdown(steps), *(part for _, part in played)]:
        replace_part(options.report, part)
    print(f"{options.report} is written", flush=True)
    outcomes = [outcome for found, _ in played for outcome in found]
    wrong = any(each.wrong for each in [*rounds, *killed, ran, within, told, *outcomes, *steps])
    return 1 if wrong or not all_found else 0


def race_backfills(home: Path) -> Race:
    """Return how a backfill fares in turn and side by side, on a Prefect server."""
    with prefect_server(home / "prefect") as environ, temporary_settings(client_settings(environ)):
        ran = race(home, environ)
        drain()
    return ran


def play_histories(count: int, options: argparse.Namespace) -> Played:
    """Return what random histories have shown."""
    kept = options.kept if options.histories is not None else None
    told = histories.play(count, options.seed, kept)
    replace_part(options.report, histories.of_histories(told))
    tell(options.report.with_name(PAGE.name), "random histories", histories.in_short(told))
    return told


def find_planted(report: Path) -> bool:
    """Return whether the histories find every fault that is planted."""
    found: dict[str, Found] = {}
    for name, each in find_all():
        found[name] = each
        print(f"planted: {name}: {'not found' if each.histories is None else 'found'}", flush=True)
    replace_part(report, histories.of_planted(found))
    tell(report.with_name(PAGE.name), "faults planted in the product", histories.planted_in_short(found))
    return all(each.histories is not None for each in found.values())


def run_limited(home: Path, report: Path) -> Limited:
    """Return how a run of a million lines fares in little memory, on a Prefect server and MariaDB."""
    with (
        prefect_server(home / "prefect-limited") as environ,
        temporary_settings(client_settings(environ)),
        mariadb_server() as new_database,
    ):
        within = limited.run_limited(home / "limited", environ, new_database)
        drain()
    replace_part(report, limited.markdown(within))
    tell(report.with_name(PAGE.name), f"a run of a million lines in {limited.LIMIT_MB} MB", limited.in_short(within))
    print(f"{within.lines:,} lines in {limited.LIMIT_MB} MB: {within.wrong[:3] or 'nothing wrong'}", flush=True)
    return within


def kill(home: Path, options: argparse.Namespace) -> list[Round]:
    """Return the rounds until so many runs were killed; the part of the report grows with each season."""
    rounds = list[Round]()
    kept = options.kept or home / "kills.jsonl"
    logging.disable(logging.CRITICAL)  # what a run says of itself is in its records
    with mariadb_server() as new_database:
        for each in kills.kill(options.kills or KILLS, options.seed, Place(home, new_database), kept):
            rounds.append(each)
            told = ", ".join(f"{struck.kind} {struck.killed_in or 'ended before its kill'}" for struck in each.struck)
            print(
                f"{sum(done.kills for done in rounds):4} kills  round {each.number} over {each.database}: {told};"
                f" made good in {each.recovery_s:.1f} s, {each.operations} operations, {each.repeated} chunks again:"
                f" {each.wrong[:3] or 'nothing wrong'}",
                flush=True,
            )
            if each.number % kills.ROUNDS == 0:
                replace_part(options.report, markdown(rounds, options.seed, now()))
    replace_part(options.report, markdown(rounds, options.seed, now()))
    tell(options.report.with_name(PAGE.name), "runs of every kind, killed at random moments", in_short(rounds))
    return rounds


def alone(scenarios: list[str] | None, images: bool, report: Path) -> int:
    """Do some of it, and write its parts of the report alone."""
    wrong = False
    with tempfile.TemporaryDirectory(prefix="shopsync-soak-") as folder:
        if scenarios is not None:
            for outcomes, part in play(Path(folder, "deployed"), scenarios or list(SCENARIOS)):
                wrong |= any(each.wrong for each in outcomes)
                replace_part(report, part)
        if images:
            steps = build_images(Path(folder, "images"))
            wrong |= any(each.wrong for each in steps)
            replace_part(report, image_markdown(steps))
    return 1 if wrong else 0


def replace_part(report: Path, written: str) -> None:
    """Put a part into the report, in the place of its older self or at the end."""
    parts = re.split(r"^(?=# )", report.read_text("utf-8") if report.exists() else "", flags=re.MULTILINE)
    by_title = {part.partition("\n")[0]: part.rstrip() for part in parts if part.strip()}
    by_title[written.partition("\n")[0]] = written.rstrip()
    report.write_text("\n\n".join(by_title.values()) + "\n", "utf-8")


def build_images(folder: Path) -> list[Built]:
    """Return what became of each step of the Dockerfile."""
    steps: list[Built] = []
    for step in build(folder):
        steps.append(step)
        print(f"{step.step}: {step.took_s:.1f} s: {step.wrong or 'nothing wrong'}", flush=True)
    return steps


def play(folder: Path, scenarios: list[str]) -> Iterator[tuple[list[Outcome], str]]:
    """Yield what became of deployed runs in each scenario, over one stage for all, and the part of the report."""
    with stage(folder, seed=71) as opened:
        for name in scenarios:
            begun, outcomes = time.monotonic(), list[Outcome]()
            for outcome in SCENARIOS[name].play(opened):
                outcomes.append(outcome)
                print(f"{name}: {outcome.done}: {outcome.became}: {outcome.wrong[:3] or 'nothing wrong'}", flush=True)
            yield outcomes, deployed_markdown(name, outcomes, time.monotonic() - begun)


def kill_chunks(folder: Path, kills: int, report: Path) -> list[Killed]:
    """Return what became of upserts that were killed at any statement, on a MariaDB server."""
    with mariadb_server() as new_database:
        chunks = ChunkKills(new_database, folder)
        killed: list[Killed] = []
        for seed in range(kills):
            killed.append(chunks.kill(10_000 + seed))
            last = killed[-1]
            print(f"{seed + 1:4} upserts killed, at {last.statement!r}: {last.wrong or 'nothing wrong'}", flush=True)
    replace_part(report, of_chunks(killed))
    tell(report.with_name(PAGE.name), "upserts killed at a statement", chunks_in_short(killed))
    return killed
