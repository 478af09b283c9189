"""`python -m tests.soak`: kill daily runs, compare everything after each, write docs/soak.md."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from tests.e2e.prefect_server import drain, prefect_server
from tests.e2e.world import now, opened
from tests.simulator import Shop
from tests.soak.report import markdown
from tests.soak.rounds import Round, Soak

REPORT = Path(__file__).resolve().parents[2] / "docs" / "soak.md"


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Kill daily runs at random moments.")
    parser.add_argument("--kills", type=int, default=100, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--report", type=Path, default=REPORT)
    return parser.parse_args()


def main() -> int:
    """Run the rounds; exit 0 only when nothing was ever wrong."""
    options, begun = arguments(), time.monotonic()
    shop = Shop(options.seed, orders=200, now=now() - timedelta(minutes=5), days=100, operation_seconds=0.4)
    with tempfile.TemporaryDirectory(prefix="shopsync-soak-") as folder:
        home = Path(folder)
        with prefect_server(home / "prefect") as environ, opened(shop, home / "data", environ) as world:
            os.environ.update(environ)  # for the processes that runs are forked from
            with temporary_settings({PREFECT_API_URL: environ["PREFECT_API_URL"], PREFECT_HOME: home / "prefect"}):
                logging.disable(logging.CRITICAL)  # what a run says of itself is in its records
                rounds = kill(Soak(world, options.seed, home / "runs.log"), options.kills)
                drain()
    options.report.write_text(
        markdown(rounds, options.seed, len(shop.orders), now(), time.monotonic() - begun), "utf-8"
    )
    print(f"{options.report} is written", flush=True)
    return 1 if any(each.wrong for each in rounds) else 0


def kill(soak: Soak, kills: int) -> list[Round]:
    """Return the rounds until so many runs were killed."""
    wrong = soak.first_run()
    rounds = [Round(0, None, False, soak.usual_s, 1, 0, wrong)] if wrong else []
    killed = 0
    for number in range(1, 3 * kills + 1):
        rounds.append(soak.round(number))
        last = rounds[-1]
        killed += last.killed_in is not None
        how = "the same run" if last.resumed else "a new run"
        print(
            f"{killed:4} kills  round {number}: {last.killed_in or 'ended before its kill'}, then {how} in"
            f" {last.recovery_s:.1f} s, {'nothing wrong' if not last.wrong else last.wrong[:3]}",
            flush=True,
        )
        if killed == kills:
            break
    return rounds


if __name__ == "__main__":
    sys.exit(main())
