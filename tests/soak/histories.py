"""Thousands of random histories: what `tests/proof/histories.py` plays a few of."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.histories import UNHURRIED, Histories
from tests.proof.planted import Found

STEPS = 6
"""Most of them are a run, some are several."""
SECTION = 25


@dataclass(frozen=True)
class Played:
    """How many histories there were, with how many runs by their end; `wrong` tells the one that broke an invariant."""

    tally: Mapping[str, int]
    wrong: list[str]


def play(count: int, first_seed: int, kept: Path | None = None) -> Played:
    """
    Play at least so many random histories, until one of them leaves something wrong.

    They come in sections of SECTION, each with a seed of its own; those that are in `kept` are not played again.
    """
    told = kept.read_text().splitlines() if kept is not None and kept.exists() else []
    sections = [Played(**json.loads(line)) for line in told]
    while _tally(sections)["histories"] < count and not any(each.wrong for each in sections):
        sections.append(_section(first_seed + len(sections)))
        if kept is not None:
            with kept.open("a") as grown:
                grown.write(json.dumps(asdict(sections[-1])) + "\n")
        print(f"{_tally(sections)['histories']} histories: {sections[-1].wrong[:1] or 'nothing wrong'}", flush=True)
    return Played(_tally(sections), [each for section in sections for each in section.wrong])


def _tally(sections: Iterable[Played]) -> Counter[str]:
    return sum((Counter(each.tally) for each in sections), Counter[str]())


def _section(its_seed: int) -> Played:
    Histories.tally.clear()
    logging.disable(logging.CRITICAL)  # thousands of faults warn
    chosen = settings(
        max_examples=SECTION,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=UNHURRIED,
    )
    try:
        run_state_machine_as_test(seed(its_seed)(Histories), settings=chosen)
    except Exception as broken:  # an invariant's assertion, or whatever a run raised: its notes tell the history
        told = [f"seed {its_seed}: {broken}", *getattr(broken, "__notes__", [])]
        return Played(dict(Histories.tally), told)
    return Played(dict(Histories.tally), [])


def of_planted(found: Mapping[str, Found]) -> str:
    """Return the part of the report about faults that were planted."""
    lines = [
        "# Planted faults",
        "",
        "The product is broken in one place at a time (`tests/proof/planted.py`); random histories have to tell of it.",
        "",
        "| planted | found |",
        "|---|---|",
        *(f"| {name} | {_told(each)} |" for name, each in found.items()),
    ]
    return "\n".join(lines) + "\n"


def planted_in_short(found: Mapping[str, Found]) -> str:
    """Return what became of the planted faults, in a line."""
    latest = max((each.histories or 0 for each in found.values()), default=0)
    seen = sum(each.histories is not None for each in found.values())
    return f"{seen} of {len(found)} found, the last in history {latest}"


def _told(found: Found) -> str:
    return "**not found**" if found.histories is None else f"in history {found.histories}"


def in_short(played: Played) -> str:
    """Return what the histories have shown, in a line."""
    tally = Counter(played.tally)
    runs = sum(tally[name] for name in ("completed", "failed", "refused", "killed"))
    verdict = "**an invariant was broken**" if played.wrong else "no invariant was ever broken"
    return (
        f"{tally['histories']:,} of {runs:,} runs, {tally['killed']:,} of which died, {tally['rows']:,} rows compared:"
        f" {verdict}"
    )


def of_histories(played: Played) -> str:
    """Return the part of the report about them."""
    tally = {name: played.tally.get(name, 0) for name in ("histories", "completed", "failed", "refused", "killed")}
    verdict = "No invariant was ever broken." if not played.wrong else "**An invariant was broken:**"
    lines = [
        "# Random histories",
        "",
        f"{tally['histories']:,} random histories of order changes, clock moves, faults of Shopify and runs of every",
        f"kind: {tally['completed']:,} completed, {tally['failed']:,} failed, {tally['refused']:,} were"
        f" refused, {tally['killed']:,} died.",
        "After every step: the watermark never goes back, no row is missing, doubled or older than what was fetched,",
        "no order up to the watermark is skipped, each day's figures are the reference's or marked.",
        f"{played.tally.get('rows', 0):,} rows were compared. {verdict}",
        *(f"\n```\n{told}\n```" for told in played.wrong),
    ]
    return "\n".join(lines) + "\n"
