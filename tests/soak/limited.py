"""A run of a million lines in a control group of the kernel's that has as much memory as a small container."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL

from tests import lake_reader
from tests.e2e.history import History, records
from tests.e2e.world import now, opened
from tests.memory import peak_of
from tests.simulator import Shop
from tests.soak.stage import on_mariadb

LIMIT_MB = 512
LEAST_LINES = 1_000_000
ORDERS = 145_000
"""Enough for that many lines, and some: an order has its line items, agreements and sales."""
GROUPS = Path("/sys/fs/cgroup")
MB = 1024 * 1024


@dataclass(frozen=True)
class Limited:
    """A run in LIMIT_MB: what it loaded, how long it took, its peak resident memory; `wrong` is what is not so."""

    lines: int
    orders: int
    rows: int
    took_s: float
    peak_mb: float
    wrong: list[str]


def run_limited(folder: Path, prefect: Mapping[str, str], new_database: Callable[[], URL]) -> Limited:
    """Run a daily sync over a large shop in a process that the kernel ends when it takes more; compare everything."""
    shop = Shop(seed=91, orders=ORDERS, now=now() - timedelta(minutes=5), days=120, operation_seconds=1.0)
    with opened(shop, folder, prefect, on_mariadb(new_database)) as world, memory_limit() as members:
        history = History(world)
        history.take()
        enter = f"echo $$ > {members} && exec {sys.executable} -m flows.daily_sync --requested-at $0"
        begun = time.monotonic()
        run = subprocess.Popen(
            ["sh", "-c", enter, history.requested_at.isoformat()],
            env=world.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak_mb = peak_of(run)
        took_s = time.monotonic() - begun
        if run.returncode != 0:
            return Limited(0, 0, 0, took_s, peak_mb, [f"the run ended with {run.returncode}"])
        files = lake_reader.read_manifest(world.lake, records(world)[-1]["run_id"])["files"]
        lines, rows = sum(file["lines"] for file in files), sum(len(each) for each in world.rows.values())
        wrong = [] if lines >= LEAST_LINES else [f"it had {lines:,} lines alone"]
        return Limited(lines, len(shop.orders), rows, took_s, peak_mb, wrong + history.wrong())


@contextmanager
def memory_limit() -> Iterator[Path]:
    """
    Make a control group of LIMIT_MB without swap, and yield the file into which its members write their ids.

    It takes root, and the kernel's memory controller, of the first or the second version.
    """
    first = (GROUPS / "memory").is_dir()
    group = (GROUPS / "memory" if first else GROUPS) / f"shopsync-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LIMIT_MB * MB))
        swap = group / ("memory.memsw.limit_in_bytes" if first else "memory.swap.max")
        if swap.exists():  # a kernel without swap has none to forbid
            swap.write_text(str(LIMIT_MB * MB) if first else "0")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def in_short(run: Limited) -> str:
    """Return what the run has shown, in a line."""
    verdict = "**not exact**" if run.wrong else f"exact, {run.rows:,} rows compared"
    return f"{run.lines:,} lines in {run.took_s:.0f} s, at most {run.peak_mb:.0f} MB resident: {verdict}"


def markdown(run: Limited) -> str:
    """Return the part of the report about it."""
    verdict = "Every row and every figure was exact." if not run.wrong else "**It was not exact:**"
    lines = [
        f"# A run of a million lines in {LIMIT_MB} MB",
        "",
        f"A daily run of {run.lines:,} lines, {run.orders:,} orders, into MariaDB and a folder, in a control group",
        f"with a limit of {LIMIT_MB} MB: {run.took_s:.0f} s, at most {run.peak_mb:.0f} MB resident, most of which",
        f"Python, Prefect and pandas take before the first line. {run.rows:,} rows were compared. {verdict}",
        *(f"\n- {found}" for found in run.wrong[:20]),
    ]
    return "\n".join(lines) + "\n"
