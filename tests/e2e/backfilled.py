"""What a world must hold after a backfill, worked out from its shop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests import lake_reader
from tests.e2e.history import wrong_in
from tests.e2e.world import World, now
from tests.truth import Selection, Truth

Window = tuple[datetime, datetime]


@dataclass
class Backfilled:
    """
    One world and the truth of what its runs should have stored; all of them are asked for at `requested_at`.

    `standing` is where the watermark was before, `run_id` the last backfill.
    """

    world: World
    truth: Truth = field(default_factory=Truth)
    requested_at: datetime = field(default_factory=now)
    standing: datetime | None = None
    run_id: str = ""

    def take(self, start: datetime, end: datetime, by: Selection = "created") -> None:
        """Take in what a backfill of this range finds now."""
        self.truth.fetch(self.world.shop, start, end, by)

    def backfill(self, start: datetime, end: datetime, by: Selection = "created", **parameters: Any) -> str:
        """Take in what the shop has in the range, and backfill it in this process; return the run's id."""
        self.take(start, end, by)
        result = self.world.backfill(start, end, by=by, requested_at=self.requested_at, **parameters)
        self.run_id = result.run_id or ""
        return self.run_id

    def wrong(self) -> list[str]:
        """Return what differs from the truth: rows, figures of every day, or work that is still owed."""
        return wrong_in(self.world, self.truth, self.requested_at)

    def manifest_problems(self) -> list[str]:
        """Return where a manifest and its archive disagree."""
        folders = (self.world.lake / "raw/shopify/orders").glob("date=*/run_id=*/manifest.json")
        run_ids = [path.parent.name.removeprefix("run_id=") for path in folders]
        return [problem for run_id in run_ids for problem in lake_reader.manifest_problems(self.world.lake, run_id)]

    def windows(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return the plan's windows, oldest first."""
        return self.world.storage.select(f"SELECT {', '.join(columns)} FROM backfill_window ORDER BY window_start")
