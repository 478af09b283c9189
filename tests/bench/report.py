"""What the benchmark found: `docs/bench.md` and `docs/bench.json` for readers, `docs/bench.png` for the eye."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from tests.bench.cases import Measured
from tests.bench.contest import Row
from tests.bench.years import ROOM
from tests.services.mariadb import FLAGS

MEMORY_MB, GROWTH_MB = 64, 10
MEGA = {"bytes": (1e6, "MB"), "lines": (1e3, "k lines"), "rows": (1e3, "k rows"), "days": (1, "days")}


def shortfalls(rows: Sequence[Row], growth: Mapping[int, Measured]) -> list[str]:
    """Return what is slower, or larger, than it has to be."""
    slow = [f"{row.subject} is {row.ratio:.2f} x {row.beside}, not {row.wanted:g} x" for row in rows if row.short]
    peaks = [growth[lines].peak_mb for lines in sorted(growth)]
    large = [f"archive to tables takes {max(peaks):.0f} MB"] if max(peaks) > MEMORY_MB else []
    grown = peaks[-1] - peaks[-2] if len(peaks) > 1 else 0
    return [*slow, *large, *([f"its memory grows by {grown:.0f} MB"] if grown > GROWTH_MB else [])]


def markdown(
    rows: Sequence[Row], growth: Mapping[int, Measured], lines: int, rounds: int, at: datetime, took_s: float
) -> str:
    """Return the report."""
    missed = shortfalls(rows, growth)
    return "\n".join(
        [
            "# How fast it is",
            "",
            "Written by `make bench`. Each contestant has a process of its own; those that are compared take turns",
            "over the same lines, and the median of each counts. The speeds are this machine's on that day; the ratio,",
            "ours to theirs, is what to look at. MB is the peak of memory beyond what the process had when it began.",
            "",
            f"- on {at:%Y-%m-%d}, {platform.python_implementation()} {platform.python_version()}, {lines:,} lines,"
            f" {rounds} rounds, {took_s / 60:.0f} minutes",
            f"- one MariaDB on the same machine for all, whose tables fit into memory: `{' '.join((*FLAGS, *ROOM))}`",
            f"- {'all that is wanted is met' if not missed else '**missed**: ' + '; '.join(missed)}",
            "",
            "| what | beside | ours | theirs | ratio | wanted | ours MB | theirs MB |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *map(_line, rows),
            "",
            "![ratios](bench.png)",
            "",
            "## Memory from the archive to the tables",
            "",
            "| lines | seconds | MB beyond the base |",
            "|---:|---:|---:|",
            *(f"| {count:,} | {found.seconds:.1f} | {found.peak_mb:.1f} |" for count, found in sorted(growth.items())),
            "",
        ]
    )


def _line(row: Row) -> str:
    divisor, unit = MEGA[row.unit]
    wanted = "" if row.wanted is None else f"{row.wanted:g}"
    return (
        f"| {row.subject} | {row.beside} | {row.ours / divisor:,.1f} {unit}/s | {row.theirs / divisor:,.1f} {unit}/s "
        f"| **{row.ratio:.2f}** | {wanted} | {row.ours_mb:.0f} | {row.theirs_mb:.0f} |"
    )


def as_json(rows: Sequence[Row], growth: Mapping[int, Measured], lines: int, at: datetime) -> str:
    """Return the same for programs."""
    told = {
        "at": at.isoformat(),
        "lines": lines,
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
        "memory": {str(count): asdict(found) for count, found in sorted(growth.items())},
    }
    return json.dumps(told, indent=1) + "\n"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw the ratios, and where each has to reach."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 0.42 * len(rows) + 1.2), layout="constrained")
    places = range(len(rows), 0, -1)
    axes.barh(places, [row.ratio for row in rows], color=["#c0392b" if row.short else "#2e7d6b" for row in rows])
    axes.set_yticks(places, [f"{row.subject}\nbeside {row.beside}" for row in rows], fontsize=7)
    for place, row in zip(places, rows, strict=True):
        axes.annotate(f" {row.ratio:.2f}", (row.ratio, place), va="center", fontsize=7)
        if row.wanted is not None:
            axes.plot([row.wanted, row.wanted], [place - 0.4, place + 0.4], color="black")
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("speed, ours to theirs; a black bar is what is wanted")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
