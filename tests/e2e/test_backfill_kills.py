"""A backfill that is killed, at whichever moment, ends as if nobody had disturbed it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.backfill_kills import DAYS, kill_one, small_shop
from tests.e2e.backfilled import Backfilled
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import records
from tests.e2e.kills import asked, is_look, last_words
from tests.e2e.world import now
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)


@pytest.mark.proves("killed backfill")
@pytest.mark.parametrize("seed", range(10))
def test_killed_backfill_goes_on(open_world: OpenWorld, tmp_path: Path, seed: int):
    """
    Started again under its run id it leaves the same state: no window whose archive was complete is asked for again,
    and no operation of ours keeps running. `make soak` kills many more.
    """
    world = open_world(small_shop(100 + seed))

    killed = kill_one(world, seed, tmp_path / "killed.log")

    assert killed.killed_in is not None
    assert [] == killed.wrong, killed


@pytest.mark.proves("told to stop")
def test_told_to_stop(open_world: OpenWorld, tmp_path: Path):
    """A backfill that is told to stop says so, as does its window, and leaves no operation; then it goes on."""
    world = open_world(small_shop(77))
    filled, end, run_id = Backfilled(world), now(), uuid4()
    start = end - timedelta(days=DAYS)
    world.shop.operation_seconds = 600
    arguments = ["--start", start.isoformat(), "--end", end.isoformat(), "--reason", "to be stopped"]
    process = world.start(*arguments, "--run-id", str(run_id), module="flows.backfill")
    until(asked(is_look)(world, str(run_id)), last_words(process))

    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_S)

    (window,) = filled.windows("run_id")[0]
    ends = [records(world, each)[-1] for each in (window, run_id)]
    assert 143 == process.returncode, errors
    assert "--run-id" in errors
    assert ["failed", "failed"] == [record["status"] for record in ends]
    assert "poll" == ends[0]["error"]["step"]
    assert [1] == [operation.cancel_requests for operation in world.shop.operations]
    world.shop.operation_seconds = 0.2
    filled.requested_at = datetime.fromisoformat(ends[1]["requested_at"])
    filled.backfill(start, end, run_id=run_id)
    assert [] == filled.wrong()
