"""The same backfill twice on a process worker: its windows in turn, and three at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.e2e.backfilled import Backfilled
from tests.e2e.worker import ended, start, worker
from tests.e2e.world import World, now, opened
from tests.simulator import Shop

WINDOWS = 3
WINDOW_DAYS = 30
OPERATION_S = 90.0
"""Shopify's operation is the slow part: minutes in a real shop."""


@dataclass(frozen=True)
class Race:
    """How long the backfill took each way, from its request to its end; `wrong` is what is not the truth."""

    in_turn_s: float
    at_once_s: float
    wrong: list[str]


def race(folder: Path, prefect: dict[str, str]) -> Race:
    """Run both, each in a world of its own around the same shop."""
    in_turn_s, wrong = _timed(folder / "in-turn", prefect, 1)
    at_once_s, also_wrong = _timed(folder / "at-once", prefect, 3)
    return Race(in_turn_s, at_once_s, wrong + also_wrong)


def markdown(run: Race) -> str:
    """Return the part of the report about it."""
    verdict = "Both were exact." if not run.wrong else f"**{len(run.wrong)} things were wrong.**"
    lines = [
        "# Windows side by side",
        "",
        f"One backfill of {WINDOWS} windows on a Prefect server with a process worker, each operation of Shopify's",
        f"taking {OPERATION_S:g} s: {run.in_turn_s:.0f} s in turn, {run.at_once_s:.0f} s with `max_parallel = 3`, cold",
        f"starts included; {run.in_turn_s / run.at_once_s:.2f} times as fast. {verdict}",
        *(f"\n- {found}" for found in run.wrong),
    ]
    return "\n".join(lines) + "\n"


def _timed(folder: Path, prefect: dict[str, str], at_once: int) -> tuple[float, list[str]]:
    shop = Shop(
        seed=61,
        orders=120,
        now=now() - timedelta(minutes=6),
        days=WINDOWS * WINDOW_DAYS - 1,
        operation_seconds=OPERATION_S,
    )
    folder.mkdir()
    with opened(shop, folder, prefect) as world:
        # The operation must not come near the poll budget, however busy the machine is.
        world.settings["SHOPSYNC_POLL_INTERVAL_S"] = "3"
        return _filled(world, folder / "worker.log", at_once)


def _filled(world: World, log: Path, at_once: int) -> tuple[float, list[str]]:
    days, end = WINDOWS * WINDOW_DAYS, now() - timedelta(minutes=5)
    with worker(world, log):
        filled = Backfilled(world)
        filled.take(end - timedelta(days=days), end)
        begun = time.monotonic()
        found = ended(
            start(
                "backfill/backfill",
                start=(end - timedelta(days=days)).isoformat(),
                end=end.isoformat(),
                reason=f"{at_once} at once",
                window_days=WINDOW_DAYS,
                max_parallel=at_once,
                requested_at=filled.requested_at.isoformat(),
            )
        )
        took_s = time.monotonic() - begun
        return took_s, filled.wrong() if found.state_name == "Completed" else [f"the backfill is {found.state_name}"]
