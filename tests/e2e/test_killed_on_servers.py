"""Runs that die while they write to MariaDB and R2: nothing is wrong after the next one, or after the same goes on."""

from __future__ import annotations

import pytest

from tests.e2e.history import History
from tests.e2e.kills import Runs, let_leases_end, manifests

pytestmark = [pytest.mark.services, pytest.mark.parametrize("storage", ["served"], indirect=True)]


@pytest.mark.proves("killed daily")
@pytest.mark.parametrize("name", ["upsert begun", "advance begun"])
def test_next_run_leaves_nothing_wrong(runs: Runs, busy_day: History, name: str):
    """A killed run leaves the watermark; the run after it brings everything to the truth."""
    before = busy_day.world.watermark

    runs.kill(busy_day, name)

    assert before == busy_day.world.watermark
    let_leases_end(busy_day.world)
    busy_day.sync()
    assert [] == busy_day.wrong()


@pytest.mark.proves("killed daily")
def test_same_run_goes_on(runs: Runs, first_day: History):
    """A run that died half measured goes on under its id, and asks Shopify for no second operation."""
    run_id = runs.kill(first_day, "half measured")
    asked = len(first_day.world.shop.operations)

    first_day.world.sync(run_id=run_id)

    assert asked == len(first_day.world.shop.operations)
    assert [] == first_day.wrong() + manifests(first_day.world, run_id)
