"""What the reads cost: `docs/reads.md` for readers, `docs/reads.json` for programs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from tests.bench.reads import DEEP_PAGE, DEPTH, PAGE, READERS, Read, Reads


def markdown(found: Reads, took_s: float) -> str:
    """Return the report."""
    missed = found.shortfalls()
    return "\n".join(
        [
            "# What a read costs",
            "",
            "Written by `make bench`. `python -m api` as operators run it (tokens, limits, tags, logs), Prefect apart,",
            "over a MariaDB with room for its tables, client and all on one machine. Each time is the median of many",
            "answers over one connection. Beside it is the time of the same statements sent by the bare driver, so the",
            "difference is what the API adds. Times are this machine's on that day.",
            "",
            f"- on {found.now:%Y-%m-%d}, {os.cpu_count()} cores, {took_s / 60:.0f} minutes; {found.orders:,} orders of"
            " three years, the newest with lines and sales",
            f"- page {DEEP_PAGE:,} of {PAGE} orders costs {found.depth:.2f} times page 1 (wanted: {DEPTH} at most)",
            f"- {'all that is wanted is met' if not missed else '**missed**: ' + '; '.join(missed)}",
            "",
            "| read | answer, ms | bare SQL, ms | statements | wanted, ms |",
            "|---|---:|---:|---:|---:|",
            *map(_line, found.reads),
            "",
            f"## {READERS} readers at once",
            "",
            f"Each asks again as soon as it is answered, for {found.seconds:.0f} seconds; readers, server and database",
            "share the cores. The FastAPI route sends the same query over the same pool and answers through a pydantic",
            "model; it knows no tokens, limits, tags or logs.",
            "",
            "| what | answers/s | median, ms | p99, ms | answers | errors |",
            "|---|---:|---:|---:|---:|---:|",
            *(
                f"| {name} | {each.per_s:,.1f} | {each.p50_ms:,.0f} | {each.p99_ms:,.0f} | {each.answers:,}"
                f" | {each.errors:,} |"
                for name, each in found.loads.items()
            ),
            "",
        ]
    )


def _line(read: Read) -> str:
    wanted = "" if read.wanted_ms is None else f"{read.wanted_ms:g}"
    return f"| {read.name} | {read.http_ms:.2f} | {read.sql_ms:.2f} | {read.statements} | {wanted} |"


def as_json(found: Reads) -> str:
    """Return the same for programs."""
    told = {
        "at": found.now.isoformat(),
        "orders": found.orders,
        "depth": found.depth,
        "reads": [asdict(read) for read in found.reads],
        "loads": {name: {**asdict(each), "per_s": each.per_s} for name, each in found.loads.items()},
    }
    return json.dumps(told, indent=1) + "\n"
