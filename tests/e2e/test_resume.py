"""A run id stands for one run: one window, one time, one end."""

from datetime import timedelta
from uuid import uuid4

import pytest

from shopsync.errors import WindowError
from tasks.watermark import advance
from tests.e2e.world import World, environment, now
from tests.lake_reader import read_telemetry


def test_completed_run_is_not_run_again(world: World):
    """The same run id a second time asks Shopify for nothing, and shows the same run."""
    run_id = uuid4()
    world.sync(run_id=run_id)
    asked = len(world.shop.operations)

    again = world.sync(run_id=run_id)

    assert asked == len(world.shop.operations)
    assert str(run_id) == again.run_id
    assert "completed" == read_telemetry(world.lake, str(run_id))[-1]["status"]


def test_run_id_keeps_its_time(world: World):
    """Another requested_at would be another window: it is refused, and what the run left stays as it was."""
    run_id = uuid4()
    world.sync(run_id=run_id, requested_at=now() - timedelta(hours=1))

    with pytest.raises(WindowError, match="leave requested_at out"):
        world.sync(run_id=run_id, requested_at=now() - timedelta(days=2))

    records = read_telemetry(world.lake, str(run_id))
    assert "completed" == records[-1]["status"]
    assert 1 == len({record["window_end"] for record in records})


def test_older_run_moves_no_watermark(world: World):
    """A run that ends after a newer one finds the block further, leaves it, and does not claim to have moved it."""
    world.sync()
    reached = world.watermark
    assert reached is not None

    with environment(world.environ):
        moved = advance(world.block, world.shop.domain, reached - timedelta(hours=1))

    assert not moved
    assert reached == world.watermark
