"""
`python -m tests.bench`: measure, write docs/bench.md and docs/reads.md; exit 0 if all is fast enough.

Apart: `--only loads` for what a run does, `--only reads` for what staff ask.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import reads_report
from tests.bench.contest import Contest
from tests.bench.reads import Reads
from tests.bench.report import as_json, markdown, plot, shortfalls
from tests.bench.years import ROOM
from tests.services.mariadb import mariadb_server
from tests.services.r2 import r2_server

DOCS = Path(__file__).resolve().parents[2] / "docs"


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, beside what else there is.")
    parser.add_argument("--only", choices=sorted(PARTS), help="one of the two parts; default: both")
    parser.add_argument("--lines", type=int, default=1_000_000, help="length of the longest file")
    parser.add_argument("--rounds", type=int, default=3, help="how often those that are compared take turns")
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders of the shop that is read")
    parser.add_argument("--seconds", type=float, default=60, help="how long many read at once")
    parser.add_argument("--reports", type=Path, default=DOCS, help="folder of the reports")
    return parser.parse_args()


def say(line: str) -> None:
    """Tell what was measured at once."""
    print(f"    {line}", flush=True)


def main() -> int:
    """Measure, and write the reports; exit code 1 when something is slower than it has to be."""
    options = arguments()
    parts = [bench_loads, bench_reads] if options.only is None else [PARTS[options.only]]
    missed = [miss for part in parts for miss in part(options)]
    for miss in missed:
        print(f"==> missed: {miss}", flush=True)
    return 1 if missed else 0


def bench_loads(options: argparse.Namespace) -> list[str]:
    """Run the contests; return what fell short."""
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="shopsync-bench-") as folder,
        mariadb_server(*ROOM) as new_database,
        r2_server() as new_place,
    ):
        contest = Contest(Path(folder), new_database, new_place, options.lines, options.rounds, say)
        for subject in (contest.parse, contest.upsert, contest.load, contest.upload, contest.measure):
            print(f"==> {(subject.__doc__ or subject.__name__).splitlines()[0]}", flush=True)
            subject()
    at, rows, growth = datetime.now(UTC), contest.rows, contest.growth
    report = markdown(rows, growth, options.lines, options.rounds, at, time.monotonic() - begun)
    (options.reports / "bench.md").write_text(report, "utf-8")
    (options.reports / "bench.json").write_text(as_json(rows, growth, options.lines, at), "utf-8")
    plot(rows, options.reports / "bench.png")
    print(report, flush=True)
    return shortfalls(rows, growth)


def bench_reads(options: argparse.Namespace) -> list[str]:
    """Measure what staff read, and let many read at once; return what fell short."""
    begun = time.monotonic()
    print(f"==> The reads of the API over {options.orders:,} orders, beside their bare SQL", flush=True)
    with tempfile.TemporaryDirectory(prefix="shopsync-bench-") as folder, mariadb_server(*ROOM) as new_database:
        reads = Reads(new_database(), Path(folder), options.orders, options.seconds, say)
        reads.run()
    report = reads_report.markdown(reads, time.monotonic() - begun)
    (options.reports / "reads.md").write_text(report, "utf-8")
    (options.reports / "reads.json").write_text(reads_report.as_json(reads), "utf-8")
    print(report, flush=True)
    return reads.shortfalls()


PARTS = {"loads": bench_loads, "reads": bench_reads}


if __name__ == "__main__":
    sys.exit(main())
